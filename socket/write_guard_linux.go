//go:build linux && !nopoll

package socket

import (
	"net"
	"sync"
	"time"
)

// writeGuard ends writes that wait, though the socket was to have room. To set and
// clear a deadline for each write does the same, but costs 3 % of the CPU time of an
// echo over TLS. The guard has a timer that runs only while there are writes.
type writeGuard struct {
	mu    sync.Mutex
	conn  net.Conn
	timer *time.Timer
	armed bool   // the timer runs
	began moment // when the write under way began; zero if there is none
	fired bool   // the write under way has a deadline, which is over
}

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
	g.begin()
	defer g.end()
	return g.conn.Write(p)
}

func (g *writeGuard) begin() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.began = now()
	g.arm()
}

func (g *writeGuard) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.began = 0
	if g.fired {
		g.fired = false
		_ = g.conn.SetWriteDeadline(time.Time{}) // fails if it is closed, and then so does writing
	}
}

func (g *writeGuard) arm() {
	if !g.armed {
		g.armed = true
		g.timer.Reset(waitLimit)
	}
}

// look is called by the timer.
func (g *writeGuard) look() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.armed = false
	switch {
	case g.began == 0:
	case now().since(g.began) < waitLimit:
		g.arm()
	default:
		g.fired = true
		_ = g.conn.SetWriteDeadline(time.Now()) // fails if it is closed, and then so does writing
	}
}
