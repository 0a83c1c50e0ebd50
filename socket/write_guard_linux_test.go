//go:build linux && !nopoll

package socket

import (
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// A write that waits ends, and the next one has its time again.
func TestWriteGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		defer client.Close()
		defer server.Close()
		g := writeGuard{conn: server, hasRoom: func() bool { return false }, watch: new(writeWatch)}
		for range 3 {
			began := time.Now()
			if n, err := g.write([]byte("x")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("nobody reads: %d, %v", n, err)
			}
			if d := time.Since(began); d < waitLimit || d > 2*waitLimit {
				t.Errorf("it waited for %v", d)
			}
			go func() {
				time.Sleep(waitLimit / 2)
				_, _ = client.Read(make([]byte, 1))
			}()
			if n, err := g.write([]byte("y")); n != 1 || err != nil {
				t.Fatalf("somebody reads: %d, %v", n, err)
			}
		}
	})
}

// tardy is a connection whose Write takes its time, without waiting for a client.
type tardy struct{ net.Conn }

func (c tardy) Write(p []byte) (int, error) {
	time.Sleep(5 * waitLimit)
	return c.Conn.Write(p)
}

// A write that a busy machine holds up is not a fault of the connection.
func TestWriteGuardOfABusyMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		defer client.Close()
		defer server.Close()
		go func() { _, _ = client.Read(make([]byte, 1)) }()
		g := writeGuard{conn: tardy{server}, hasRoom: func() bool { return true }, watch: new(writeWatch)}
		if n, err := g.write([]byte("x")); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// Room that is not given is none.
func TestWriteGuardOfABusyKernel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		defer client.Close()
		defer server.Close()
		g := writeGuard{conn: server, hasRoom: func() bool { return true }, watch: new(writeWatch)}
		began := time.Now()
		if n, err := g.write([]byte("x")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d, %v", n, err)
		}
		if d := time.Since(began); d < mostLooks*waitLimit || d > (mostLooks+1)*waitLimit {
			t.Errorf("it waited for %v", d)
		}
	})
}
