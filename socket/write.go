package socket

import (
	"fmt"
	"runtime/debug"

	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/message"
)

// Send queues one message for this client; data is copied.
func (c *Conn) Send(data []byte, binary bool) {
	op := frames.Text
	if binary {
		op = frames.Binary
	}
	c.send(op, data)
}

// Refuse queues the message that tells why something is not done.
func (c *Conn) Refuse(_ error, payload []byte) { c.Send(payload, false) }

func (c *Conn) send(op frames.Opcode, payload []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.open() {
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
	if c.open() {
		c.end.MessagesOut += uint64(b.Len())
		c.out.pushShared(b.Bytes(c.form()))
		c.pump()
	}
	return c.behind()
}

// Update queues a message that makes the one queued by the Update before worthless:
// if that one is still waiting, it is dropped. As only one waits, it never overflows.
func (c *Conn) Update(b *message.Batch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := b.Bytes(c.form()); len(p) > 0 && !c.closing && !c.gone {
		c.end.MessagesOut++
		c.out.pushUpdate(p)
		c.pump()
	}
}

// Cork collects what is sent until Uncork, so that it leaves in one write. It is
// also taken for one message: if the queue is not full now, all of it is queued.
// Corks are not nested.
func (c *Conn) Cork() {
	c.mu.Lock()
	c.corks++
	c.whole = c.hasRoom()
	c.mu.Unlock()
}

// Uncork sends what was collected since Cork.
func (c *Conn) Uncork() {
	c.mu.Lock()
	c.corks--
	c.whole = false
	c.pump()
	c.mu.Unlock()
}

// Hold tells that a message of n bytes is not settled yet. A client is not read
// while 64 of its messages or 256 KiB of them are held, and a close frame waits
// until none is, unless the queue overflows.
func (c *Conn) Hold(n int) {
	c.mu.Lock()
	c.holds++
	c.held += n
	c.mu.Unlock()
}

// Release takes one Hold back.
func (c *Conn) Release(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.holds--
	c.held -= n
	c.resume()
	c.sendClose()
}

// open makes room for one more message and tells whether it may be queued: a
// client that owes us too much reading is closed instead.
func (c *Conn) open() bool {
	if c.closing || c.gone {
		return false
	}
	if c.whole || c.hasRoom() {
		return true
	}
	c.overflow()
	return false
}

// hasRoom reports whether the queue is not full.
func (c *Conn) hasRoom() bool {
	owed, most := c.owed(), c.settings.Load().MaxQueue
	return owed < most || owed < most+c.handler.Excused()
}

// overflow drops what waits, so that the close frame has a chance to arrive. What
// the socket has begun to take is not in the queue any more, and goes out.
func (c *Conn) overflow() {
	c.out.clear()
	c.failed = true
	c.setClose(frames.TryAgainLater, "client does not read fast enough")
	c.queueClose()
	c.pump()
}

// owed is the number of bytes that the client has not taken.
func (c *Conn) owed() int { return c.out.size + c.writing }

// pump writes what waits, as far as the socket takes it at once, and sees to what
// follows from the queue being shorter.
func (c *Conn) pump() {
	for !c.flushing && c.corks == 0 && !c.gone && !c.out.empty() {
		p, own := c.take()
		n, err := c.link.tryWrite(p)
		c.end.BytesOut += uint64(n)
		switch {
		case err != nil:
			putBuffer(own)
			c.cut(err)
		case n < len(p):
			c.startFlush(p[n:], own)
		default:
			putBuffer(own)
		}
	}
	c.resume()
	c.caughtUp()
	c.drained()
}

// startFlush leaves the rest to the loop that serves the connection, or to a
// goroutine that lives until nothing waits.
func (c *Conn) startFlush(p []byte, own *buffer) {
	c.flushing, c.writing = true, len(p)
	c.progress = now()
	c.unsent = c.link.unsent()
	if s := c.settings.Load(); s.WriteTimeout > 0 {
		c.armFor(c.progress.add(s.WriteTimeout))
	}
	if c.polled != nil {
		c.rest, c.restOwn = p, own
		c.polled.watchWrites(true)
		return
	}
	go c.flush(p, own)
}

// writable is called by the loop when the socket takes more.
func (c *Conn) writable() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.push()
}

// push writes what is left of a polled connection, as far as it takes it.
func (c *Conn) push() {
	for c.flushing && !c.gone {
		n, err := c.link.tryWrite(c.rest)
		if err != nil {
			c.cut(err)
			return
		}
		if n == 0 {
			return
		}
		c.took(n)
		if c.rest = c.rest[n:]; len(c.rest) == 0 {
			c.nextRest()
		}
	}
}

// nextRest goes on with what waits, if anything does.
func (c *Conn) nextRest() {
	putBuffer(c.restOwn)
	c.rest, c.restOwn = nil, nil
	if !c.out.empty() {
		c.rest, c.restOwn = c.take()
		c.writing = len(c.rest)
		return
	}
	c.flushing, c.writing = false, 0
	c.polled.watchWrites(false)
	c.resume()
	c.drained()
}

func (c *Conn) flush(p []byte, own *buffer) {
	for more := true; more; {
		err := c.writeOut(p)
		putBuffer(own)
		p, own, more = c.flushed(err)
	}
}

// writeOut writes p. A response's writer is somebody else's code: a panic of it
// ends the connection only.
func (c *Conn) writeOut(p []byte) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return c.link.write(p, c.progressed)
}

// progressed notes that the socket has taken n bytes.
func (c *Conn) progressed(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.took(n)
}

func (c *Conn) took(n int) {
	c.end.BytesOut += uint64(n)
	c.writing -= n
	c.progress = now()
	c.unsent = c.link.unsent()
	c.resume()
	c.caughtUp()
}

// flushed gives the flushing goroutine its next run, if there is more.
func (c *Conn) flushed(err error) (p []byte, own *buffer, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.cut(err)
	}
	if c.gone || c.out.empty() {
		c.flushing, c.writing = false, 0
		c.announce()
		c.drained()
		return nil, nil, false
	}
	p, own = c.take()
	c.writing = len(p)
	return p, own, true
}

// resume wakes the reader if it waits and need not any more.
func (c *Conn) resume() {
	if !c.paused || c.full() {
		return
	}
	if c.polled != nil {
		c.paused = false
		c.polled.readOn()
	}
	c.announce()
}
