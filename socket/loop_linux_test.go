//go:build linux && !nopoll

package socket

import (
	"os"
	"syscall"
	"testing"

	"github.com/caddyws/caddy-websocket/frames"
)

// A process without descriptors gets no loop, loses none to the attempt, and may
// try again.
func TestLoopWithoutDescriptors(t *testing.T) {
	for _, left := range []uint64{0, 1} {
		before := descriptors(t)
		restore := leaveDescriptors(t, left)
		l, err := newLoop()
		restore()
		if err == nil {
			l.close()
			t.Errorf("a loop was made of %d descriptors", left)
		}
		if after := descriptors(t); after > before { // fewer if an earlier test's end comes late
			t.Errorf("%d descriptors, before it were %d", after, before)
		}
	}
	l, err := newLoop()
	if err != nil {
		t.Fatal(err)
	}
	l.close()
}

// A loop is not woken for a connection that has nothing to say yet: it has it
// already.
func TestStartAddsTheConnectionItself(t *testing.T) {
	server, client := tcpPair(t)
	s := newSession(t, onLoop{server}, client)
	s.start()
	s.mu.Lock()
	d := s.driver.(*loopDriver)
	slot, posted := d.slot, d.posted.Load()
	s.mu.Unlock()
	if slot == 0 || posted {
		t.Errorf("the connection has slot %d after Start, posted: %t", slot, posted)
	}
	s.say(clientText("hello"))
	s.expect(frames.Text, "hello")
}

// A loop that is at a connection looks whether it has ended, and need not be told.
func TestALoopIsNotToldOfWhatEndsMeanwhile(t *testing.T) {
	server, client := tcpPair(t)
	s := newSession(t, onLoop{server}, client)
	told := make(chan bool, 1)
	s.message = func([]byte, bool) {
		s.Abort()
		told <- s.driver.(*loopDriver).posted.Load()
	}
	s.start()
	s.say(clientText("hello"))
	s.expectEnd()
	if <-told {
		t.Error("it was told")
	}
}

// leaveDescriptors allows the process only so many more.
func leaveDescriptors(t *testing.T, n uint64) (restore func()) {
	t.Helper()
	var all, few syscall.Rlimit
	next, err := os.Open(os.DevNull) // takes the lowest that is free
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &all); err != nil {
		t.Fatal(err)
	}
	few = all
	few.Cur = uint64(next.Fd()) + n
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &all); err != nil {
			t.Fatal(err)
		}
	}
}
