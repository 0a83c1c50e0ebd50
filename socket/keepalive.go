package socket

import "time"

// keepAlive watches for a client that is silent (RFC 6455 section 5.5.2).
type keepAlive struct {
	heard    moment // when the last bytes came
	pinged   moment // when the last ping was sent
	received int64  // how many bytes the client had received by then
	pingEnd  int64  // how many it has received once it has that ping
}

// awaitsPong reports whether the client has been silent since the last ping.
func (k *keepAlive) awaitsPong() bool { return k.pinged > k.heard }

// nextPing returns when a client that stays silent is pinged.
func (k *keepAlive) nextPing(interval time.Duration) moment {
	return max(k.heard, k.pinged).add(interval)
}

// excuse counts a ping as heard, since the client is not read and its answer cannot
// be.
func (k *keepAlive) excuse() { k.heard = max(k.heard, k.pinged) }

// ping notes that a ping is queued, after which the client has end bytes.
func (k *keepAlive) ping(now moment, received, end int64) {
	k.pinged, k.received, k.pingEnd = now, received, end
}

// onItsWay reports whether the ping has not reached the client, which takes what is
// before it: by now it has received so many bytes.
func (k *keepAlive) onItsWay(received int64) bool {
	return k.received < received && received < k.pingEnd
}

// deflated notes that what comes next after the first sent bytes has become shorter,
// or longer. If the ping is among it, it ends with it at the latest.
func (k *keepAlive) deflated(sent int64, before, after int) {
	if k.pingEnd > sent {
		k.pingEnd = max(k.pingEnd, sent+int64(before)) + int64(after-before)
	}
}

// progress watches for a client that takes nothing of what is written.
type progress struct {
	last         moment // when the socket, or the client, last took something
	sendBuffered int    // what the kernel held for the client when it was last asked; -1 if not known
}

// advanced reports whether the client has received something since the kernel was
// last asked, which holds so much now. A socket says that it takes more only when a
// good part of its buffer is free: with a slow client that may take long.
func (p *progress) advanced(now moment, sendBuffered int) bool {
	before := p.sendBuffered
	p.sendBuffered = sendBuffered
	if sendBuffered < 0 || sendBuffered >= before {
		return false
	}
	p.last = now
	return true
}

// unfinished watches for a message that begins and does not end.
type unfinished struct {
	since moment // when it began; zero if there is none
	begun uint32 // assembler.begun at the end of the last read
}

// update looks at what a read has left and reports whether that is the beginning of
// another message.
func (u *unfinished) update(in *assembler, now moment) (another bool) {
	another = in.incomplete() && u.begun != in.begun
	switch {
	case !in.incomplete():
		u.since = 0
	case another:
		u.since = now
	}
	u.begun = in.begun
	return another
}
