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
		g := writeGuard{conn: server, watch: new(writeWatch)}
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

// tardy is a connection whose Write takes its time, without waiting for a client: a
// deadline does not end it.
type tardy struct {
	net.Conn
	deadline time.Time
}

func (c *tardy) SetWriteDeadline(d time.Time) error {
	c.deadline = d
	return nil
}

func (c *tardy) Write(p []byte) (int, error) {
	time.Sleep(10 * waitLimit)
	return len(p), nil
}

// A write that a busy machine holds up is not a fault of the connection.
func TestWriteGuardOfABusyMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := new(tardy)
		g := writeGuard{conn: c, watch: new(writeWatch)}
		if n, err := g.write([]byte("x")); n != 1 || err != nil || !c.deadline.IsZero() {
			t.Errorf("%d, %v; the deadline is %v", n, err, c.deadline)
		}
	})
}
