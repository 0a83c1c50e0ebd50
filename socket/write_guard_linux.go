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
// a timer looks at the count from time to time while there are writes: one that is
// under way at two looks has waited.
type writeGuard struct {
	conn   net.Conn
	timer  *time.Timer
	writes atomic.Uint64 // begun and ended: odd while one is under way; and expired
	armed  atomic.Bool   // the timer runs

	mu   sync.Mutex // held from setting expired to setting the deadline
	seen uint64     // writes at the last look; owned by the timer
}

// expired is set in writeGuard.writes when the write under way is given a deadline
// that is over.
const expired = 1 << 63

// waitLimit is how long a write may wait at least. It ends within twice that time.
const waitLimit = 100 * time.Millisecond

func newWriteGuard(conn net.Conn) *writeGuard {
	g := &writeGuard{conn: conn}
	g.timer = time.AfterFunc(waitLimit, g.look)
	g.timer.Stop()
	return g
}

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
		g.timer.Reset(waitLimit)
	}
}

// renew lets the next write wait again.
func (g *writeGuard) renew() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.writes.And(^uint64(expired))
	_ = g.conn.SetWriteDeadline(time.Time{}) // fails if it is closed, and then so does writing
}

// look is called by the timer.
func (g *writeGuard) look() {
	switch count := g.writes.Load(); {
	case count != g.seen:
		g.seen = count
		g.timer.Reset(waitLimit)
	case count%2 == 1:
		g.expire(count)
		g.timer.Reset(waitLimit)
	default:
		g.rest(count)
	}
}

// expire ends the write under way, if it is still the one that was counted.
func (g *writeGuard) expire(count uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if count&expired == 0 && g.writes.CompareAndSwap(count, count|expired) {
		_ = g.conn.SetWriteDeadline(time.Now()) // fails if it is closed, and then so does writing
	}
}

// rest lets the timer run no more, until there is another write.
func (g *writeGuard) rest(count uint64) {
	g.armed.Store(false)
	if g.writes.Load() != count {
		g.arm()
	}
}
