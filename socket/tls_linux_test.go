//go:build linux && !nopoll

package socket

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/caddyws/caddy-websocket/frames"
)

// A silent TLS connection has no goroutine; it has one again with the next
// message, also when two records came at once and when it turned cold before.
func TestSecureTurnsColdAndWakes(t *testing.T) {
	server, client := tlsPair(t)
	s := newSession(t, onLoop{server}, client)
	s.start()
	for range 2 {
		s.becomesCold()
		s.say(clientText("one"))
		s.say(clientText("two"), clientText("three"))
		for _, text := range []string{"one", "two", "three"} {
			s.expect(frames.Text, text)
		}
	}
	s.becomesCold()
	s.Close(frames.GoingAway, "")
	s.expectClose(frames.GoingAway)
}

func (s *session) tlsLink() *tlsLink { return s.driver.(*goroutineDriver).link.(*tlsLink) }

// becomesCold waits until no goroutine reads; nothing announces that.
func (s *session) becomesCold() {
	s.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		s.mu.Lock()
		parked := s.tlsLink().parked
		s.mu.Unlock()
		if parked {
			return
		}
		time.Sleep(time.Millisecond)
	}
	s.t.Fatal("the connection stays hot")
}

// Sending never waits for a client that does not read, however small its packets
// and the messages are.
func TestSecureNeverWaitsForTheClient(t *testing.T) {
	for _, segment := range []int{0, 536, 88} {
		for _, size := range []int{0, 32, 125, 1000, 3000, 7000} {
			t.Run(fmt.Sprintf("segments of %d, messages of %d", segment, size), func(t *testing.T) {
				server, client := narrowPair(t, segment)
				server, client = secured(t, server, client)
				s := newSession(t, onLoop{server}, client)
				s.start()
				sent, message := make(chan struct{}), make([]byte, size)
				go func() {
					defer close(sent)
					for s.mayOwe(64 << 10) {
						s.Send(message, true)
					}
				}()
				s.receive("a Send to return", sent)
			})
		}
	}
}

// Sending does not wait either where the kernel takes room back that it has told,
// as it does when a client has vanished: the connection ends.
func TestSecureWaitsForNoRoomThatIsTakenBack(t *testing.T) {
	server, client := narrowPair(t, 536)
	below := server.(*net.TCPConn)
	server, client = secured(t, server, client)
	s := newSession(t, onLoop{server}, client)
	s.start()
	s.Send(make([]byte, 32), true)
	raw, err := below.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	controlled := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, 1) })
	if err := errors.Join(controlled, err); err != nil {
		t.Fatal(err)
	}
	sent, message := make(chan struct{}), make([]byte, 1000)
	go func() {
		defer close(sent)
		for s.hasRoom(roomMost) {
			s.Send(message, true)
		}
	}()
	s.receive("a Send to return", sent)
	if end := s.expectEnd(); !errors.Is(end.Err, errStuck) {
		t.Errorf("ended with %v", end.Err)
	}
}

// hasRoom makes the connection, unless it has ended, believe in a room, as the
// kernel told it before.
func (s *session) hasRoom(room int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tlsLink().room.left = room
	return !s.closing.ended
}

func (s *session) mayOwe(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.owed() < n
}

// narrowPair is a connection whose client asks for packets of a size and for few
// of them.
func narrowPair(t *testing.T, segment int) (server, client net.Conn) {
	if segment == 0 {
		return tcpPair(t)
	}
	return dialedPair(t, &net.Dialer{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		controlled := raw.Control(func(fd uintptr) {
			err = errors.Join(
				unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, segment),
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 1),
			)
		})
		return errors.Join(controlled, err)
	}})
}
