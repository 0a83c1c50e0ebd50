package blackbox

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// refusal is a POST that is not answered with a reply.
type refusal struct {
	status int
	code   string
	retry  bool
	id     any
}

// check compares the response to a POST that asks for JSON.
func (want refusal) check(t *testing.T, got answer) {
	t.Helper()
	a, err := parseTold(got.body)
	if err != nil {
		t.Fatalf("%+v: %v", got, err)
	}
	if now := (refusal{got.status, a.Code, a.Retry, a.ID}); now != want || a.Type != "error" || a.Error == "" {
		t.Errorf("%d %s, want %+v", got.status, got.body, want)
	}
	if media := got.header.Get("Content-Type"); media != "application/json" {
		t.Errorf("Content-Type: %s", media)
	}
	if again := got.header.Get("Retry-After") != ""; again != (want.status == http.StatusServiceUnavailable) {
		t.Errorf("%d with Retry-After %q", got.status, got.header.Get("Retry-After"))
	}
}

// counts expects a POST to be answered with this total, as a repeat or not.
func counts(t *testing.T, got answer, total string, repeat bool) {
	t.Helper()
	a, err := parseTold(got.body)
	if err != nil || got.status != http.StatusOK || a.Type != "reply" || a.Total.String() != total || a.Repeat != repeat {
		t.Errorf("%d %s, %v, want the total %s, repeat %t", got.status, got.body, err, total, repeat)
	}
}

// While the disk refuses, operations are refused and the last total is shown. When it
// is well again, so is Caddy, and what was refused can be sent again.
func TestDiskThatRefusesForAWhile(t *testing.T) {
	s := start(t, writersConfig)
	s.tolerates = []string{"input/output error"}
	socket := s.sender(t, "/sum/a", false)
	if a := socket.do(operation{id: "ws:1", value: "1"}); a.Type != "reply" {
		t.Fatal(a.raw)
	}
	mend := s.spoil(t, "fdatasync:error=EIO")
	for _, keys := range [][]string{nil, {"Idempotency-Key: post:1"}, {"Idempotency-Key: " + aRandomKey}} {
		refusal{503, "unavailable", true, nil}.check(t, s.ask(t, "POST", "/sum/a", "1", append(keys, wantsJSON)...))
		s.shows(t, "/sum/a", "1")
	}
	refusal{503, "unavailable", true, "hello"}.check(t, s.ask(t, "POST", "/sum/a", `{"value":1,"id":"hello"}`, wantsJSON))
	refusal{503, "unavailable", true, nil}.check(t, s.ask(t, "POST", "/sum/new", "1", wantsJSON))
	if a := socket.do(operation{id: "ws:2", value: "1"}); a.Type != "error" || a.Code != "unavailable" || !a.Retry || a.ID != "ws:2" {
		t.Errorf("the WebSocket is told %s", a.raw)
	}
	if a := socket.do(operation{id: "ws:3", value: "1"}); a.Code != "expected" || a.Error != "expected ws:2" || !a.Retry {
		t.Errorf("the WebSocket is told %s", a.raw)
	}
	mend()
	s.shows(t, "/sum/a", "1")
	counts(t, s.ask(t, "POST", "/sum/a", "1", "Idempotency-Key: post:1", wantsJSON), "2", false)
	counts(t, s.ask(t, "POST", "/sum/a", "1", "Idempotency-Key: "+aRandomKey, wantsJSON), "3", false)
	if a := socket.do(operation{id: "ws:2", value: "1"}); a.Total != "4" || a.Repeat {
		t.Errorf("the WebSocket is told %s", a.raw)
	}
	s.kill(t)
	s.again(t)
	s.shows(t, "/sum/a", "4")
	s.shows(t, "/sum/new", "0")
}

// When the disk does not even tell what it has, a client is told so, after some time.
// What was sent with an id counts once when it is sent again, and without one at most
// once.
func TestDiskThatIsSilentForAWhile(t *testing.T) {
	for name, test := range map[string]func(*testing.T, *server, func() func()) uint64{
		"POST with an id": func(t *testing.T, s *server, spoil func() func()) uint64 {
			mend := spoil()
			refusal{504, "unknown", true, nil}.check(t, s.ask(t, "POST", "/sum/a", "1", "Idempotency-Key: client:2", wantsJSON))
			mend()
			isSecond(t, s.sender(t, "/sum/a", true).do(operation{id: "client:2", value: "1"}))
			return 2
		},
		"WebSocket": func(t *testing.T, s *server, spoil func() func()) uint64 {
			socket := s.sender(t, "/sum/a", false)
			mend := spoil()
			if a := socket.do(operation{id: "client:2", value: "1"}); a.Type != "error" || a.Code != "unknown" || !a.Retry || a.ID != "client:2" {
				t.Errorf("told %s", a.raw)
			}
			mend()
			isSecond(t, socket.do(operation{id: "client:2", value: "1"}))
			return 2
		},
		"POST without an id": func(t *testing.T, s *server, spoil func() func()) uint64 {
			mend := spoil()
			refusal{504, "unknown", false, nil}.check(t, s.ask(t, "POST", "/sum/a", "1", wantsJSON))
			mend()
			s.sender(t, "/sum/a", true).do(operation{value: "0"})
			return s.state(t, "/sum/a").Version
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each takes ten seconds
			s := start(t, writersConfig)
			s.tolerates = []string{"input/output error", "context deadline exceeded"}
			counts(t, s.ask(t, "POST", "/sum/a", "1", "Idempotency-Key: client:1", wantsJSON), "1", false)
			version := test(t, s, func() func() { return s.spoil(t, "fdatasync,fsync:error=EIO") })
			before := s.state(t, "/sum/a")
			if before.Version != version || version > 3 || before.Total.String() > "2" {
				t.Errorf("the state is %s", before.raw)
			}
			s.kill(t)
			s.again(t)
			if now := s.state(t, "/sum/a"); now != before {
				t.Errorf("%s was shown, and %s after a kill", before.raw, now.raw)
			}
		})
	}
}

// isSecond expects the reply to the second operation of a room, whether it is a
// repeat or not.
func isSecond(t *testing.T, a told) {
	t.Helper()
	if a.Type != "reply" || a.Total != "2" || a.Version != 2 {
		t.Errorf("sent again: %s", a.raw)
	}
}

// tmpfs mounts a small file system. remount gives it another size, or makes it "ro".
func tmpfs(t *testing.T, options string) (folder string, remount func(options string)) {
	t.Helper()
	folder = t.TempDir()
	if os.Getuid() != 0 {
		t.Skip("only root may mount a small file system")
	}
	if err := syscall.Mount("none", folder, "tmpfs", 0, options); err != nil {
		missing(t, "a small file system cannot be mounted: "+err.Error())
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return folder, func(options string) {
		t.Helper()
		var flags uintptr = syscall.MS_REMOUNT
		if options == "ro" {
			flags, options = flags|syscall.MS_RDONLY, ""
		}
		if err := syscall.Mount("none", folder, "tmpfs", flags, options); err != nil {
			t.Fatal(err)
		}
	}
}

// inFile is writersConfig with a file of rooms.
func inFile(path string) string {
	return strings.Replace(writersConfig, "drain off", "drain off\nengine bolt "+path, 1)
}

// On a disk that is full operations are refused, and none is lost or counted later on.
// Everything that was there stays to be seen, and when there is place again, all goes on.
func TestDiskThatIsFull(t *testing.T) {
	folder, remount := tmpfs(t, "size=256k")
	file := filepath.Join(folder, "rooms.db")
	s := start(t, inFile(file))
	s.tolerates = []string{"no space left on device"}
	room := func(i int) string { return "/sum/" + strconv.Itoa(i) }
	n := s.fillRooms(t, room)
	mentions(t, s.log.wait(t, "rooms cannot be stored"), file, "no space left on device")
	t.Logf("there is place for %d rooms", n)
	refusal{503, "unavailable", true, nil}.check(t, s.ask(t, "POST", room(n), "1", "Idempotency-Key: client:1", wantsJSON))
	for i := range n {
		s.shows(t, room(i), "1")
	}
	s.shows(t, room(n), "0")
	remount("size=8m")
	counts(t, s.ask(t, "POST", room(n), "1", "Idempotency-Key: client:1", wantsJSON), "1", false)
	counts(t, s.ask(t, "POST", room(n), "1", "Idempotency-Key: client:1", wantsJSON), "1", true)
	mentions(t, s.log.wait(t, "rooms can be stored again"), file)
	s.kill(t)
	s.again(t)
	for i := range n + 1 {
		s.shows(t, room(i), "1")
	}
}

// fillRooms adds 1 in one room after the other until that is refused, which it must be.
// It returns in how many it was done.
func (s *server) fillRooms(t *testing.T, room func(int) string) int {
	t.Helper()
	for i := range 10000 {
		c := s.sender(t, room(i), true)
		a := c.do(operation{id: "client:1", value: "1"})
		c.Close()
		switch {
		case a.status == http.StatusOK && a.Total == "1":
			continue
		case a.status != http.StatusServiceUnavailable || a.Code != "unavailable" || !a.Retry:
			t.Fatalf("room %d: %+v", i, a)
		}
		return i
	}
	t.Fatal("the disk does not become full")
	return 0
}

// On a disk that is full when Caddy starts there is no file, or the one that was
// there, and no half of one.
func TestStartOnAFullDisk(t *testing.T) {
	folder, remount := tmpfs(t, "size=16k")
	file, ballast := filepath.Join(folder, "rooms.db"), filepath.Join(folder, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 16<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	s := prepare(t, inFile(file))
	mentions(t, s.fails(t), file, "no space left on device")
	left, err := filepath.Glob(file)
	if err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
	remount("size=8m")
	s.again(t)
	t.Cleanup(s.stop)
	s.post(t, "/sum/a", "1", "1")
}

// withoutOverride returns a command that takes from root the right to write where
// files and folders do not allow it.
func withoutOverride(t *testing.T) []string {
	if os.Getuid() != 0 {
		return nil
	}
	command := []string{need(t, "setpriv"), "--bounding-set=-dac_override,-dac_read_search"}
	if output, err := exec.Command(command[0], command[1], "true").CombinedOutput(); err != nil {
		missing(t, "root may not give up rights: "+err.Error()+"\n"+string(output))
	}
	return command
}

// Where Caddy may not write it does not start and says why, and what to do. What is
// there stays as it is.
func TestStartWhereNothingCanBeWritten(t *testing.T) {
	t.Run("file system", func(t *testing.T) {
		folder, remount := tmpfs(t, "size=8m")
		file := filepath.Join(folder, "rooms.db")
		s := prepare(t, inFile(file))
		remount("ro")
		mentions(t, s.fails(t), file, "read-only file system", "engine bolt <path>")
		remount("size=8m")
		s.keepsFile(t, nil, file, func() { remount("ro") }, func() { remount("size=8m") }, "read-only file system", "engine bolt <path>")
	})
	for name, forbidden := range map[string]struct {
		allow, forbid os.FileMode
		which         func(file string) string
	}{
		"folder": {0o700, 0o500, filepath.Dir},
		"file":   {0o600, 0o400, func(file string) string { return file }},
		"lock":   {0o600, 0o400, func(file string) string { return file + ".lock" }},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "rooms.db")
			s, change := prepare(t, inFile(file)), func(mode os.FileMode) {
				if err := os.Chmod(forbidden.which(file), mode); err != nil {
					t.Fatal(err)
				}
			}
			through := withoutOverride(t)
			if name == "folder" {
				change(forbidden.forbid)
				mentions(t, s.fails(t, through...), file, "permission denied", "the user that runs Caddy")
				change(forbidden.allow)
				return
			}
			s.keepsFile(t, through, file, func() { change(forbidden.forbid) }, func() { change(forbidden.allow) }, "permission denied", "the user that runs Caddy")
		})
	}
}

// keepsFile starts Caddy, which must fail with an error while something is forbidden,
// and go on with what it had stored when it is allowed again.
func (s *server) keepsFile(t *testing.T, through []string, file string, forbid, allow func(), errs ...string) {
	t.Helper()
	s.again(t, through...)
	s.post(t, "/sum/a", "1", "1")
	s.stop()
	before := read(t, file)
	forbid()
	mentions(t, s.fails(t, through...), append(errs, file)...)
	if read(t, file) != before {
		t.Error("the file is changed")
	}
	allow()
	s.again(t, through...)
	s.post(t, "/sum/a", "1", "2")
	s.stop()
}

// The same where the disk takes its time.
func TestRepeatsOfAPostThatWaitsForTheDisk(t *testing.T) {
	s := start(t, writersConfig)
	defer s.spoil(t, "fdatasync:delay_enter=200000")()
	s.isCountedOnce(t, "c:1", aRandomKey)
}
