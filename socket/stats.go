package socket

import (
	"math"
	"time"

	"github.com/caddyws/caddy-websocket/tally"
)

// Stats tells how the connection stands.
func (c *Conn) Stats() tally.Connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := tally.Connection{Traffic: c.end.Traffic, Replaced: uint64(c.end.Replaced), Queued: c.out.owed()}
	if c.driver != nil {
		s.Age = c.end.Duration + time.Duration(now())
	}
	return s
}

// countIn counts bytes that have arrived.
func (c *Conn) countIn(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end.BytesIn += uint64(n)
}

// countMessages counts the messages that the reader has handed over. The reader calls
// it, with Conn.mu held: so a message costs no lock of its own.
func (c *Conn) countMessages() {
	c.end.MessagesIn += uint64(c.in.messages)
	c.in.messages = 0
}

// countReplaced counts an update that was never sent.
func (c *Conn) countReplaced() {
	if c.end.Replaced < math.MaxUint32 {
		c.end.Replaced++
	}
}
