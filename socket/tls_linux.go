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

// tlsLink is the link over TLS on TCP. crypto/tls can only be read by a goroutine
// that waits in it, so a connection has one while it is hot, that is, while it
// has something to say. Once it has been silent for a moment it turns cold: the
// goroutine ends with its stack and its buffer, and a loop waits for the socket
// to wake it.
//
// A silent socket is not all that there is to know: a whole record may wait
// inside of crypto/tls. A read that runs into its deadline tells that none does,
// and leaves the connection as it was.
type tlsLink struct {
	netConn
	loop   *loop
	raw    syscall.RawConn // of the TCP connection below
	driver *goroutineDriver

	posted atomic.Bool

	// Owned by who reads.
	until moment // the deadline for reading

	// Owned by the loop's goroutine.
	slot       int32
	generation int32

	// Guarded by of.mu.
	cold     bool
	room     int              // of the send buffer that nothing has a claim to, when last asked
	control  func(fd uintptr) // asking
	question func(fd int) int
	answer   int
}

// hot is how long a connection is waited for by a goroutine.
const hot = time.Second

// newTLSLink returns the link of conn if it is TLS on TCP, else nil.
func newTLSLink(conn net.Conn, d *goroutineDriver) link {
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
	return &tlsLink{netConn: netConn{conn: conn}, loop: l, raw: raw, driver: d}
}

// read gives what has come within the time that the connection stays hot. The
// first time that is none at all: most begin with a silence.
func (s *tlsLink) read() (*buffer, error) {
	if s.until == 0 {
		s.stay(0)
	}
	b, err := s.netConn.read()
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, s.turnCold()
	case err == nil && s.until.since(now()) < hot/2:
		s.stay(hot)
	}
	s.driver.conn.mu.Lock()
	s.room = max(0, s.room-worstRead)
	s.driver.conn.mu.Unlock()
	return b, err
}

func (s *tlsLink) stay(d time.Duration) {
	s.until = now().add(d)
	_ = s.conn.SetReadDeadline(time.Now().Add(d)) // if it is closed, reading tells
}

// turnCold leaves the waiting to the loop.
func (s *tlsLink) turnCold() error {
	_ = s.conn.SetReadDeadline(time.Time{})
	s.until = s.until.add(-hot) // so that it is set again by what wakes us
	s.driver.conn.mu.Lock()
	defer s.driver.conn.mu.Unlock()
	if s.driver.conn.closing.ended {
		return net.ErrClosed
	}
	s.cold = true
	s.post()
	return errParked
}

func (s *tlsLink) post() { s.loop.post(s, &s.posted) }

// wake lets a goroutine go on reading. Conn.mu is held.
func (s *tlsLink) wake() {
	if s.cold {
		s.cold = false
		go s.driver.run(nil)
	}
}

// event wakes the connection; it was asked for once.
func (s *tlsLink) event(uint32) {
	s.loop.current = nil
	s.driver.conn.mu.Lock()
	defer s.driver.conn.mu.Unlock()
	s.wake()
}

// attend waits for a cold connection and forgets one that has ended.
func (s *tlsLink) attend() {
	s.posted.Store(false)
	s.loop.current = nil
	s.driver.conn.mu.Lock()
	defer s.driver.conn.mu.Unlock()
	switch {
	case s.driver.conn.closing.ended && s.slot > 0:
		s.loop.displace(s.slot)
		s.slot = 0
	case !s.driver.conn.closing.ended && s.cold && s.watch() != nil:
		s.wake() // reading tells what is wrong
	}
}

// watch waits for the socket, for one event.
func (s *tlsLink) watch() (err error) {
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

// A write is made from where a message comes from only if it surely does not
// wait, since crypto/tls can do nothing else. A write waits if a new packet is
// to be begun and the send buffer is full, where the kernel counts memory, not
// bytes: for each packet packetCost besides what is in it, and the client's side
// decides how small packets are. So the room that the kernel has told is used up
// by the worst that a write may take, and asked for again when it is.
const (
	packetCost  = 1280      // an sk_buff with its headers: 0.9 KiB, rounded up
	packetBytes = 48        // in the smallest (sysctl net.ipv4.tcp_min_snd_mss)
	recordBytes = 1 << 10   // in the smallest record of crypto/tls but the last
	recordAdds  = 100       // what a record has besides, with any cipher
	roomMost    = 192 << 10 // for 7 KiB, and tcp_notsent_lowat is rarely set to less than 16
	queuedMost  = 8 << 10
)

// worstWrite is the most that writing n bytes takes of a send buffer.
func worstWrite(n int) int {
	records := n/recordBytes + 1
	n += records * recordAdds
	return n + (n/packetBytes+records)*packetCost
}

// worstRead is the most that the answers to a client's wishes for new keys
// (RFC 8446 section 4.6.3) take before a read comes to an end: crypto/tls writes
// them, and bears with 16 in a row.
const worstRead = 16 * (packetBytes + packetCost)

// tryWrite writes if it is sure not to wait.
func (s *tlsLink) tryWrite(p []byte) (int, error) {
	worst := worstWrite(len(p))
	if s.room < worst {
		s.room = s.ask(roomOf) - worstRead
	}
	if s.room < worst {
		s.room = 0 // what will be written by write is not counted
		return 0, nil
	}
	s.room -= worst
	return s.writeSoon(p)
}

// stuckAfter is how long a write may wait all the same: the kernel takes room
// back that it has told, as from the connection of a client that has vanished.
// Everybody who has something for the client waits meanwhile, and its loop.
const stuckAfter = 200 * time.Millisecond

// errStuck ends a connection whose socket had no room after all: of a TLS record
// that was begun the rest must follow.
var errStuck = errors.New("the socket stopped taking what it had room for")

// writeSoon writes p or fails.
func (s *tlsLink) writeSoon(p []byte) (int, error) {
	_ = s.conn.SetWriteDeadline(time.Now().Add(stuckAfter)) // if it is closed, writing tells
	n, err := s.conn.Write(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return n, errStuck
	}
	_ = s.conn.SetWriteDeadline(time.Time{})
	return n, err
}

// roomOf is what is left of a send buffer, or 0 if too much is in it already.
func roomOf(fd int) int {
	size, queued := sendBuffer(fd)
	if queued > queuedMost {
		return 0
	}
	return min(size, roomMost) - queued
}

// unsent is how many bytes the socket has that the client has not received.
func (s *tlsLink) sendBuffered() int { return s.ask(sendBufferedOf) }

// ask asks the socket, or gives -1 if it is closed.
func (s *tlsLink) ask(question func(fd int) int) int {
	if s.control == nil {
		s.control = s.asking // bound once: no call allocates
	}
	s.question, s.answer = question, -1
	_ = s.raw.Control(s.control) // if it is closed, -1 it is
	return s.answer
}

func (s *tlsLink) asking(fd uintptr) { s.answer = s.question(int(fd)) }

func (s *tlsLink) close() {
	s.netConn.close()
	s.wake()
}

func (s *tlsLink) abort() {
	s.netConn.abort()
	s.wake()
}

func (s *tlsLink) wait() {
	s.netConn.wait()
	s.post()
}
