package blackbox

import (
	"testing"

	"golang.org/x/sys/unix"
)

// A server that may open no more files keeps the connections it has, and takes
// those that wait as soon as others have gone.
func TestNoDescriptorsLeft(t *testing.T) {
	const leaving, spare, waiting = 50, 30, 40
	s := start(t, "GLOBAL\n debug\nEND\n"+framesConfig) // debug: net/http tells what accepting gave
	first := s.echoing(t, leaving)
	staying := append(s.echoing(t, 1), s.connectTLS(t, s.tls()))
	staying[1].upgrade("/echo")

	s.spareDescriptors(t, spare)
	var late []*socket
	for range spare + waiting {
		c := s.connect(t)
		c.write(handshake("/echo") + text("late"))
		late = append(late, c)
	}
	s.log.wait(t, "too many open files")
	for _, c := range append(staying, first...) {
		c.write(text("still here"))
		c.expectText("still here")
	}
	for _, c := range first {
		c.Close()
	}
	for _, c := range late {
		c.response()
		c.expectText("late")
	}
}

// echoing opens WebSockets.
func (s *server) echoing(t *testing.T, n int) (all []*socket) {
	t.Helper()
	for range n {
		c := s.connect(t)
		c.upgrade("/echo")
		all = append(all, c)
	}
	return all
}

// spareDescriptors lets the server open no more than n files beside those it has.
func (s *server) spareDescriptors(t *testing.T, n int) {
	t.Helper()
	process := s.process.Process.Pid
	var limit unix.Rlimit
	if err := unix.Prlimit(process, unix.RLIMIT_NOFILE, nil, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = uint64(s.descriptors(t) + n)
	if err := unix.Prlimit(process, unix.RLIMIT_NOFILE, &limit, nil); err != nil {
		t.Fatal(err)
	}
}
