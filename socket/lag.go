package socket

// Lag reports whether the client is behind: more than half of its queue waits. If
// so, Handler.CaughtUp is called when that has ended. taken is how many bytes the
// client has taken, to be compared with the next: where the socket does not tell
// how many it holds, as many as it can are left out, and taken may be negative.
func (c *Conn) Lag() (taken int64, behind bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.polled != nil {
		c.push() // a socket has room for more long before it says so
	}
	c.awaited = c.behind()
	if c.link == nil {
		return 0, c.awaited
	}
	unsent := c.link.unsent()
	if unsent < 0 {
		unsent = mostUnsent
	}
	return int64(c.end.BytesOut) - int64(unsent), c.awaited
}

// mostUnsent is the size up to which kernels let a send buffer grow (sysctl
// net.ipv4.tcp_wmem).
const mostUnsent = 4 << 20

// behind reports whether more than half of the queue waits for a client that is
// not leaving.
func (c *Conn) behind() bool {
	owed := c.owed()
	return owed > 0 && owed > c.settings.Load().MaxQueue/2 && !c.closeWanted && !c.gone
}

// caughtUp tells the handler, if it waits for that.
func (c *Conn) caughtUp() {
	if c.awaited && !c.behind() {
		c.awaited = false
		c.handler.CaughtUp()
	}
}
