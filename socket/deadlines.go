package socket

import (
	"time"

	"github.com/caddyws/caddy-websocket/frames"
)

// Rearm makes settings that were replaced take effect on times that are already
// running.
func (c *Conn) Rearm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.driver != nil && !c.closing.ended {
		deadlines{c}.enforce(now())
	}
}

// ring is called by the alarm.
func (c *Conn) ring() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alarm.at = 0
	if !c.closing.ended {
		deadlines{c}.enforce(now())
	}
}

// wakeAt makes sure that the deadlines are looked at by the given moment.
func (c *Conn) wakeAt(at moment) {
	switch {
	case c.driver == nil || c.closing.ended:
	case c.alarm.timer == nil:
		c.alarm.begin(at, c.ring)
	default:
		c.alarm.advance(at)
	}
}

// never is later than anything that may become due.
const never = 1 << 62

// deadlines are the rules of a connection that have to do with time. A rule that is
// due acts; it returns how long it can wait otherwise. Conn.mu is held.
type deadlines struct{ *Conn }

// enforce applies all rules and sets the alarm for the next that can become due.
func (d deadlines) enforce(now moment) {
	s := d.settings.Load()
	next := min(d.close(now), d.write(now, s), d.message(now), d.ping(now, s), d.age(now, s), d.expire(now))
	if next < never {
		d.wakeAt(now.add(next))
	}
}

// close bounds the closing handshake: first the wait for unsettled messages, then
// that for the client.
func (d deadlines) close(now moment) time.Duration {
	if !d.closing.wanted {
		return never
	}
	if wait := d.closing.by.since(now); wait > 0 {
		return wait
	}
	if d.closing.queued {
		return d.peerClose(now)
	}
	d.sendClose()
	return closeTimeout
}

// peerClose ends the connection of a client that does not answer the close frame. A
// client that still takes what was queued before that is given more time.
func (d deadlines) peerClose(now moment) time.Duration {
	d.progress.advanced(now, d.driver.sendBuffered())
	by := min(d.progress.last.add(closeTimeout), d.closing.by.add(lastTimeout))
	if wait := by.since(now); wait > 0 {
		return wait
	}
	if d.stream { // it ends in good order if the close frame is written
		d.end.Err, d.closing.peerDone = errNoEnd, true
		d.closeNext()
	}
	d.cut(errNoEnd)
	return never
}

// write cuts a client that takes nothing for the write timeout.
func (d deadlines) write(now moment, s *Settings) time.Duration {
	if !d.out.flushing() || s.WriteTimeout <= 0 {
		return never
	}
	if wait := d.progress.last.add(s.WriteTimeout).since(now); wait > 0 {
		return wait
	}
	if d.progress.advanced(now, d.driver.sendBuffered()) {
		return s.WriteTimeout
	}
	d.cut(errSlow)
	return never
}

// message closes on a client that does not finish a message. While the client is
// not read, that is not its fault.
func (d deadlines) message(now moment) time.Duration {
	if d.unfinished.since == 0 || d.closing.wanted {
		return never
	}
	if d.flow.paused {
		d.unfinished.since = now
	}
	if wait := d.unfinished.since.add(assemblyTimeout).since(now); wait > 0 {
		return wait
	}
	d.closing.failed = true
	d.wantClose(frames.PolicyViolation, "message took too long")
	return never
}

// age closes a connection that has grown old. Those that began together end at
// different times, up to a tenth of the age early, which follows from the
// microsecond in which each began.
func (d deadlines) age(now moment, s *Settings) time.Duration {
	if s.MaxAge <= 0 || d.closing.wanted {
		return never
	}
	began := -d.end.Duration
	early := time.Duration(int64(s.MaxAge) / 10 * (began.Microseconds() % 1000) / 1000)
	if wait := moment(began).add(s.MaxAge - early).since(now); wait > 0 {
		return wait
	}
	d.wantClose(frames.GoingAway, "connection has reached its age")
	return never
}

// expire closes the connection of a client that may not be here any longer. The time is
// one of the clock, which may be set: it is compared whenever some rule can become due.
func (d deadlines) expire(now moment) time.Duration {
	by := d.handler.Expires()
	if by.IsZero() || d.closing.queued {
		return never
	}
	if wait := time.Until(by); wait > 0 {
		return wait
	}
	d.wantClose(frames.Unauthorized, "permission has ended")
	if !d.closing.queued {
		d.closing.by = min(d.closing.by, now.add(expiryTimeout))
		d.wakeAt(d.closing.by)
	}
	return never
}

// ping sends a ping to a client that has been silent for the interval, and cuts a
// client that stays silent. One that is not read is pinged, but cannot be heard:
// the write timeout watches it.
func (d deadlines) ping(now moment, s *Settings) time.Duration {
	if s.PingInterval <= 0 || d.closing.queued {
		return never
	}
	if d.flow.paused {
		d.alive.excuse()
	}
	answers := s.PingTimeout > 0 && !d.oneWay()
	if answers && d.alive.awaitsPong() {
		return d.pong(now, s)
	}
	if wait := d.alive.nextPing(s.PingInterval).since(now); wait > 0 {
		return wait
	}
	received := d.received()
	d.out.push(d.form(), frames.Ping, nil)
	d.alive.ping(now, received, int64(d.end.BytesOut)+int64(d.out.owed()))
	d.pump()
	if answers {
		return min(s.PingTimeout, s.PingInterval)
	}
	return s.PingInterval
}

// pong cuts a client that has not been heard since the last ping.
func (d deadlines) pong(now moment, s *Settings) time.Duration {
	if wait := d.alive.pinged.add(s.PingTimeout).since(now); wait > 0 {
		return wait
	}
	if d.alive.onItsWay(d.received()) {
		d.alive.heard = now
		return s.PingInterval
	}
	d.cut(errSilent)
	return never
}

// received returns how many bytes have arrived at the client, as far as is known.
func (d deadlines) received() int64 {
	return int64(d.end.BytesOut) - int64(max(0, d.driver.sendBuffered()))
}
