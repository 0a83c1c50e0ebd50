package socket

import (
	"github.com/caddyws/caddy-websocket/frames"
)

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

// Abort ends the connection at once, without a word.
func (c *Conn) Abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link == nil {
		c.wantClose(frames.GoingAway, "")
		return
	}
	c.cut(nil)
}

// wantClose sends a close frame as soon as nothing is held. The first one
// wanted is the one that is sent.
func (c *Conn) wantClose(code frames.CloseCode, reason string) {
	c.setClose(code, reason)
	c.sendClose()
}

func (c *Conn) setClose(code frames.CloseCode, reason string) {
	if !c.closeWanted {
		c.closeWanted, c.end.Code, c.end.Reason = true, code, reason
		c.closeBy = now().add(settleTimeout)
		c.armFor(c.closeBy)
		c.resume()
		c.caughtUp()
	}
}

func (c *Conn) sendClose() {
	if c.closeWanted && c.holds == 0 {
		c.queueClose()
		c.pump()
	}
}

// queueClose queues the close frame; nothing is queued after it.
func (c *Conn) queueClose() {
	if c.closing || c.gone {
		return
	}
	c.closing = true
	c.closeBy = now().add(closeTimeout)
	c.armFor(c.closeBy)
	code := c.end.Code
	if code == frames.Abnormal { // the client went without a word: all it asked for is done
		code = frames.NormalClosure
	}
	var payload [frames.MaxControlPayload]byte
	c.out.push(c.form(), frames.Close, frames.AppendClose(payload[:0], code, c.end.Reason))
	c.peerClosed = c.peerClosed || c.oneWay()
}

// drained takes the next step of closing once nothing waits to be written.
func (c *Conn) drained() {
	if c.link == nil || !c.closing || c.gone || c.flushing || !c.out.empty() {
		return
	}
	switch {
	case c.peerClosed:
		c.gone = true
		c.link.close()
		c.announce()
	case c.failed && !c.shut:
		c.shut = true
		c.link.closeWrite()
	}
}

// unanswered ends a connection whose client has not answered our close frame. A
// stream on which it was sent ends in good order.
func (c *Conn) unanswered() {
	if isStream(c.link) {
		c.end.Err, c.peerClosed = errNoEnd, true
		c.drained()
	}
	c.cut(errNoEnd)
}

// cut ends the connection at once, without a close frame.
func (c *Conn) cut(err error) {
	if c.gone {
		return
	}
	if c.end.Err == nil && !isGone(err) {
		c.end.Err = err
	}
	c.out.clear()
	c.gone = true
	c.caughtUp()
	c.link.abort()
	c.announce()
}
