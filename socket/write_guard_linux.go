//go:build linux && !nopoll

package socket

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// writeGuard ends writes that wait, though the socket was to have room. To set and
// clear a deadline for each write does the same, but costs several percent of the CPU
// time of an echo over TLS (bench, work echo-32x1000-tls). So a write only counts, and
// a [writeWatch] looks at the count from time to time while there are writes: one that
// is under way at two looks has waited. If there is room by then it has waited for a
// processor, and goes on.
type writeGuard struct {
	writes atomic.Uint64 // begun and ended: odd while one is under way; and expired
	armed  atomic.Bool   // the watch looks at it

	conn    net.Conn
	hasRoom func() bool // reports whether the socket has room now
	watch   *writeWatch

	mu sync.Mutex // held from setting expired to setting the deadline

	// Owned by the watch.
	seen  uint64 // writes at the last look
	looks int    // since they were that
}

// expired is set in writeGuard.writes when the write under way is given a deadline
// that is over.
const expired = 1 << 63

// waitLimit is how long a write may wait at least. It ends within twice that time.
const waitLimit = 100 * time.Millisecond

// mostLooks is how often a write may be seen under way though there is room: a kernel
// that has no memory left does not take what it has room for.
const mostLooks = 10

// write writes p and returns [os.ErrDeadlineExceeded] if that waited. One call at a
// time is allowed.
func (g *writeGuard) write(p []byte) (int, error) {
	g.writes.Add(1)
	if !g.armed.Load() {
		g.arm()
	}
	n, err := g.conn.Write(p)
	if g.writes.Add(1)&expired != 0 {
		g.renew()
	}
	return n, err
}

func (g *writeGuard) arm() {
	if g.armed.CompareAndSwap(false, true) {
		g.watch.add(g)
	}
}

// renew lets the next write wait again.
func (g *writeGuard) renew() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.writes.And(^uint64(expired))
	_ = g.conn.SetWriteDeadline(time.Time{}) // fails if it is closed, and then so does writing
}

// look ends a write that has waited. It reports whether there were writes since the last
// look, or one is under way; else the guard is not armed any more.
func (g *writeGuard) look() (busy bool) {
	count := g.writes.Load()
	switch {
	case count != g.seen:
		g.seen, g.looks = count, 0
	case count%2 == 1:
		if g.looks++; g.looks == mostLooks || !g.hasRoom() {
			g.expire(count)
		}
	default:
		g.rest(count)
		return false
	}
	return true
}

// expire ends the write under way, if it is still the one that was counted.
func (g *writeGuard) expire(count uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if count&expired == 0 && g.writes.CompareAndSwap(count, count|expired) {
		_ = g.conn.SetWriteDeadline(time.Now()) // fails if it is closed, and then so does writing
	}
}

// rest has the next write arm the guard again.
func (g *writeGuard) rest(count uint64) {
	g.armed.Store(false)
	if g.writes.Load() != count {
		g.arm()
	}
}

// writeWatch looks at all armed guards of a loop together: a timer for each would cost as
// much as the deadlines that they replace.
type writeWatch struct {
	mu sync.Mutex
	// Guarded by mu.
	guards  []*writeGuard // armed; those that are being looked at are not here
	running bool
}

func (w *writeWatch) add(g *writeGuard) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.guards = append(w.guards, g)
	if !w.running {
		w.running = true
		time.AfterFunc(waitLimit, w.look)
	}
}

// look looks at each guard once, and comes again while some are armed.
func (w *writeWatch) look() {
	w.mu.Lock()
	all := w.guards
	w.guards = nil
	w.mu.Unlock()
	busy := all[:0]
	for _, g := range all {
		if g.look() {
			busy = append(busy, g)
		}
	}
	clear(all[len(busy):])
	w.mu.Lock()
	defer w.mu.Unlock()
	w.guards = append(busy, w.guards...)
	if w.running = len(w.guards) > 0; w.running {
		time.AfterFunc(waitLimit, w.look)
	}
}
