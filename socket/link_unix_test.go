//go:build unix

package socket

import "testing"

// An idle connection holds no buffer: neither for reading, nor for writing, nor
// for what was incomplete.
func TestIdleConnHoldsNoBuffer(t *testing.T) {
	server, client := tcpPair(t)
	s := newSession(t, server, client)
	link := s.link.(*tcp)
	s.Conn.start(link, &Upgraded{})
	s.say(clientText("hello")[:3])
	read := make(chan struct{})
	go func() {
		defer close(read)
		b, err := link.read()
		if err != nil {
			t.Error(err)
			return
		}
		s.feed(b.b)
		putBuffer(b)
	}()
	s.receive("the first read", read)
	s.feed(clientText("hello")[3:])
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
