package measure

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// conn is one connection. Its receiver has a goroutine for as long as it lasts, its
// sender one for as long as messages are sent.
type conn struct {
	// Immutable.
	run   *run
	ws    *websocket.Conn
	i     int    // its number
	shard *shard // where its times go

	turns   atomic.Int64  // how many messages were due by now
	woken   chan struct{} // has a value if turns was added to; never closed
	writing sync.Mutex    // held while a message is written

	mu      sync.Mutex
	next    int              // the number of its next message
	waiting map[int]struct{} // its messages without answer
}

// send sends by the plan. Without a rate it sends the first message only: each answer
// has the next one sent.
func (c *conn) send() {
	r, start := c.run, c.run.start()
	if r.rate == 0 {
		c.write(r.now())
		return
	}
	for n := range r.plannedOf(c.i) {
		if !c.awaitTurn(n) {
			return
		}
		due := r.due(c.i, int(n))
		c.shard.sentLate(r.now() - start - due)
		if !c.write(start + due) {
			return
		}
	}
}

// write sends one message whose clock began then, and reports whether the connection
// took it.
func (c *conn) write(began time.Duration) bool {
	c.writing.Lock()
	defer c.writing.Unlock()
	n := c.number()
	payload := c.run.payload(marker{c.run.name, c.i, n, began})
	kind := websocket.TextMessage
	if c.run.binary {
		kind = websocket.BinaryMessage
	}
	if c.ws.WriteMessage(kind, payload) != nil { // the receiver learns why
		c.settle(n)
		return false
	}
	c.run.tally.sent.Add(1)
	c.run.tally.bytesSent.Add(int64(len(payload)))
	return true
}

// number returns the number of the next message, which waits for its answer from now
// on.
func (c *conn) number() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.next
	c.next++
	if c.run.marked() {
		c.waiting[n] = struct{}{}
		c.run.flying.Add(1)
	}
	return n
}

// settle reports whether a message has waited for its answer, and has it wait no more.
func (c *conn) settle(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, waits := c.waiting[n]; !waits {
		return false
	}
	delete(c.waiting, n)
	c.run.flying.Add(-1)
	return true
}

// giveUp has no message wait any more.
func (c *conn) giveUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.run.flying.Add(-int64(len(c.waiting)))
	clear(c.waiting)
}
