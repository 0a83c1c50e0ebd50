package blackbox

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Servers that end in one way or another and are started again over what they have
// left.

// kill ends Caddy as nothing else does: it can do nothing about it.
func (s *server) kill(t *testing.T) {
	t.Helper()
	if err := s.process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.ended
	s.stopped.Do(s.checkLog)
}

// again starts Caddy over what it has left, on the same ports, as an argument of
// another command if one is given.
func (s *server) again(t *testing.T, through ...string) {
	t.Helper()
	for range 5 {
		if s.run(t, through...) {
			return
		}
		if !s.log.has("address already in use") {
			break
		}
	}
	t.Fatalf("Caddy did not start again:\n%s", s.log)
}

// fails starts Caddy, which must end by itself, and returns what it says.
func (s *server) fails(t *testing.T, through ...string) string {
	t.Helper()
	if s.run(t, through...) {
		s.stop()
		t.Fatalf("Caddy has started:\n%s", s.log)
	}
	<-s.ended
	s.stopped.Do(func() {}) // it has nothing to stop, and its log has an error
	if s.err == nil {
		t.Errorf("Caddy ended with success:\n%s", s.log)
	}
	return s.log.String()
}

// rooms is the file in which rooms are kept.
func (s *server) rooms() string { return filepath.Join(s.dir, "caddy", "websocket", "rooms.db") }

// read returns the bytes of a file.
func read(t *testing.T, path string) string {
	t.Helper()
	p, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(p)
}

// overwrite gives a file another content. It stays the same file.
func overwrite(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// mentions expects a text to have all these in one line.
func mentions(t *testing.T, text string, all ...string) {
	t.Helper()
	for line := range strings.Lines(text) {
		missing := 0
		for _, part := range all {
			if !strings.Contains(line, part) {
				missing++
			}
		}
		if missing == 0 {
			return
		}
	}
	t.Errorf("no line has all of %q:\n%s", all, text)
}
