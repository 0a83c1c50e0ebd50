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

// A loop serves plain TCP connections without a goroutine and a buffer for each: it
// waits for all of them at once (epoll) and reads with a buffer of its own. What
// arrives in one tick is first handed over and then answered, so that several
// messages to one receiver leave in one write. Epoll is level-triggered, since a
// short read may hide the end of a stream that came with the data.
//
// The loop waits for the epoll descriptor itself through the Go runtime, so that an
// idle loop holds no thread.
//
// Only its loop closes the descriptor of a connection, and with Conn.mu held, so that
// the number cannot be another connection's while something is written to it. Others
// shut the socket down and post the connection to the loop. Events carry a slot and
// its generation, so that an event of a closed connection does not reach the next one
// in its slot.
//
// The goroutine that starts a connection also adds it to epoll. So the loop first
// hears of it when there is something to read.
type loop struct {
	epoll int
	file  *os.File        // of epoll
	wait  syscall.RawConn // on epoll
	wake  int             // an eventfd: something was posted

	writes writeWatch // of connections that the loop waits for while they are silent

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
	done    int           // how much of the present list is done
	current *loopDriver   // the connection whose handler is being called
	handed  []*loopDriver // from which something was read in this tick
	touched []*loopDriver // which had an event or a post in this tick
	work    []owner       // taken from posted
}

// An owner has a slot of a loop, and is called by its goroutine.
type owner interface {
	// event acts on what the descriptor is ready for.
	event(events uint32)
	// attend does what was posted.
	attend()
}

// slot is a place of an owner; events carry its index.
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

// pickLoop returns the loop for the next connection, or nil if there are none, for
// example because the process has no descriptor left for one.
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

// close gives up a loop that does not run yet.
func (l *loop) close() {
	if l.wake > 0 {
		_ = syscall.Close(l.wake) // an error changes nothing: the loop is not used
	}
	if l.file != nil {
		_ = l.file.Close() // an error changes nothing: the loop is not used
	}
}

// run is the loop's goroutine.
func (l *loop) run() {
	for l.wait.Read(l.poll) == nil {
		l.tick()
	}
}

// poll takes the events that are ready and reports whether there are any.
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

// findOwners looks up which owners the events are for. Slots are only given back at
// the end of a tick.
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

// emptied returns the list, without its elements, for the next tick. A list that has
// become long in a burst is not kept.
func emptied[T any](list []T) []T {
	const keep = 4096
	if cap(list) > keep {
		return nil
	}
	clear(list)
	return list[:0]
}

// dispatch acts on the events that are left. A panic ends it, and the connection that
// it is about, but not the loop; the same is true of attend and flush.
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

// flush tells the handlers that were handed something that this was all.
func (l *loop) flush() {
	defer l.recover()
	for l.done < len(l.handed) {
		l.current = l.handed[l.done]
		l.done++
		l.current.conn.handler.Flush()
	}
}

// recover ends the connection whose handler panics.
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

// place gives an owner a slot, and returns its index and generation.
func (l *loop) place(o owner) (index, generation int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.free); n > 0 {
		index, l.free = l.free[n-1], l.free[:n-1]
	} else {
		index = int32(len(l.slots))
		l.slots = append(l.slots, slot{})
	}
	s := &l.slots[index]
	s.owner = o
	s.generation++
	return index, s.generation
}

// displace takes a slot back. Only the loop's goroutine may call it.
func (l *loop) displace(index int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slots[index].owner = nil
	l.free = append(l.free, index)
}

// post has the loop attend to an owner, unless that is posted already.
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
		_, _ = syscall.Write(l.wake, one[:]) // fails only if the eventfd is set already
	}
}
