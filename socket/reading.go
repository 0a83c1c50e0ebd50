package socket

import (
	"errors"

	"golang.org/x/time/rate"

	"github.com/caddyws/caddy-websocket/frames"
)

// reading is the state of what the client says. It is owned by the [reader].
type reading struct {
	assembler
	rate  *rate.Limiter // of messages; nil until the first that counts
	deaf  bool          // a close frame or a violation has come: nothing after it counts
	muted bool          // the server is closing: of the client only the close frame counts
	waits bool          // reading has stopped in the middle of what arrived

	messages uint32 // that were handed over and are not counted in Conn.end yet
}

// next returns what p says first, if that is complete, and how many bytes of p it
// has used. Messages that do not count any more are left out.
func (r *reading) next(p []byte, s *Settings) (event, int, error) {
	e, n, err := r.assembler.next(p, s.MaxMessageSize)
	switch {
	case err != nil || !e.isMessage():
		return e, n, err
	case r.muted:
		return event{}, n, nil
	case !r.allows(s):
		return event{}, n, errTooFast
	}
	return e, n, nil
}

// allows reports whether one more message is within the rate.
func (r *reading) allows(s *Settings) bool {
	if s.MessageRate <= 0 {
		return true
	}
	if r.rate == nil || r.rate.Limit() != rate.Limit(s.MessageRate) || r.rate.Burst() != s.MessageBurst {
		r.rate = rate.NewLimiter(rate.Limit(s.MessageRate), s.MessageBurst)
	}
	return r.rate.Allow()
}

// reader is a Conn as its driver sees it that has read something. One goroutine at
// a time calls the methods, without Conn.mu. For each read they are beginRead,
// consume, Handler.Flush and endRead, in this order; several connections may be
// between them at once.
type reader struct{ *Conn }

// beginRead notes that n bytes have arrived. What is sent is collected until
// endRead.
func (r reader) beginRead(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.alive.heard = now()
	r.end.BytesIn += uint64(n)
	r.out.corks++
	r.driver.received()
}

// consume hands over the messages in p, which it changes. If the client has to wait
// for its answers, consume returns the rest of p: it is to be consumed by another
// read, after driver.resume.
func (r reader) consume(p []byte) (rest []byte) {
	r.in.waits = false
	for len(p) > 0 && r.mayRead() {
		e, n, err := r.in.next(p, r.settings.Load())
		p = p[n:]
		if err == nil {
			err = r.handle(e)
		}
		if err != nil {
			r.violated(err)
		}
	}
	if r.in.deaf && r.stream && r.in.skip(p) {
		r.peerDone()
	}
	r.in.settle()
	if !r.in.waits {
		return nil
	}
	return p
}

// endRead sends what was collected since beginRead.
func (r reader) endRead() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.countMessages()
	if r.unfinished.update(&r.in.assembler, r.alive.heard) {
		r.wakeAt(r.unfinished.since.add(assemblyTimeout))
	}
	r.out.corks--
	r.pump()
}

// mayRead reports whether what the client says next still counts and need not wait.
// Before it has the client wait, it sends what was collected. Flush may panic: it is
// called without Conn.mu, and with no unlock deferred.
func (r reader) mayRead() bool {
	for !r.in.deaf {
		full, ended := r.look()
		if !full {
			return !ended
		}
		r.handler.Flush()
		if r.pause() {
			return false
		}
	}
	return false
}

// look returns what mayRead decides by.
func (r reader) look() (full, ended bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.in.muted = r.closing.wanted
	return r.isFull(), r.closing.ended
}

// pause sends what was collected and reports whether the client must still wait.
func (r reader) pause() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out.corks--
	r.pump()
	r.flow.paused = r.isFull()
	r.out.corks++
	r.in.waits = r.flow.paused
	return r.flow.paused
}

// handle acts on a message or control frame.
func (r reader) handle(e event) error {
	switch e.opcode {
	case frames.Text, frames.Binary:
		r.in.messages++
		r.handler.Message(e.payload, e.opcode == frames.Binary)
	case frames.Ping:
		r.send(frames.Pong, e.payload)
	case frames.Close:
		return r.handleClose(e.payload)
	}
	return nil
}

func (r reader) handleClose(payload []byte) error {
	code, reason, err := frames.ParseClose(payload)
	if err != nil {
		if r.stream {
			r.peerDone() // although its close frame is malformed
		}
		return err
	}
	r.in.deaf = true
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closing.peerDone = true
	r.end.ByPeer = !r.closing.wanted
	r.wantClose(code, reason)
	r.proceed()
	return nil
}

// violated closes the connection with the code for the rule that the client broke.
func (r reader) violated(err error) {
	var rule *frames.Error
	if !errors.As(err, &rule) {
		rule = &frames.Error{Code: frames.InternalError}
	}
	r.in.deaf = true
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closing.failed = true
	r.wantClose(rule.Code, rule.Rule)
}

// peerDone notes that nothing more will come from a client that has broken a rule.
// Only on a stream of HTTP is that found out from its close frame: other clients
// are told of the end by the end of the server's direction.
func (r reader) peerDone() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closing.peerDone = true
	r.proceed()
}

// hungUp notes that the client has ended its direction. If it has sent no close
// frame, it still gets the answers it has asked for, and then a close frame.
func (r reader) hungUp() {
	if r.peerEnded() {
		r.handler.HungUp()
	}
}

// peerEnded reports whether the end of the client's direction came by surprise.
func (r reader) peerEnded() (abrupt bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	abrupt = !r.closing.peerDone && !r.closing.ended
	r.closing.peerDone = true
	if !r.oneWay() {
		r.wantClose(frames.Abnormal, "")
	}
	r.proceed()
	return abrupt
}
