package blackbox

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The file of rooms as operators meet it.

// A second Caddy on the same file does not start, and says why and what to do. The
// first one goes on. When that has ended, the second one can start.
func TestTwoServersOnOneFile(t *testing.T) {
	first := start(t, writersConfig)
	first.post(t, "/sum/a", "1", "1")
	second := prepare(t, strings.Replace(writersConfig, "drain off", "drain off\nengine bolt "+first.rooms(), 1))
	mentions(t, second.fails(t), first.rooms(), "another process ("+strconv.Itoa(first.process.Process.Pid)+")", "stop it, or give each a file of its own (engine bolt <path>)")
	first.post(t, "/sum/a", "1", "2")
	first.stop()
	second.again(t)
	t.Cleanup(second.stop)
	second.post(t, "/sum/a", "1", "3")
}

// Commands that only read the configuration work beside a Caddy that is running, and
// make no file where there is none.
func TestCommandsBesideAServer(t *testing.T) {
	s := start(t, writersConfig)
	s.post(t, "/sum/a", "1", "1")
	for _, command := range []string{"validate", "adapt"} {
		output, err := s.command(t, nil, command, "--adapter", "caddyfile", "--config", s.configFile()).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", command, err, output)
		}
		s.post(t, "/sum/a", "0", "1")
	}
	s.post(t, "/sum/a", "1", "2")

	idle := prepare(t, writersConfig)
	if output, err := idle.command(t, nil, "validate", "--adapter", "caddyfile", "--config", idle.configFile()).CombinedOutput(); err != nil {
		t.Errorf("validate: %v\n%s", err, output)
	}
	if _, err := os.Stat(filepath.Dir(idle.rooms())); !os.IsNotExist(err) {
		t.Errorf("validate has made the folder of rooms: %v", err)
	}
}

// stored is a server with rooms, that has ended.
func stored(t *testing.T) *server {
	t.Helper()
	s := start(t, writersConfig)
	s.post(t, "/sum/a", "31415926535897", "31415926535897")
	s.post(t, "/sum/b", "27182818284590", "27182818284590")
	s.stop()
	return s
}

// A file that is damaged as a whole is refused when Caddy starts, with an error that
// names it and says what to do, and is left as it is. Put right again, it is used.
func TestDamagedFile(t *testing.T) {
	page := os.Getpagesize()
	for name, damage := range map[string]func(sound string) string{
		"text":                        func(string) string { return strings.Repeat("These are no rooms.\n", 1000) },
		"cut":                         func(sound string) string { return sound[:len(sound)/2] },
		"cut in the first page":       func(sound string) string { return sound[:100] },
		"zeros":                       func(sound string) string { return strings.Repeat("\x00", len(sound)) },
		"zeros where it begins":       func(sound string) string { return strings.Repeat("\x00", 4*page) + sound[4*page:] },
		"zeros behind its beginnings": func(sound string) string { return sound[:2*page] + strings.Repeat("\x00", len(sound)-2*page) },
	} {
		t.Run(name, func(t *testing.T) {
			s := stored(t)
			sound := read(t, s.rooms())
			damaged := damage(sound)
			overwrite(t, s.rooms(), damaged)
			mentions(t, s.fails(t), s.rooms(), "restore it from a backup, or move it away to begin without rooms")
			if read(t, s.rooms()) != damaged {
				t.Error("the file is changed")
			}
			s.expectFiles(t, "rooms.db", "rooms.db.lock")
			overwrite(t, s.rooms(), sound)
			s.again(t)
			s.shows(t, "/sum/a", "31415926535897")
			s.shows(t, "/sum/b", "27182818284590")
		})
	}
}

// An empty file, by which an operator has chosen owner and mode, is used, and the log
// says so.
func TestEmptyFile(t *testing.T) {
	s := stored(t)
	overwrite(t, s.rooms(), "")
	s.again(t)
	mentions(t, s.log.wait(t, "it begins without rooms"), s.rooms())
	s.post(t, "/sum/a", "1", "1")
}

// expectFiles expects nothing else in the folder of rooms.
func (s *server) expectFiles(t *testing.T, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(s.rooms()))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, entry := range entries {
		found = append(found, entry.Name())
	}
	if strings.Join(found, " ") != strings.Join(names, " ") {
		t.Errorf("the folder has %q, want %q", found, names)
	}
}

// Where one room of a file is damaged, the others go on. It is refused, over every
// transport, until it is put right, and never overwritten.
func TestDamagedRoom(t *testing.T) {
	s := stored(t)
	s.tolerates = []string{"is damaged"}
	sound, damaged := "31415926535897", "31415926535898"
	overwrite(t, s.rooms(), strings.ReplaceAll(read(t, s.rooms()), sound, damaged))
	s.again(t)
	for range 2 {
		for _, a := range []answer{
			s.ask(t, "GET", "/sum/a", ""),
			s.ask(t, "GET", "/sum/a", "", "Accept: text/event-stream"),
			s.ask(t, "POST", "/sum/a", "1"),
			s.ask(t, "POST", "/sum/a", "1", "Idempotency-Key: client:1"),
		} {
			if a.status != 503 || a.header.Get("Retry-After") == "" {
				t.Errorf("%d %q", a.status, a.body)
			}
		}
		c := s.connect(t)
		c.write(handshake("/sum/a"))
		if a := c.response(); a.status != 503 {
			t.Errorf("a WebSocket: %d", a.status)
		}
	}
	mentions(t, s.log.wait(t, "request refused"), "damaged", "/sum/a", s.rooms())
	s.post(t, "/sum/b", "1", "27182818284591")
	s.post(t, "/sum/c", "1", "1")
	s.stop()
	content := read(t, s.rooms())
	if !strings.Contains(content, damaged) || strings.Contains(content, sound) {
		t.Error("the damaged room is overwritten")
	}
	overwrite(t, s.rooms(), strings.ReplaceAll(content, damaged, sound))
	s.again(t)
	s.post(t, "/sum/a", "1", "31415926535898")
	s.shows(t, "/sum/b", "27182818284591")
	s.shows(t, "/sum/c", "1")
}
