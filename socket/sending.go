package socket

import (
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/message"
)

// sending is what the client has been sent and the socket has not taken.
type sending struct {
	queue              // before it is written
	rest       []byte  // the end of a write that the socket has not taken whole
	restBuffer *buffer // holds rest, if it is to be put back

	compression *compression // immutable once serving; nil for none

	corks int32 // while positive, nothing leaves the queue; Start takes the first one away
	whole bool  // what is collected is queued as a whole
}

// owed returns how many bytes the socket has not taken.
func (s *sending) owed() int { return s.size + len(s.rest) }

// flushing reports whether the driver is at work on a rest.
func (s *sending) flushing() bool { return len(s.rest) > 0 }

// next returns what is to be written next, empty if nothing waits. deflated is how
// many bytes of the queue it was compressed from, 0 if it was not. With context
// takeover that happens only now: until now an update may be dropped, and everything
// that is compressed must be sent.
func (s *sending) next() (p []byte, deflated int) {
	if len(s.rest) > 0 || s.empty() {
		return s.rest, 0
	}
	s.rest, s.restBuffer = s.take()
	if s.compression == nil || s.compression.out == nil {
		return s.rest, 0
	}
	deflated = len(s.rest)
	compressed := getBuffer(deflated)
	compressed.b = s.compression.out.AppendDeflated(compressed.b, s.rest)
	putBuffer(s.restBuffer)
	s.rest, s.restBuffer = compressed.b, compressed
	return s.rest, deflated
}

// took drops n bytes from the rest.
func (s *sending) took(n int) {
	if s.rest = s.rest[n:]; len(s.rest) == 0 {
		s.dropRest()
	}
}

func (s *sending) dropRest() {
	putBuffer(s.restBuffer)
	s.rest, s.restBuffer = nil, nil
}

// Send queues one message for this client. data is copied.
func (c *Conn) Send(data []byte, binary bool) {
	op := frames.Text
	if binary {
		op = frames.Binary
	}
	c.send(op, data)
}

// Refuse queues a message that tells why something is not done.
func (c *Conn) Refuse(_ error, payload []byte) { c.Send(payload, false) }

func (c *Conn) send(op frames.Opcode, payload []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.admit() {
		return
	}
	if !op.IsControl() {
		c.end.MessagesOut++
	}
	c.out.push(c.form(), op, payload)
	c.pump()
}

// Write queues messages and reports whether the client is behind; see [Conn.Lag].
func (c *Conn) Write(b *message.Batch) (behind bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.admit() {
		c.end.MessagesOut += uint64(b.Len())
		c.out.pushShared(b.Bytes(c.form()))
		c.pump()
	}
	return c.isBehind()
}

// Update queues a message that replaces the one of the Update before, if that still
// waits. As only one waits, an Update does not overflow the queue.
func (c *Conn) Update(b *message.Batch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pushLatest(update, b)
}

// Present queues a message about who is there, which changes what the ones before have said.
// If one of those still waits, whole, which says all, is queued in place of both.
func (c *Conn) Present(change, whole *message.Batch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out.waits(presence) {
		change = whole
	}
	c.pushLatest(presence, change)
}

// pushLatest queues a message in place of the one of its kind that still waits. A client whose
// queue is full is not closed for it.
func (c *Conn) pushLatest(k kind, b *message.Batch) {
	if c.closing.queued || c.closing.ended {
		return
	}
	if p := b.Bytes(c.form()); len(p) > 0 {
		c.end.MessagesOut++
		if c.out.pushLatest(k, p) {
			c.countReplaced()
		}
		c.pump()
	}
}

// Cork collects what is sent until Uncork, so that it leaves in one write. The queue
// takes it as one message: if it is not full now, it takes everything. Corks are not
// nested.
func (c *Conn) Cork() {
	c.mu.Lock()
	c.out.corks++
	c.out.whole = c.hasRoom()
	c.mu.Unlock()
}

// Uncork sends what was collected since Cork.
func (c *Conn) Uncork() {
	c.mu.Lock()
	c.out.corks--
	c.out.whole = false
	c.pump()
	c.mu.Unlock()
}

// form returns the form in which messages are queued.
func (c *Conn) form() message.Form { return c.out.compression.form(c.format) }

// admit reports whether one more message may be queued. A client with a full queue
// is closed instead: what waits is dropped, so that the close frame has a chance to
// arrive. What the socket has begun to take still goes out.
func (c *Conn) admit() bool {
	switch {
	case c.closing.queued || c.closing.ended:
		return false
	case c.out.whole || c.hasRoom():
		return true
	}
	c.out.clear()
	c.closing.failed = true
	c.wantClose(frames.TryAgainLater, "client does not read fast enough")
	c.sendClose()
	return false
}

// hasRoom reports whether the queue is not full.
func (c *Conn) hasRoom() bool {
	owed, most := c.out.owed(), c.settings.Load().MaxQueue
	return owed < most || owed < most+c.handler.Excused()
}

// pump writes what waits, as far as the socket takes it at once, and does what
// follows from that.
func (c *Conn) pump() {
	if c.out.corks == 0 && !c.out.flushing() && !c.closing.ended {
		c.writeNow()
	}
	c.proceed()
}

// writeNow writes the queue. What the socket does not take at once is left to the
// driver.
func (c *Conn) writeNow() {
	for p := c.nextWrite(); len(p) > 0; p = c.nextWrite() {
		n, err := c.driver.tryWrite(p)
		c.end.BytesOut += uint64(n)
		c.out.took(n)
		switch {
		case err != nil:
			c.cut(err)
			return
		case n < len(p):
			c.startFlush()
			return
		}
	}
}

// nextWrite returns what is to be written next.
func (c *Conn) nextWrite() []byte {
	p, deflated := c.out.next()
	if deflated > 0 {
		c.alive.deflated(int64(c.end.BytesOut), deflated, len(p))
	}
	return p
}

// startFlush leaves the rest to the driver, under the write timeout.
func (c *Conn) startFlush() {
	c.progress = progress{now(), c.driver.sendBuffered()}
	if s := c.settings.Load(); s.WriteTimeout > 0 {
		c.wakeAt(c.progress.last.add(s.WriteTimeout))
	}
	c.driver.flush()
}

// unwritten returns what the driver is to write: empty if nothing is left, or if
// nothing can be written any more.
func (c *Conn) unwritten() []byte {
	if c.closing.ended {
		return nil
	}
	return c.out.rest
}

// wrote notes that the socket has taken n more bytes of what the driver writes, or
// that writing has failed. It returns what is to be written next, empty if nothing.
func (c *Conn) wrote(n int, err error) (next []byte) {
	c.end.BytesOut += uint64(n)
	c.out.took(n)
	if err != nil {
		c.cut(err)
	}
	if c.closing.ended {
		return nil
	}
	next = c.nextWrite()
	c.progress = progress{now(), c.driver.sendBuffered()}
	c.proceed()
	return next
}
