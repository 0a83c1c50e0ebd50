package socket

import "time"

// flow holds up a client that asks for more than it takes, and keeps what its
// handler needs to hold up others for the client's sake.
type flow struct {
	unsettled int32 // messages of the client that the handler holds
	paused    bool  // the client is not read until it may be again: driver.resume is due
	lagging   bool  // the handler is to be told when the client has caught up
	bytes     int   // of the unsettled messages
}

// isFull reports whether the handler holds so much that no more is read.
func (f *flow) isFull() bool { return f.unsettled >= maxHeldMessages || f.bytes >= maxHeldBytes }

// Hold reports that a message of n bytes is not settled yet. While 64 messages or
// 256 KiB of them are held, the client is not read. A close frame waits until none
// is, unless the queue overflows.
func (c *Conn) Hold(n int) {
	c.mu.Lock()
	c.flow.unsettled++
	c.flow.bytes += n
	c.mu.Unlock()
}

// Release takes one Hold back.
func (c *Conn) Release(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flow.unsettled--
	c.flow.bytes -= n
	c.proceed()
	c.closeIfSettled()
}

// Lag reports whether the client is behind: more than half of its queue waits. If
// so, Handler.CaughtUp is called when that has ended. taken is how many bytes the
// client has taken, to be compared with the next: where the socket does not tell
// how many it holds, as many as it can are left out, and taken may be negative.
// blocked is for how long what waits has waited for the client, and not only for a
// server that does not come to write it.
func (c *Conn) Lag() (taken int64, blocked time.Duration, behind bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.driver == nil {
		c.flow.lagging = c.isBehind()
		return 0, 0, c.flow.lagging
	}
	if c.out.flushing() {
		c.driver.flush() // a socket has room for more long before it says so
	}
	c.flow.lagging = c.isBehind()
	return c.taken(), c.driver.blocked(), c.flow.lagging
}

// taken is what Lag tells. A socket may hold more than is counted as written: what TLS
// adds, and a write that goes on.
func (c *Conn) taken() int64 {
	held := c.driver.sendBuffered()
	if held < 0 {
		return int64(c.end.BytesOut) - mostSendBuffered
	}
	return max(int64(c.end.BytesOut)-int64(held), 0)
}

// mostSendBuffered is the size up to which kernels let a send buffer grow (sysctl
// net.ipv4.tcp_wmem).
const mostSendBuffered = 4 << 20

// isBehind reports whether more than half of the queue waits for a client that is
// not leaving.
func (c *Conn) isBehind() bool {
	owed := c.out.owed()
	return owed > 0 && owed > c.settings.Load().MaxQueue/2 && !c.closing.wanted && !c.closing.ended
}

// isFull reports whether the client must take answers, or wait for them, before it
// may ask for more. Once the server is closing, no more answers come, and the
// client's close frame is waited for.
func (c *Conn) isFull() bool {
	if c.closing.wanted || c.closing.ended {
		return false
	}
	return c.flow.isFull() || c.out.owed() > c.settings.Load().MaxQueue/2
}

// isPaused reports whether the client is not read at the moment.
func (c *Conn) isPaused() bool { return c.flow.paused && !c.closing.ended }

// proceed does what has waited until less is owed or held: the client is read
// again, the handler is told that it has caught up, closing takes its next step.
func (c *Conn) proceed() {
	if c.flow.paused && !c.isFull() {
		c.flow.paused = false
		c.driver.resume()
	}
	c.tellCaughtUp()
	c.closeNext()
}

// tellCaughtUp tells the handler, if it is to be told, that the client is not
// behind any more.
func (c *Conn) tellCaughtUp() {
	if c.flow.lagging && !c.isBehind() {
		c.flow.lagging = false
		c.handler.CaughtUp()
	}
}
