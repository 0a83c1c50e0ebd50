//go:build linux && !nopoll

package socket

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// secure is the link over TLS on TCP. crypto/tls can only be read by a goroutine
// that waits in it, so a connection has one while it is hot, that is, while it
// has something to say. Once it has been silent for a moment it turns cold: the
// goroutine ends with its stack and its buffer, and a loop waits for the socket
// to wake it.
//
// A silent socket is not all that there is to know: a whole record may wait
// inside of crypto/tls. A read that runs into its deadline tells that none does,
// and leaves the connection as it was.
type secure struct {
	stream
	loop *loop
	raw  syscall.RawConn // of the TCP connection below
	of   *Conn

	posted atomic.Bool

	// Owned by who reads.
	until time.Time // the deadline for reading

	// Owned by the loop's goroutine.
	slot       int32
	generation int32

	// Guarded by of.mu.
	cold   bool
	ask    func(fd uintptr) // askUnsent
	answer int
}

// hot is how long a connection is waited for by a goroutine.
const hot = time.Second

// errCold ends the reading goroutine: it is started anew when there is something
// to read.
var errCold = errors.New("connection has turned cold")

// newSecure returns the link of conn if it is TLS on TCP, else nil.
func newSecure(conn net.Conn, c *Conn) link {
	secured, ok := conn.(*tls.Conn)
	if !ok {
		return nil
	}
	below, ok := secured.NetConn().(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := below.SyscallConn()
	l := pickLoop()
	if err != nil || l == nil {
		return nil
	}
	return &secure{stream: stream{conn: conn}, loop: l, raw: raw, of: c}
}

// read gives what has come within the time that the connection stays hot. The
// first time that is none at all: most begin with a silence.
func (s *secure) read() (*buffer, error) {
	if s.until.IsZero() {
		s.stayUntil(time.Now())
	}
	b, err := s.stream.read()
	now := time.Now()
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, s.turnCold()
	case err == nil && s.until.Sub(now) < hot/2:
		s.stayUntil(now.Add(hot))
	}
	return b, err
}

func (s *secure) stayUntil(deadline time.Time) {
	s.until = deadline
	_ = s.conn.SetReadDeadline(deadline) // if it is closed, reading tells
}

// turnCold leaves the waiting to the loop.
func (s *secure) turnCold() error {
	_ = s.conn.SetReadDeadline(time.Time{})
	s.until = s.until.Add(-hot) // so that it is set again by what wakes us
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	if s.of.gone {
		return net.ErrClosed
	}
	s.cold = true
	s.post()
	return errCold
}

func (s *secure) post() { s.loop.post(s, &s.posted) }

// wake lets a goroutine go on reading. Conn.mu is held.
func (s *secure) wake() {
	if s.cold {
		s.cold = false
		go s.of.run(nil)
	}
}

// event wakes the connection; it was asked for once.
func (s *secure) event(uint32) {
	s.loop.current = nil
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.wake()
}

// attend waits for a cold connection and forgets one that has ended.
func (s *secure) attend() {
	s.posted.Store(false)
	s.loop.current = nil
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	switch {
	case s.of.gone && s.slot > 0:
		s.loop.displace(s.slot)
		s.slot = 0
	case !s.of.gone && s.cold && s.watch() != nil:
		s.wake() // reading tells what is wrong
	}
}

// watch waits for the socket, for one event.
func (s *secure) watch() (err error) {
	operation := syscall.EPOLL_CTL_MOD
	if s.slot == 0 {
		operation = syscall.EPOLL_CTL_ADD
		s.slot, s.generation = s.loop.place(s)
	}
	event := syscall.EpollEvent{Events: watchRead | unix.EPOLLONESHOT, Fd: s.slot, Pad: s.generation}
	controlled := s.raw.Control(func(fd uintptr) {
		err = syscall.EpollCtl(s.loop.epoll, operation, int(fd), &event)
	})
	return errors.Join(controlled, err)
}

// inlineWrite is how much surely goes into an empty send buffer, whose smallest
// size is 16 KiB by default (tcp(7), tcp_wmem), with what TLS adds.
const inlineWrite = 8 << 10

// tryWrite writes if it is sure not to wait: a little, and everything before has
// been received.
func (s *secure) tryWrite(p []byte) (int, error) {
	if len(p) > inlineWrite || s.unsent() != 0 {
		return 0, nil
	}
	return s.conn.Write(p)
}

// unsent is how many bytes the socket has that the client has not received.
func (s *secure) unsent() int {
	if s.ask == nil {
		s.ask = s.askUnsent // bound once: no call allocates
	}
	s.answer = -1
	_ = s.raw.Control(s.ask) // if it is closed, -1 it is
	return s.answer
}

func (s *secure) askUnsent(fd uintptr) {
	s.answer = unsentOf(int(fd))
}

func (s *secure) close() {
	s.stream.close()
	s.wake()
}

func (s *secure) abort() {
	s.stream.abort()
	s.wake()
}

func (s *secure) wait() {
	s.stream.wait()
	s.post()
}
