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

// tlsLink is the link over TLS on TCP. Only a goroutine that waits in crypto/tls can
// read from it. A connection has this goroutine while something arrives. After a
// moment of silence it is parked: the goroutine ends, with its stack and its buffer,
// and a loop waits until the socket can be read; then the goroutine is started again.
//
// That the socket is silent does not say that there is nothing to read, since
// crypto/tls may hold a whole record. A read that runs into its deadline says so,
// and leaves the connection as it was.
type tlsLink struct {
	netConn
	driver *goroutineDriver
	loop   *loop
	raw    syscall.RawConn // of the TCP connection below

	posted atomic.Bool

	// Owned by the goroutine that reads.
	deadline moment // for reading; zero before the first read

	// Owned by the loop's goroutine.
	slot       int32
	generation int32

	// Guarded by Conn.mu.
	parked bool
	room   sendRoom
	guard  writeGuard
}

// parkAfter is the silence after which a connection is parked.
const parkAfter = time.Second

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
	t := &tlsLink{netConn: netConn{conn: conn}, driver: d, loop: l, raw: raw}
	t.guard.conn, t.guard.hasRoom, t.guard.watch = conn, t.hasRoom, &l.writes
	return t
}

// read returns what arrives before the connection is to be parked. The first read
// does not wait at all: most connections begin with a silence.
func (l *tlsLink) read() (*buffer, error) {
	if l.deadline == 0 {
		l.setDeadline(0)
	}
	b, err := l.netConn.read()
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, l.park()
	case err == nil && l.deadline.since(now()) < parkAfter/2:
		l.setDeadline(parkAfter)
	}
	return b, err
}

// received uses up the room that reading may have taken.
func (l *tlsLink) received() { l.room.use(worstRead) }

// setDeadline lets reading wait for d.
func (l *tlsLink) setDeadline(d time.Duration) {
	l.deadline = now().add(d)
	_ = l.conn.SetReadDeadline(time.Now().Add(d)) // fails if it is closed, and then so does reading
}

// park leaves waiting to the loop. The error ends the goroutine that reads.
func (l *tlsLink) park() error {
	_ = l.conn.SetReadDeadline(time.Time{})
	l.deadline = l.deadline.add(-parkAfter) // so that the next read sets one
	l.driver.conn.mu.Lock()
	defer l.driver.conn.mu.Unlock()
	if l.driver.conn.closing.ended {
		return net.ErrClosed
	}
	l.parked = true
	l.post()
	return errParked
}

// unpark starts the goroutine that reads again, if it was parked. Conn.mu is held.
func (l *tlsLink) unpark() {
	if l.parked {
		l.parked = false
		go l.driver.run(nil)
	}
}

func (l *tlsLink) post() { l.loop.post(l, &l.posted) }

// event is called when the socket of a parked connection can be read.
func (l *tlsLink) event(uint32) {
	l.loop.current = nil
	l.driver.conn.mu.Lock()
	defer l.driver.conn.mu.Unlock()
	l.unpark()
}

// attend has the loop wait for a connection that was parked, and forget one that
// has ended.
func (l *tlsLink) attend() {
	l.posted.Store(false)
	l.loop.current = nil
	l.driver.conn.mu.Lock()
	defer l.driver.conn.mu.Unlock()
	ended := l.driver.conn.closing.ended
	switch {
	case ended && l.slot > 0:
		l.loop.displace(l.slot)
		l.slot = 0
	case !ended && l.parked && l.watch() != nil:
		l.unpark() // reading tells what is wrong
	}
}

// watch has the loop wait for the socket, for one event.
func (l *tlsLink) watch() (err error) {
	operation := syscall.EPOLL_CTL_MOD
	if l.slot == 0 {
		operation = syscall.EPOLL_CTL_ADD
		l.slot, l.generation = l.loop.place(l)
	}
	event := syscall.EpollEvent{Events: watchRead | unix.EPOLLONESHOT, Fd: l.slot, Pad: l.generation}
	controlled := l.raw.Control(func(fd uintptr) {
		err = syscall.EpollCtl(l.loop.epoll, operation, int(fd), &event)
	})
	return errors.Join(controlled, err)
}

// tryWrite writes if the send buffer surely has room for all of p. It is called
// with Conn.mu held.
func (l *tlsLink) tryWrite(p []byte) (int, error) {
	if !l.room.reserve(l.raw, len(p)) {
		return 0, nil
	}
	n, err := l.guard.write(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return n, errStuck
	}
	return n, err
}

// errStuck ends a connection whose socket had no room after all: the kernel takes room
// back that it has told, for example from the connection of a client that has vanished.
// The rest of a TLS record that was begun could only be sent by waiting, and whatever
// sends to the client would wait with it, be it the loop that other connections share.
var errStuck = errors.New("the socket stopped taking what it had room for")

// hasRoom reports whether a write would not wait. It may be called concurrently.
func (l *tlsLink) hasRoom() (has bool) {
	_ = l.raw.Control(func(fd uintptr) { // fails if it is closed
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 0)
		has = n > 0 && err == nil
	})
	return has
}

func (l *tlsLink) sendBuffered() int { return l.room.ask(l.raw, sendBufferedOf) }

func (l *tlsLink) close() {
	l.netConn.close()
	l.unpark()
}

func (l *tlsLink) abort() {
	l.netConn.abort()
	l.unpark()
}

func (l *tlsLink) wait() {
	l.netConn.wait()
	l.post()
}
