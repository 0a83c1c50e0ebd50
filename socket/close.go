package socket

import "github.com/caddyws/caddy-websocket/frames"

// closing is how far the closing handshake has come (RFC 6455 section 7).
type closing struct {
	by moment // when waiting ends: first for unsettled messages, then for the client

	wanted   bool // a close frame, with the code and reason in Conn.end, is to be sent once no message is held
	queued   bool // the close frame is queued: nothing may follow it
	peerDone bool // the client's close frame, or the end of its stream, has come
	failed   bool // the client broke a rule and may still be sending
	shut     bool // the server's direction has been ended
	ended    bool // the connection has been ended
}

// Close ends the connection with a close frame, after what was queued before it
// and after the messages that are held have been answered or 10 s have passed.
// The first code said counts. A code that must not be sent becomes 1011.
func (c *Conn) Close(code frames.CloseCode, reason string) {
	if !code.OnWire() {
		code = frames.InternalError
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wantClose(code, reason)
}

// Abort ends the connection at once, without a close frame.
func (c *Conn) Abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.driver == nil {
		c.wantClose(frames.GoingAway, "")
		return
	}
	c.cut(nil)
}

// isClosing reports whether the closing handshake has begun and not ended.
func (c *Conn) isClosing() bool { return c.closing.wanted && !c.closing.ended }

// wantClose sends a close frame as soon as no message is held. The first code and
// reason that are wanted are the ones that are sent.
func (c *Conn) wantClose(code frames.CloseCode, reason string) {
	if !c.closing.wanted {
		c.closing.wanted, c.end.Code, c.end.Reason = true, code, reason
		c.closing.by = now().add(settleTimeout)
		c.wakeAt(c.closing.by)
		c.proceed()
	}
	c.closeIfSettled()
}

// closeIfSettled sends the close frame, if one is wanted and no message is held.
func (c *Conn) closeIfSettled() {
	if c.closing.wanted && c.flow.unsettled == 0 {
		c.sendClose()
	}
}

// sendClose queues the close frame, if it is not queued yet, and writes what waits.
func (c *Conn) sendClose() {
	if c.closing.queued || c.closing.ended {
		return
	}
	c.closing.queued = true
	c.closing.by = now().add(closeTimeout)
	c.wakeAt(c.closing.by)
	code := c.end.Code
	if code == frames.Abnormal { // the client has ended its direction and got all it asked for
		code = frames.NormalClosure
	}
	var payload [frames.MaxControlPayload]byte
	c.out.push(c.form(), frames.Close, frames.AppendClose(payload[:0], code, c.end.Reason))
	c.closing.peerDone = c.closing.peerDone || c.oneWay()
	c.pump()
}

// closeNext takes the next step of closing, once everything is written: it ends the
// connection if nothing more will come from the client, or the server's direction
// if the client must be told that it is not listened to.
func (c *Conn) closeNext() {
	if c.driver == nil || !c.closing.queued || c.closing.ended || c.out.owed() > 0 {
		return
	}
	switch {
	case c.closing.peerDone:
		c.closing.ended = true
		c.driver.close()
	case c.closing.failed && !c.closing.shut:
		c.closing.shut = true
		c.driver.closeWrite()
	}
}

// cut ends the connection at once.
func (c *Conn) cut(err error) {
	if c.closing.ended {
		return
	}
	if c.end.Err == nil && !isGone(err) {
		c.end.Err = err
	}
	c.out.clear()
	c.markEnded()
	c.driver.abort()
}

// markEnded notes that the connection has ended.
func (c *Conn) markEnded() {
	c.closing.ended = true
	c.tellCaughtUp()
}
