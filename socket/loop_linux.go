//go:build linux && !nopoll

package socket

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
)

// A loop serves plain TCP connections without a goroutine and without a buffer
// for each: it waits for all of them at once (epoll, level-triggered) and reads
// with a buffer of its own. What arrived in one tick is handed over first and
// answered afterwards, so that a receiver of several messages gets one write.
//
// The epoll descriptor itself is waited for through the Go runtime, so that an
// idle loop holds no thread. Level-triggered, since a short read may hide the
// end of a stream that came with the data.
//
// A connection's descriptor is closed by its loop only, and under Conn.mu, so
// that its number cannot be another connection's while somebody writes to it;
// everybody else shuts the socket down and tells the loop. Events carry a slot
// and its generation, so that those of a connection before never reach the next.
type loop struct {
	epoll int
	wait  syscall.RawConn // on epoll
	wake  int             // an eventfd: something was posted

	mu     sync.Mutex
	posted []*polled // guarded by mu

	// Owned by the loop's goroutine.
	slots   []slot
	free    []int32
	buffer  []byte
	events  [loopEvents]syscall.EpollEvent
	ready   int
	handing []*polled // what something was read from in this tick
	touched []*polled // what had to do with this tick
	work    []*polled // taken from posted
}

// slot is a place that events name.
type slot struct {
	polled     *polled
	generation int32
}

const (
	loopEvents = 256      // handled in one tick
	loopRead   = 64 << 10 // read from one connection in one tick
)

const (
	watchRead  = syscall.EPOLLIN | syscall.EPOLLRDHUP
	watchWrite = syscall.EPOLLOUT
	broken     = syscall.EPOLLERR | syscall.EPOLLHUP
)

// loops are made with the first connection, one for each processor, and live as
// long as the process.
var loops = sync.OnceValues(func() ([]*loop, error) {
	made := make([]*loop, runtime.GOMAXPROCS(0))
	for i := range made {
		l, err := newLoop()
		if err != nil {
			return nil, err
		}
		made[i] = l
		go l.run()
	}
	return made, nil
})

var nextLoop atomic.Uint32

func newLoop() (*loop, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("creating epoll: %w", err)
	}
	wake, _, errno := syscall.RawSyscall(syscall.SYS_EVENTFD2, 0, syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errno != 0 {
		return nil, fmt.Errorf("creating eventfd: %w", errno)
	}
	if err := syscall.SetNonblock(epoll, true); err != nil {
		return nil, fmt.Errorf("preparing epoll: %w", err)
	}
	raw, err := os.NewFile(uintptr(epoll), "epoll").SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("waiting for epoll: %w", err)
	}
	l := &loop{epoll: epoll, wait: raw, wake: int(wake), buffer: make([]byte, loopRead)}
	l.slots = []slot{{}} // the first is the eventfd's
	event := syscall.EpollEvent{Events: syscall.EPOLLIN}
	return l, os.NewSyscallError("epoll_ctl", syscall.EpollCtl(epoll, syscall.EPOLL_CTL_ADD, l.wake, &event))
}

// run is the loop's goroutine.
func (l *loop) run() {
	for l.wait.Read(l.poll) == nil {
		l.tick()
	}
}

// poll takes the events there are and tells whether there are any.
func (l *loop) poll(fd uintptr) bool {
	n, err := syscall.EpollWait(int(fd), l.events[:], 0)
	l.ready = max(n, 0)
	return n > 0 || err != nil && err != syscall.EINTR
}

func (l *loop) tick() {
	for i := range l.events[:l.ready] {
		l.dispatch(&l.events[i])
	}
	for _, p := range l.takePosted() {
		l.attend(p)
	}
	for _, p := range l.handing {
		p.guard(p.conn.handler.Flush)
	}
	for _, p := range l.handing {
		p.conn.endBatch()
	}
	for _, p := range l.touched {
		p.endIfGone()
	}
	clear(l.handing)
	clear(l.touched)
	l.handing, l.touched = l.handing[:0], l.touched[:0]
}

// dispatch acts on one event.
func (l *loop) dispatch(e *syscall.EpollEvent) {
	if e.Fd == 0 {
		var count [8]byte
		_, _ = syscall.Read(l.wake, count[:]) // only resets it
		return
	}
	s := &l.slots[e.Fd]
	p := s.polled
	if p == nil || s.generation != e.Pad {
		return
	}
	l.touched = append(l.touched, p)
	if e.Events&watchWrite != 0 {
		p.conn.writable()
	}
	switch {
	case e.Events&watchRead != 0:
		p.receive()
	case e.Events&broken != 0:
		p.conn.lost(io.EOF)
	}
}

// takePosted returns what was posted since the last tick.
func (l *loop) takePosted() []*polled {
	l.mu.Lock()
	l.work, l.posted = l.posted, l.work[:0]
	l.mu.Unlock()
	return l.work
}

// attend does for a connection what was posted for it: begin, go on reading, or
// end.
func (l *loop) attend(p *polled) {
	p.posted.Store(false)
	if p.slot == 0 && !p.closed {
		l.add(p)
	}
	if p.paused && p.conn.unpaused() {
		p.resume()
	}
	l.touched = append(l.touched, p)
}

// add begins to serve a connection.
func (l *loop) add(p *polled) {
	if n := len(l.free); n > 0 {
		p.slot, l.free = l.free[n-1], l.free[:n-1]
	} else {
		p.slot = int32(len(l.slots))
		l.slots = append(l.slots, slot{})
	}
	s := &l.slots[p.slot]
	s.polled = p
	s.generation++
	p.conn.mu.Lock()
	p.watching |= watchRead
	event := syscall.EpollEvent{Events: p.watching, Fd: p.slot, Pad: s.generation}
	p.generation = s.generation
	err := syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_ADD, p.fd, &event)
	p.conn.mu.Unlock()
	if err != nil {
		p.conn.lost(os.NewSyscallError("epoll_ctl", err))
	}
}

// remove forgets a connection.
func (l *loop) remove(p *polled) {
	l.slots[p.slot].polled = nil
	l.free = append(l.free, p.slot)
}

// post has the loop attend to a connection.
func (l *loop) post(p *polled) {
	if p.posted.Swap(true) {
		return
	}
	l.mu.Lock()
	l.posted = append(l.posted, p)
	first := len(l.posted) == 1
	l.mu.Unlock()
	if first {
		one := [8]byte{0: 1}
		_, _ = syscall.Write(l.wake, one[:]) // it can only be set already
	}
}

// polled is the link of a connection that a loop serves.
type polled struct {
	// Immutable.
	loop *loop
	conn *Conn
	fd   int

	posted atomic.Bool

	// Owned by the loop's goroutine.
	slot   int32
	stash  *buffer // what was read and not handed over, while paused
	paused bool
	closed bool

	// Guarded by conn.mu.
	watching   uint32
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
	all, err := loops()
	if err != nil {
		return nil
	}
	fd, err := duplicate(tcp)
	if err != nil {
		return nil
	}
	_ = tcp.Close() // the duplicate is the connection now
	return &polled{loop: all[nextLoop.Add(1)%uint32(len(all))], conn: c, fd: fd}
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

// start lets the loop serve the connection, which has sent buffered already.
func (p *polled) start(buffered []byte) {
	p.paused = len(buffered) > 0
	p.stash = stashed(buffered)
	p.loop.post(p)
}

func stashed(rest []byte) *buffer {
	if len(rest) == 0 {
		return nil
	}
	b := getBuffer(len(rest))
	b.b = append(b.b, rest...)
	return b
}

// receive reads once and hands over what came.
func (p *polled) receive() {
	if p.paused || p.closed {
		return
	}
	n, err := retry(syscall.Read, uintptr(p.fd), p.loop.buffer)
	switch {
	case n > 0:
		p.consume(p.loop.buffer[:n], n)
	case err == syscall.EAGAIN:
	case err != nil:
		p.conn.lost(err)
	case !p.conn.halfClosed():
		p.conn.lost(io.EOF)
	default:
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
	var rest []byte
	p.guard(func() { rest = p.conn.consume(bytes) })
	if len(rest) > 0 {
		p.paused, p.stash = true, stashed(rest)
		p.watch(watchRead, false)
	}
}

// guard keeps a panic to the connection that it is about.
func (p *polled) guard(f func()) {
	defer func() {
		if v := recover(); v != nil {
			p.conn.lost(fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
		}
	}()
	f()
}

// endIfGone gives the descriptor back once the connection has ended.
func (p *polled) endIfGone() {
	if p.closed || !p.conn.isGone() {
		return
	}
	p.closed = true
	putBuffer(p.stash)
	p.stash = nil
	if p.slot > 0 {
		p.loop.remove(p)
	}
	p.finish()
}

// finish is Conn.finish without waiting: nobody else writes, and the handler has
// a goroutine for its last call, which may take its time.
func (p *polled) finish() {
	c := p.conn
	c.mu.Lock()
	putBuffer(c.restOwn)
	c.flushing, c.rest, c.restOwn = false, nil, nil
	p.release()
	end := c.clear(nil)
	c.mu.Unlock()
	go c.handler.Closed(end)
}

// readOn has the loop go on with what was kept.
func (p *polled) readOn() { p.loop.post(p) }

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
	n, err := retry(syscall.Write, uintptr(p.fd), b)
	if err == syscall.EAGAIN {
		return 0, nil
	}
	return max(n, 0), err
}

func (p *polled) closeWrite() { _ = syscall.Shutdown(p.fd, syscall.SHUT_WR) } // the connection ends either way

func (p *polled) close() { p.abort() }

// abort leaves the descriptor to the loop, whose work is cut short by this.
func (p *polled) abort() {
	if !p.released {
		_ = syscall.Shutdown(p.fd, syscall.SHUT_RDWR) // likewise
		p.loop.post(p)
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
