//go:build linux && !nopoll

package socket

import (
	"os"
	"syscall"
	"testing"
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
		if after := descriptors(t); after != before {
			t.Errorf("%d descriptors, before it were %d", after, before)
		}
	}
	l, err := newLoop()
	if err != nil {
		t.Fatal(err)
	}
	l.close()
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
