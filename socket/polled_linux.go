//go:build linux && !nopoll

package socket

import (
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// polled is the link of a connection that a loop serves.
type polled struct {
	// Immutable.
	loop *loop
	conn *Conn
	fd   int

	posted   atomic.Bool
	attended atomic.Bool // the loop is at it and will look, within this tick, whether it has ended

	// Owned by the loop's goroutine, which is told of it by an event or a post.
	stash  *buffer // what was read and not handed over, while paused
	paused bool
	closed bool

	// Guarded by conn.mu.
	watching   uint32
	slot       int32
	generation int32
	released   bool
}

// newPolled returns the link of conn over a loop, or nil if it must be served
// by a goroutine. The descriptor is duplicated and conn closed, so that the
// runtime's poller and net/http's buffers are let go.
func newPolled(conn net.Conn, c *Conn) *polled {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	l := pickLoop()
	if l == nil {
		return nil
	}
	fd, err := duplicate(tcp)
	if err != nil {
		return nil
	}
	_ = tcp.Close() // the duplicate is the connection now
	return &polled{loop: l, conn: c, fd: fd}
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

// keep has the loop begin with what the client has sent already.
func (p *polled) keep(buffered []byte) {
	p.paused = len(buffered) > 0
	p.stash = stashed(buffered)
}

// start lets the loop serve the connection. It need not know of one that has
// nothing to say yet.
func (p *polled) start() {
	if p.paused {
		p.loop.post(p, &p.posted)
		return
	}
	p.add()
}

func stashed(rest []byte) *buffer {
	if len(rest) == 0 {
		return nil
	}
	b := getBuffer(len(rest))
	b.b = append(b.b, rest...)
	return b
}

// event acts on what the socket is ready for.
func (p *polled) event(events uint32) {
	p.attended.Store(true)
	p.loop.current = p
	p.loop.touched = append(p.loop.touched, p)
	if events&watchWrite != 0 {
		p.conn.writable()
	}
	switch {
	case events&watchRead != 0:
		p.receive()
	case events&broken != 0:
		p.conn.lost(io.EOF)
	}
}

// attend begins, goes on reading, or ends.
func (p *polled) attend() {
	p.posted.Store(false)
	p.loop.current = p
	p.add()
	if p.paused && p.conn.unpaused() {
		p.resume()
	}
	p.loop.touched = append(p.loop.touched, p)
}

// add has the loop wait for the connection, if it does not yet.
func (p *polled) add() {
	c := p.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.slot > 0 || c.gone {
		return
	}
	p.slot, p.generation = p.loop.place(p)
	p.watching |= watchRead
	event := syscall.EpollEvent{Events: p.watching, Fd: p.slot, Pad: p.generation}
	if err := syscall.EpollCtl(p.loop.epoll, syscall.EPOLL_CTL_ADD, p.fd, &event); err != nil {
		c.cut(os.NewSyscallError("epoll_ctl", err))
	}
}

// receive reads once and hands over what came.
func (p *polled) receive() {
	if p.paused || p.closed {
		return
	}
	n, err := receive(p.fd, p.loop.buffer)
	switch {
	case n > 0:
		p.consume(p.loop.buffer[:n], n)
	case err == syscall.EAGAIN:
	case err != nil:
		p.conn.lost(err)
	default:
		p.conn.hungUp()
		p.paused = true // there is only an end to read
		p.watch(watchRead, false)
	}
}

// resume goes on with what was stashed, and then with reading.
func (p *polled) resume() {
	b := p.stash
	p.paused, p.stash = false, nil
	p.watch(watchRead, true)
	if b != nil {
		p.consume(b.b, 0)
		putBuffer(b)
	}
}

// consume hands bytes over, of which arrived are new, and keeps the rest if the
// client must wait for its answers.
func (p *polled) consume(bytes []byte, arrived int) {
	p.conn.begin(arrived)
	p.loop.handing = append(p.loop.handing, p)
	if rest := p.conn.consume(bytes); len(rest) > 0 {
		p.paused, p.stash = true, stashed(rest)
		p.watch(watchRead, false)
	}
}

// endIfGone gives the descriptor back once the connection has ended.
func (p *polled) endIfGone() {
	if p.closed {
		return
	}
	p.attended.Store(false) // from here on others tell the loop again
	if !p.conn.isGone() {
		return
	}
	p.closed = true
	putBuffer(p.stash)
	p.stash = nil
	p.finish()
}

// finish is Conn.finish without waiting: nobody else writes.
func (p *polled) finish() {
	c := p.conn
	c.mu.Lock()
	if p.slot > 0 {
		p.loop.displace(p.slot)
	}
	putBuffer(c.restOwn)
	c.flushing, c.rest, c.restOwn = false, nil, nil
	p.release()
	end := c.clear(nil)
	c.mu.Unlock()
	c.handler.Closed(end)
}

// readOn has the loop go on with what was kept.
func (p *polled) readOn() { p.loop.post(p, &p.posted) }

// watchWrites has the loop tell when the socket takes more, or not. Conn.mu is
// held.
func (p *polled) watchWrites(on bool) { p.watchLocked(watchWrite, on) }

// watch changes what the loop waits for.
func (p *polled) watch(what uint32, on bool) {
	p.conn.mu.Lock()
	defer p.conn.mu.Unlock()
	p.watchLocked(what, on)
}

func (p *polled) watchLocked(what uint32, on bool) {
	wanted := p.watching &^ what
	if on {
		wanted |= what
	}
	if wanted == p.watching {
		return
	}
	p.watching = wanted
	if p.generation == 0 || p.conn.gone {
		return // it is told when it is added, or not needed any more
	}
	event := syscall.EpollEvent{Events: wanted, Fd: p.slot, Pad: p.generation}
	_ = syscall.EpollCtl(p.loop.epoll, syscall.EPOLL_CTL_MOD, p.fd, &event) // it was added
}

// The link. Nothing of it waits.

func (p *polled) tryWrite(b []byte) (int, error) {
	n, err := send(p.fd, b)
	if err == syscall.EAGAIN {
		return 0, nil
	}
	return max(n, 0), err
}

func (p *polled) unsent() int {
	if p.released {
		return -1
	}
	return unsentOf(p.fd)
}

func (p *polled) closeWrite() { _ = syscall.Shutdown(p.fd, syscall.SHUT_WR) } // the connection ends either way

func (p *polled) close() { p.abort() }

// abort leaves the descriptor to the loop, whose work is cut short by this, unless
// it is at it and closes the descriptor anyway. Conn.mu is held.
func (p *polled) abort() {
	if !p.released && !p.attended.Load() {
		_ = syscall.Shutdown(p.fd, syscall.SHUT_RDWR) // likewise
		p.loop.post(p, &p.posted)
	}
}

// release closes the descriptor; nobody may write to it any more.
func (p *polled) release() {
	p.released = true
	_ = syscall.Close(p.fd) // nothing is left to be done about it
}

// read and write are not used: the loop reads, and writes what is left when the
// socket takes it.
func (*polled) read() (*buffer, error)          { panic("reading from a polled connection") }
func (*polled) write([]byte, func(n int)) error { panic("waiting on a polled connection") }
func (*polled) wait()                           {}

// receive and send are system calls that never wait, on sockets that do not
// block: the scheduler need not be told.
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
