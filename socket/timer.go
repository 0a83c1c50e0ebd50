package socket

import (
	"time"

	"github.com/caddyws/caddy-websocket/frames"
)

// never is later than anything that may become due.
const never = 1 << 62

// armFor makes sure that tick runs at the given time or earlier.
func (c *Conn) armFor(at moment) {
	switch {
	case c.gone || c.link == nil:
	case c.timer == nil:
		c.wake = at
		c.timer = time.AfterFunc(at.since(now()), c.tick)
	case c.wake == 0 || at < c.wake:
		c.wake = at
		c.timer.Reset(at.since(now()))
	}
}

// tick acts on what has become due and re-arms the timer for what comes next.
func (c *Conn) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wake = 0
	if !c.gone {
		c.arm(now())
	}
}

// Rearm lets settings act that were replaced.
func (c *Conn) Rearm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link != nil && !c.gone {
		c.arm(now())
	}
}

// arm applies each rule of time; a rule acts if it is due and returns how long
// it can wait otherwise.
func (c *Conn) arm(now moment) {
	s := c.settings.Load()
	next := min(c.closeDue(now), c.writeDue(now, s), c.messageDue(now), c.pingDue(now, s), c.ageDue(now, s))
	if next < never && !c.gone {
		c.armFor(now.add(next))
	}
}

// closeDue bounds closing: first the wait for held messages, then that for the
// client.
func (c *Conn) closeDue(now moment) time.Duration {
	if !c.closeWanted {
		return never
	}
	if wait := c.closeBy.since(now); wait > 0 {
		return wait
	}
	if c.closing {
		return c.answerDue(now)
	}
	c.queueClose()
	c.pump()
	return closeTimeout
}

// answerDue ends the connection of a client that does not answer our close frame,
// unless it still takes what was queued before it.
func (c *Conn) answerDue(now moment) time.Duration {
	if c.takes() {
		c.progress = now
	}
	by := min(c.progress.add(closeTimeout), c.closeBy.add(lastTimeout))
	if wait := by.since(now); wait > 0 {
		return wait
	}
	c.unanswered()
	return never
}

func (c *Conn) writeDue(now moment, s *Settings) time.Duration {
	if !c.flushing || s.WriteTimeout <= 0 {
		return never
	}
	if wait := c.progress.add(s.WriteTimeout).since(now); wait > 0 {
		return wait
	}
	if c.takes() {
		c.progress = now
		return s.WriteTimeout
	}
	c.cut(errSlow)
	return never
}

// takes tells whether the client has received something since we last looked. A
// socket says that it takes more only when a good part of its buffer is free,
// which may be a long time for a slow but willing client.
func (c *Conn) takes() bool {
	before := c.unsent
	c.unsent = c.link.unsent()
	return c.unsent >= 0 && c.unsent < before
}

// messageDue closes on a client that does not finish what it has begun, unless
// it is us who do not read on.
func (c *Conn) messageDue(now moment) time.Duration {
	if c.assembling == 0 || c.closeWanted {
		return never
	}
	if c.paused {
		c.assembling = now
	}
	if wait := c.assembling.add(assemblyTimeout).since(now); wait > 0 {
		return wait
	}
	c.failed = true
	c.wantClose(frames.PolicyViolation, "message took too long")
	return never
}

// ageDue closes a connection that has grown old. Those that began together end
// at different times, up to a tenth of the age early: what the clock said when
// they began decides.
func (c *Conn) ageDue(now moment, s *Settings) time.Duration {
	if s.MaxAge <= 0 || c.closeWanted {
		return never
	}
	began := -c.end.Duration
	early := time.Duration(int64(s.MaxAge) / 10 * (began.Microseconds() % 1000) / 1000)
	if wait := moment(began).add(s.MaxAge - early).since(now); wait > 0 {
		return wait
	}
	c.wantClose(frames.GoingAway, "connection has reached its age")
	return never
}

// pingDue sends a ping to a client that has been silent for the interval and
// cuts one that stays silent. A client whose reading is paused is pinged but
// cannot be heard: the write timeout watches it.
func (c *Conn) pingDue(now moment, s *Settings) time.Duration {
	if s.PingInterval <= 0 || c.closing {
		return never
	}
	if c.paused {
		c.heard = max(c.heard, c.pinged)
	}
	if s.PingTimeout > 0 && !c.oneWay() && c.pinged > c.heard {
		return c.pongDue(now, s)
	}
	if wait := max(c.heard, c.pinged).add(s.PingInterval).since(now); wait > 0 {
		return wait
	}
	c.pinged = now
	c.arrived = c.received()
	c.out.push(c.form(), frames.Ping, nil)
	c.pingEnd = int64(c.end.BytesOut) + int64(c.owed())
	c.pump()
	if s.PingTimeout > 0 && !c.oneWay() {
		return min(s.PingTimeout, s.PingInterval)
	}
	return s.PingInterval
}

// pongDue cuts a client that has not been heard since the last ping.
func (c *Conn) pongDue(now moment, s *Settings) time.Duration {
	if wait := c.pinged.add(s.PingTimeout).since(now); wait > 0 {
		return wait
	}
	if n := c.received(); c.arrived < n && n < c.pingEnd {
		c.heard = now // the ping is still on its way, and the client takes what is before it
		return s.PingInterval
	}
	c.cut(errSilent)
	return never
}

// received is how many bytes have arrived at the client, as far as the link knows.
func (c *Conn) received() int64 { return int64(c.end.BytesOut) - int64(max(0, c.link.unsent())) }
