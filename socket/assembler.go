package socket

import (
	"unicode/utf8"

	"github.com/caddyws/caddy-websocket/frames"
)

// assembler turns the bytes of one client into messages and control frames. It
// holds memory only while something is incomplete.
//
// Its one operation is next: bytes in, at most one event out. A whole frame
// that stands in the bytes is unmasked where it is and handed out without being
// copied; everything else goes through partial.
type assembler struct {
	partial  *partial
	inflated *buffer // the message that was handed out, if it came compressed
	begun    uint32  // counts what began and did not stand in the bytes from end to end

	compression *compression // immutable while serving; nil for none
}

// event is one thing a client has said. The zero event is nothing yet.
type event struct {
	opcode  frames.Opcode // Text or Binary for a whole message, else the control frame's
	payload []byte        // valid until the next call

	compressed bool // payload is to be inflated
}

func (e event) none() bool { return e.opcode == frames.Continuation }

func (e event) isMessage() bool { return e.opcode == frames.Text || e.opcode == frames.Binary }

// The limits that the protocol leaves to the server.
var (
	errMessageTooBig = &frames.Error{Code: frames.MessageTooBig, Rule: "reading message: larger than the limit"}
	errTooFast       = &frames.Error{Code: frames.PolicyViolation, Rule: "reading message: more than the rate allows"}
	errTooFragmented = &frames.Error{Code: frames.PolicyViolation, Rule: "reading message: too many fragments"}
)

// next reads from p until an event is complete or p is used up, and returns the
// number of bytes it took. p is changed: payloads are unmasked in place. limit
// is the largest message in bytes.
func (a *assembler) next(p []byte, limit int) (event, int, error) {
	a.settle()
	e, n, err := a.nextFrames(p, limit)
	if err == nil && e.compressed {
		e, err = a.inflate(e, limit)
	}
	return e, n, err
}

// nextFrames is next without inflating.
func (a *assembler) nextFrames(p []byte, limit int) (event, int, error) {
	if a.partial == nil {
		e, n, err := whole(p, a.compression.rsv(), limit)
		if n > 0 || err != nil || len(p) == 0 {
			return e, n, err
		}
		a.partial = newPartial(a.compression.rsv())
		a.begun++
	}
	return a.partial.next(p, limit)
}

// inflate decompresses a message (RFC 7692 section 6.2).
func (a *assembler) inflate(e event, limit int) (event, error) {
	a.inflated = getBuffer(min(4*len(e.payload), limit))
	message, err := frames.AppendInflated(a.inflated.b, e.payload, limit, a.compression.window())
	a.inflated.b = message
	switch {
	case err != nil:
		return event{}, err
	case e.opcode == frames.Text && !utf8.Valid(message):
		return event{}, frames.ErrInvalidUTF8
	}
	return event{opcode: e.opcode, payload: message}, nil
}

// settle takes back the event that was handed out last, and all memory if
// nothing is incomplete.
func (a *assembler) settle() {
	putBuffer(a.inflated)
	a.inflated = nil
	if a.partial == nil {
		return
	}
	a.partial.release()
	if a.partial.idle() {
		a.reset()
	}
}

// skip reads on after a violation, where only a close frame counts, and reports whether
// one has come.
func (a *assembler) skip(p []byte) bool {
	if a.partial == nil {
		a.partial = newPartial(a.compression.rsv())
	}
	return a.partial.skip(p)
}

// incomplete reports, after settle, whether a message or frame has begun and not ended.
func (a *assembler) incomplete() bool { return a.partial != nil }

// reset forgets everything.
func (a *assembler) reset() {
	putBuffer(a.inflated)
	a.inflated = nil
	if a.partial != nil {
		a.partial.free()
	}
	a.partial = nil
}

// whole reads a frame that is a message or a control frame of its own and
// stands in p from end to end; n is 0 if that is not so.
func whole(p []byte, rsv byte, limit int) (e event, n int, err error) {
	h, n, err := frames.ParseHeader(p)
	if n == 0 || err != nil {
		return event{}, 0, err
	}
	if h.RSV != 0 {
		limit = frames.MaxDeflated(limit)
	}
	if err := judge(h, false, rsv, limit); err != nil {
		return event{}, 0, err
	}
	if !h.Fin || uint64(len(p)-n) < h.Length {
		return event{}, 0, nil
	}
	payload := p[n : n+int(h.Length)]
	frames.Mask(payload, h.Key, 0)
	e = event{h.Opcode, payload, h.RSV != 0}
	if h.Opcode == frames.Text && !e.compressed && !utf8.Valid(payload) {
		return event{}, 0, frames.ErrInvalidUTF8
	}
	return e, n + len(payload), nil
}

// judge applies the rules of the protocol to a header, whose payload may have no
// more bytes than there is room for in its message.
func judge(h frames.Header, fragmented bool, rsv byte, room int) error {
	if err := frames.Check(h, fragmented, rsv); err != nil {
		return err
	}
	if !h.Opcode.IsControl() && h.Length > uint64(max(0, room)) {
		return errMessageTooBig
	}
	return nil
}
