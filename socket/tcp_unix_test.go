//go:build unix

package socket

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/caddyws/caddy-websocket/frames"
)

// An idle connection holds no buffer: neither for reading, nor for writing, nor
// for what was incomplete.
func TestIdleConnHoldsNoBuffer(t *testing.T) {
	server, client := tcpPair(t)
	s := newSession(t, server, client)
	link := s.link.(*tcp)
	d := &goroutineDriver{link: link, conn: s.Conn}
	s.Conn.start(d, frames.Deflate{})
	s.say(clientText("hello")[:3])
	read := make(chan struct{})
	go func() {
		defer close(read)
		b, err := link.read()
		if err != nil {
			t.Error(err)
			return
		}
		d.receive(b.b)
		putBuffer(b)
	}()
	s.receive("the first read", read)
	d.receive(clientText("hello")[3:])
	if s.in.partial != nil || cap(s.out.segments) > keepSegments || !s.out.empty() || link.out != nil {
		t.Errorf("holds %+v, %+v, %+v", s.in, s.out, link)
	}
	err := link.raw.Control(func(fd uintptr) {
		if link.receive(fd) || link.in != nil {
			t.Error("holds a buffer while it waits for more")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	s.expect(1, "hello")
	s.abortForTest()
}

// abortForTest ends a Conn that is not served.
func (s *session) abortForTest() {
	s.link.abort()
	s.client.Close()
}

// A client that reads slowly but all the time is not one that takes nothing,
// though the socket says for long that it has no room. A machine that is too busy to
// read all the time has more of it.
func TestSlowReaderIsNotCut(t *testing.T) {
	for name, server := range map[string]func(net.Conn) net.Conn{
		"tcp":  func(c net.Conn) net.Conn { return c },
		"loop": func(c net.Conn) net.Conn { return onLoop{c} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for timeout := 4 * time.Second; !readSlowly(t, server, timeout); {
				timeout *= 2
			}
		})
	}
}

// readSlowly reads for more than twice the write timeout, and reports whether it could all the
// time. Then the connection is still there.
func readSlowly(t *testing.T, server func(net.Conn) net.Conn, timeout time.Duration) bool {
	t.Helper()
	below, client := tcpPair(t)
	s := newSession(t, server(below), client)
	patient := testSettings()
	patient.WriteTimeout, patient.MaxQueue = timeout, 64<<20
	s.settings.Store(patient)
	s.start()
	message := make([]byte, 1<<20)
	for range 32 {
		s.Send(message, true)
	}
	p := make([]byte, 16<<10) // so little that the socket has no room for longer than the timeout
	for range 90 {
		began := time.Now()
		time.Sleep(timeout / 40) // it is slow
		_, err := io.ReadFull(client, p)
		if took := time.Since(began); took > timeout/2 {
			t.Logf("nothing is read for %v", took)
			return false
		}
		if err != nil {
			t.Fatalf("%v: %+v", err, s.expectEnd())
		}
	}
	if s.hasEnded() {
		t.Errorf("it was cut: %+v", s.expectEnd())
	}
	return true
}
