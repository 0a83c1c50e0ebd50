//go:build linux && !nopoll

package socket

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
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
//
// A new connection is added to epoll by whoever starts it: the loop hears of it
// when it has something to say.
type loop struct {
	epoll int
	file  *os.File        // of epoll
	wait  syscall.RawConn // on epoll
	wake  int             // an eventfd: something was posted

	mu sync.Mutex
	// Guarded by mu.
	posted []owner
	slots  []slot
	free   []int32

	// Owned by the loop's goroutine.
	buffer  []byte
	events  [loopEvents]syscall.EpollEvent
	owners  [loopEvents]owner // of the events that are ready; nil if there is none any more
	ready   int
	done    int           // of what is being worked through
	current *loopDriver   // whose handler is being called
	handed  []*loopDriver // what something was read from in this tick
	touched []*loopDriver // what had to do with this tick
	work    []owner       // taken from posted
}

// owner is who has a place in a loop. The loop's goroutine calls it.
type owner interface {
	// event acts on what the descriptor is ready for.
	event(events uint32)
	// attend does what was posted.
	attend()
}

// slot is a place that events name.
type slot struct {
	owner      owner
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
var loops struct {
	made   atomic.Pointer[[]*loop]
	making sync.Mutex
	next   atomic.Uint32
}

// pickLoop returns the loop for the next connection, or nil if there are none,
// as when the process has no descriptor left for one.
func pickLoop() *loop {
	all := loops.made.Load()
	if all == nil {
		if all = makeLoops(); all == nil {
			return nil
		}
	}
	return (*all)[loops.next.Add(1)%uint32(len(*all))]
}

func makeLoops() *[]*loop {
	loops.making.Lock()
	defer loops.making.Unlock()
	if all := loops.made.Load(); all != nil {
		return all
	}
	all := make([]*loop, runtime.GOMAXPROCS(0))
	for i := range all {
		var err error
		if all[i], err = newLoop(); err != nil {
			for _, l := range all[:i] {
				l.close()
			}
			return nil // the next connection tries again
		}
	}
	for _, l := range all {
		go l.run()
	}
	loops.made.Store(&all)
	return &all
}

func newLoop() (l *loop, err error) {
	l = &loop{buffer: make([]byte, loopRead), slots: []slot{{}}} // the first slot is the eventfd's
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	if l.epoll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return l, fmt.Errorf("creating epoll: %w", err)
	}
	if err = syscall.SetNonblock(l.epoll, true); err != nil { // else the runtime does not wait for it
		_ = syscall.Close(l.epoll)
		return l, fmt.Errorf("preparing epoll: %w", err)
	}
	l.file = os.NewFile(uintptr(l.epoll), "epoll")
	if l.wake, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return l, fmt.Errorf("creating eventfd: %w", err)
	}
	event := syscall.EpollEvent{Events: syscall.EPOLLIN}
	if err = syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_ADD, l.wake, &event); err != nil {
		return l, os.NewSyscallError("epoll_ctl", err)
	}
	l.wait, err = l.file.SyscallConn()
	return l, err
}

// close is for a loop that has not begun.
func (l *loop) close() {
	if l.wake > 0 {
		_ = syscall.Close(l.wake) // nothing is left to be done about it
	}
	if l.file != nil {
		_ = l.file.Close() // likewise
	}
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
	l.findOwners()
	for l.done = 0; l.done < l.ready; {
		l.dispatch()
	}
	l.takePosted()
	for l.done = 0; l.done < len(l.work); {
		l.attend()
	}
	for l.done = 0; l.done < len(l.handed); {
		l.flush()
	}
	for _, d := range l.handed {
		reader{d.conn}.endRead()
	}
	for _, d := range l.touched {
		d.finishIfEnded()
	}
	l.current = nil
	l.handed, l.touched, l.work = emptied(l.handed), emptied(l.touched), emptied(l.work)
}

// findOwners looks up whom the events are for. Only the end of a tick takes a
// place from an owner.
func (l *loop) findOwners() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.ready {
		e := &l.events[i]
		l.owners[i] = nil
		if s := &l.slots[e.Fd]; s.generation == e.Pad {
			l.owners[i] = s.owner
		}
	}
}

// emptied returns a list for the next tick. After a burst it is not kept.
func emptied[T any](list []T) []T {
	const keep = 4096
	if cap(list) > keep {
		return nil
	}
	clear(list)
	return list[:0]
}

// dispatch acts on the events that are left. A panic ends it, and only the
// connection that it is about; so for attend and flush.
func (l *loop) dispatch() {
	defer l.recover()
	for l.done < l.ready {
		e, o := &l.events[l.done], l.owners[l.done]
		l.owners[l.done] = nil
		l.done++
		switch {
		case e.Fd == 0:
			var count [8]byte
			_, _ = syscall.Read(l.wake, count[:]) // only resets it
		case o != nil:
			o.event(e.Events)
		}
	}
}

// attend does what was posted.
func (l *loop) attend() {
	defer l.recover()
	for l.done < len(l.work) {
		o := l.work[l.done]
		l.done++
		o.attend()
	}
}

// flush tells those who were handed something that this was all.
func (l *loop) flush() {
	defer l.recover()
	for l.done < len(l.handed) {
		l.current = l.handed[l.done]
		l.done++
		l.current.conn.handler.Flush()
	}
}

// recover ends the connection whose handler has panicked.
func (l *loop) recover() {
	if v := recover(); v != nil && l.current != nil {
		l.current.conn.lost(panicError(v))
	}
}

// takePosted takes what was posted since the last tick.
func (l *loop) takePosted() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.work, l.posted = l.posted, l.work
}

// place gives a place to its owner, with the name that events bear.
func (l *loop) place(o owner) (name int32, generation int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.free); n > 0 {
		name, l.free = l.free[n-1], l.free[:n-1]
	} else {
		name = int32(len(l.slots))
		l.slots = append(l.slots, slot{})
	}
	s := &l.slots[name]
	s.owner = o
	s.generation++
	return name, s.generation
}

// displace takes a place back. The loop's goroutine calls it.
func (l *loop) displace(name int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slots[name].owner = nil
	l.free = append(l.free, name)
}

// post has the loop attend to an owner that is not posted yet.
func (l *loop) post(o owner, posted *atomic.Bool) {
	if posted.Swap(true) {
		return
	}
	l.mu.Lock()
	l.posted = append(l.posted, o)
	first := len(l.posted) == 1
	l.mu.Unlock()
	if first {
		one := [8]byte{0: 1}
		_, _ = syscall.Write(l.wake, one[:]) // it can only be set already
	}
}
