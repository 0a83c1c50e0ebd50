package socket

import (
	"math"
	"sync"

	"github.com/caddyws/caddy-websocket/frames"
)

// partial is what has arrived of a frame, of a message in several frames, or of
// both: control frames may stand between the fragments of a message (RFC 6455
// section 5.4).
type partial struct {
	rsv byte // the reserved bits that are allowed

	header  [frames.MaxHeaderSize]byte // the next frame's, as far as it has come
	headers int                        // its bytes

	open  bool // a header is complete and its payload is not
	frame frames.Header
	left  uint64 // bytes of the payload that are missing
	pos   int    // place in the masking key

	message   *buffer       // the message so far
	opcode    frames.Opcode // the message's; Continuation if none has begun
	fragments int
	text      frames.Validator
	handedOut bool // message was given to the caller, until the next call

	compressed bool // the message is, and text is checked once it is inflated

	control  [frames.MaxControlPayload]byte
	controls int // its bytes
}

var partials sync.Pool // of *partial, all zero

func newPartial(rsv byte) *partial {
	s, ok := partials.Get().(*partial)
	if !ok {
		s = new(partial)
	}
	s.rsv = rsv
	return s
}

// free gives back s and the message in it.
func (s *partial) free() {
	putBuffer(s.message)
	*s = partial{}
	partials.Put(s)
}

// idle reports whether nothing is incomplete.
func (s *partial) idle() bool {
	return !s.open && s.headers == 0 && s.opcode == frames.Continuation
}

// release takes back the message that was handed out.
func (s *partial) release() {
	if !s.handedOut {
		return
	}
	putBuffer(s.message)
	s.message, s.handedOut = nil, false
}

// next goes on with p until an event is complete or p is used up.
func (s *partial) next(p []byte, limit int) (e event, n int, err error) {
	for {
		if !s.open {
			took, err := s.readHeader(p[n:], limit)
			n += took
			if err != nil || !s.open {
				return event{}, n, err
			}
		}
		took, err := s.readPayload(p[n:])
		n += took
		if err != nil || s.left > 0 {
			return event{}, n, err
		}
		if e, err = s.endFrame(); err != nil || !e.none() {
			return e, n, err
		}
	}
}

// readHeader takes bytes until the header is complete and judged.
func (s *partial) readHeader(p []byte, limit int) (took int, err error) {
	had := s.headers
	s.headers += copy(s.header[had:], p)
	h, n, err := frames.ParseHeader(s.header[:s.headers])
	if err != nil {
		return 0, err
	}
	if n == 0 {
		return s.headers - had, nil
	}
	s.headers = 0
	return n - had, s.begin(h, limit)
}

// begin opens a frame.
func (s *partial) begin(h frames.Header, limit int) error {
	s.left = h.Length
	if err := judge(h, s.opcode != frames.Continuation, s.rsv, s.room(h, limit)); err != nil {
		return err
	}
	s.open, s.frame, s.pos = true, h, 0
	if h.Opcode.IsControl() {
		s.controls = 0
		return nil
	}
	return s.beginFragment(h, maxFragments(limit))
}

// room returns how many bytes of the message may still come. The limit is on what
// a compressed message becomes; the bytes it comes in have a limit of their own.
func (s *partial) room(h frames.Header, limit int) int {
	if h.RSV != 0 || s.compressed && h.Opcode == frames.Continuation {
		limit = frames.MaxDeflated(limit) + maxFlushed*s.fragments
	}
	if s.message != nil {
		limit -= len(s.message.b)
	}
	return limit
}

func (s *partial) beginFragment(h frames.Header, most int) error {
	if h.Opcode != frames.Continuation {
		s.opcode, s.fragments, s.compressed = h.Opcode, 0, h.RSV != 0
		s.text.Reset()
	}
	if s.fragments++; s.fragments > most {
		return errTooFragmented
	}
	return nil
}

// readPayload takes what has arrived of the open frame's payload. Memory grows
// with what arrives, never with what was announced.
func (s *partial) readPayload(p []byte) (took int, err error) {
	p = p[:min(uint64(len(p)), s.left)]
	s.pos = frames.Mask(p, s.frame.Key, s.pos)
	s.left -= uint64(len(p))
	if s.frame.Opcode.IsControl() {
		s.controls += copy(s.control[s.controls:], p)
		return len(p), nil
	}
	if s.opcode == frames.Text && !s.compressed && !s.text.Write(p) {
		return len(p), frames.ErrInvalidUTF8
	}
	if s.message == nil {
		s.message = getBuffer(len(p))
	}
	s.message = s.message.reserve(len(p))
	s.message.b = append(s.message.b, p...)
	return len(p), nil
}

// endFrame gives the event that the end of the open frame completes, if any.
func (s *partial) endFrame() (event, error) {
	s.open = false
	switch {
	case s.frame.Opcode.IsControl():
		return event{opcode: s.frame.Opcode, payload: s.control[:s.controls]}, nil
	case !s.frame.Fin:
		return event{}, nil
	case s.opcode == frames.Text && !s.text.Done():
		return event{}, frames.ErrInvalidUTF8
	}
	e := event{s.opcode, s.message.b, s.compressed}
	s.opcode, s.handedOut = frames.Continuation, true
	return e, nil
}

// skip passes over frames for which no rule counts any more, and reports whether one
// was a close frame. A header that cannot be read is the last one, since it does not
// say where the next one is.
func (s *partial) skip(p []byte) (closed bool) {
	s.open = true // it is never idle again
	for {
		took := min(uint64(len(p)), s.left)
		p, s.left = p[took:], s.left-took
		if len(p) == 0 {
			return false
		}
		had := s.headers
		s.headers += copy(s.header[had:], p)
		h, n, err := frames.ParseHeader(s.header[:s.headers])
		switch {
		case err != nil:
			h.Length = math.MaxUint64
			n = len(p) + had
		case n == 0:
			return false
		case h.Opcode == frames.Close:
			return true
		}
		p, s.headers, s.left = p[n-had:], 0, h.Length
	}
}
