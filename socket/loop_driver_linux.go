//go:build linux && !nopoll

package socket

import (
	"io"
	"math"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// loopDriver drives a plain TCP connection from a loop. Nothing of it waits.
type loopDriver struct {
	// Immutable.
	loop *loop
	conn *Conn
	fd   int

	posted   atomic.Bool
	attended atomic.Bool // the loop works for the connection and will see, within this tick, whether it has ended

	// Owned by the loop's goroutine, which learns of it by an event or a post.
	stash  *buffer // what was read and not handed over, while paused
	paused bool    // nothing is read
	closed bool

	// Guarded by conn.mu.
	watching   uint32
	slot       int32
	generation int32
	released   bool
}

// startOnLoop has a loop serve a plain TCP connection. It reports false, having done
// nothing, if a goroutine must serve it. The descriptor is duplicated and t.Conn is
// closed, so that the runtime's poller and net/http's buffers are let go.
func startOnLoop(c *Conn, t Transport) bool {
	tcp, ok := t.Conn.(*net.TCPConn)
	if !ok {
		return false
	}
	l := pickLoop()
	if l == nil {
		return false
	}
	fd, err := duplicate(tcp)
	if err != nil {
		return false
	}
	_ = tcp.Close() // the duplicate is the connection now
	d := &loopDriver{loop: l, conn: c, fd: fd, paused: len(t.Buffered) > 0, stash: stashed(t.Buffered)}
	c.countIn(len(t.Buffered)) // what is stashed counts when it is read
	c.start(d, t.Deflate)
	d.begin()
	return true
}

func duplicate(conn *net.TCPConn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1, err
	}
	var dup uintptr
	var errno syscall.Errno
	err = raw.Control(func(fd uintptr) {
		dup, _, errno = syscall.RawSyscall(syscall.SYS_FCNTL, fd, syscall.F_DUPFD_CLOEXEC, 0)
	})
	if err == nil && errno != 0 {
		err = errno
	}
	return int(dup), err
}

// begin lets the loop serve the connection. The loop is woken only if there is
// something to hand over already.
func (d *loopDriver) begin() {
	if d.paused {
		d.resume()
		return
	}
	d.add()
}

// stashed returns a copy of what is left to be handed over, or nil if nothing is.
func stashed(rest []byte) *buffer {
	if len(rest) == 0 {
		return nil
	}
	b := getBuffer(len(rest))
	b.b = append(b.b, rest...)
	return b
}

// event acts on what the socket is ready for.
func (d *loopDriver) event(events uint32) {
	d.attended.Store(true)
	d.loop.current = d
	d.loop.touched = append(d.loop.touched, d)
	if events&watchWrite != 0 {
		d.writable()
	}
	switch {
	case events&watchRead != 0:
		d.receive()
	case events&broken != 0:
		d.conn.lost(io.EOF)
	}
}

// attend begins, reads on, or ends, whichever the post was about.
func (d *loopDriver) attend() {
	d.posted.Store(false)
	d.loop.current = d
	d.add()
	if d.paused && !d.mustWait() {
		d.readOn()
	}
	d.loop.touched = append(d.loop.touched, d)
}

// mustWait reports whether the client must still wait for its answers.
func (d *loopDriver) mustWait() bool {
	d.conn.mu.Lock()
	defer d.conn.mu.Unlock()
	return d.conn.isPaused()
}

// add has the loop wait for the connection, if it does not yet.
func (d *loopDriver) add() {
	d.conn.mu.Lock()
	defer d.conn.mu.Unlock()
	if d.slot > 0 || d.conn.closing.ended {
		return
	}
	d.slot, d.generation = d.loop.place(d)
	d.watching |= watchRead
	event := syscall.EpollEvent{Events: d.watching, Fd: d.slot, Pad: d.generation}
	if err := syscall.EpollCtl(d.loop.epoll, syscall.EPOLL_CTL_ADD, d.fd, &event); err != nil {
		d.conn.cut(os.NewSyscallError("epoll_ctl", err))
	}
}

// receive reads once and hands over what came.
func (d *loopDriver) receive() {
	if d.paused || d.closed {
		return
	}
	n, err := receive(d.fd, d.loop.buffer)
	switch {
	case n > 0:
		d.handOver(d.loop.buffer[:n], n)
	case err == syscall.EAGAIN:
	case err != nil:
		d.conn.lost(err)
	default:
		reader{d.conn}.hungUp()
		d.paused = true // the end is all there is to read
		d.watch(watchRead, false)
	}
}

// readOn goes on with what was stashed, and then with reading.
func (d *loopDriver) readOn() {
	b := d.stash
	d.paused, d.stash = false, nil
	d.watch(watchRead, true)
	if b != nil {
		d.handOver(b.b, 0)
		putBuffer(b)
	}
}

// handOver hands over bytes, of which so many have just arrived. It keeps the rest
// if the client has to wait for its answers.
func (d *loopDriver) handOver(p []byte, arrived int) {
	r := reader{d.conn}
	r.beginRead(arrived)
	d.loop.handed = append(d.loop.handed, d)
	if rest := r.consume(p); len(rest) > 0 {
		d.paused, d.stash = true, stashed(rest)
		d.watch(watchRead, false)
	}
}

// finishIfEnded gives the descriptor back once the connection has ended.
func (d *loopDriver) finishIfEnded() {
	if d.closed {
		return
	}
	d.attended.Store(false) // from here on the loop must be told of the end
	if !d.conn.hasEnded() {
		return
	}
	d.closed = true
	putBuffer(d.stash)
	d.stash = nil
	d.finish()
}

// finish gives up the connection and tells the handler.
func (d *loopDriver) finish() {
	d.conn.mu.Lock()
	if d.slot > 0 {
		d.loop.displace(d.slot)
	}
	d.release()
	end := d.conn.clear(nil)
	d.conn.mu.Unlock()
	d.conn.handler.Closed(end)
}

// resume posts the connection to its loop, which goes on with what was stashed.
func (d *loopDriver) resume() { d.loop.post(d, &d.posted) }

// writable writes what the socket now takes.
func (d *loopDriver) writable() {
	d.conn.mu.Lock()
	defer d.conn.mu.Unlock()
	d.flush()
}

// flush writes what the socket takes of what is left. While something is, the loop
// watches for more room.
func (d *loopDriver) flush() {
	p := d.conn.unwritten()
	for len(p) > 0 {
		n, err := d.tryWrite(p)
		if n == 0 && err == nil {
			break
		}
		p = d.conn.wrote(n, err)
	}
	d.watchLocked(watchWrite, len(p) > 0)
}

// watch changes what the loop waits for.
func (d *loopDriver) watch(what uint32, on bool) {
	d.conn.mu.Lock()
	defer d.conn.mu.Unlock()
	d.watchLocked(what, on)
}

// watchLocked is watch with Conn.mu held.
func (d *loopDriver) watchLocked(what uint32, on bool) {
	wanted := d.watching &^ what
	if on {
		wanted |= what
	}
	if wanted == d.watching {
		return
	}
	d.watching = wanted
	if d.generation == 0 || d.conn.closing.ended {
		return // the loop is told when the connection is added, or need not be told any more
	}
	event := syscall.EpollEvent{Events: wanted, Fd: d.slot, Pad: d.generation}
	_ = syscall.EpollCtl(d.loop.epoll, syscall.EPOLL_CTL_MOD, d.fd, &event) // it cannot fail: the descriptor was added
}

func (*loopDriver) received() {}

func (d *loopDriver) tryWrite(p []byte) (int, error) {
	n, err := send(d.fd, p)
	if err == syscall.EAGAIN {
		return 0, nil
	}
	return max(n, 0), err
}

func (d *loopDriver) sendBuffered() int {
	if d.released {
		return -1
	}
	return sendBufferedOf(d.fd)
}

// blocked relies on flush, which has written what the socket takes.
func (d *loopDriver) blocked() time.Duration {
	if d.conn.out.flushing() {
		return math.MaxInt64
	}
	return 0
}

func (d *loopDriver) closeWrite() { _ = syscall.Shutdown(d.fd, syscall.SHUT_WR) } // the connection ends either way

func (d *loopDriver) close() { d.abort() }

// abort leaves closing the descriptor to the loop. Unless the loop works for the
// connection at the moment, it is woken by a post.
func (d *loopDriver) abort() {
	if !d.released && !d.attended.Load() {
		_ = syscall.Shutdown(d.fd, syscall.SHUT_RDWR) // the connection ends either way
		d.loop.post(d, &d.posted)
	}
}

// release closes the descriptor. Nothing is written to it any more.
func (d *loopDriver) release() {
	d.released = true
	_ = syscall.Close(d.fd) // an error changes nothing: the connection is over
}

// receive and send are system calls on sockets that do not block. As they never wait,
// the scheduler need not be told of them.
func receive(fd int, p []byte) (int, error) { return transfer(syscall.SYS_READ, fd, p) }

func send(fd int, p []byte) (int, error) { return transfer(syscall.SYS_WRITE, fd, p) }

func transfer(call uintptr, fd int, p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, _, errno := syscall.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p))) //nolint:gosec // the kernel is done with p when it returns
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}
