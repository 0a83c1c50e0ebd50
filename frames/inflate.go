package frames

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
)

var (
	// ErrDeflate: a compressed message is not valid DEFLATE, RFC 7692 section
	// 7.2.2.
	ErrDeflate = &Error{InvalidPayload, "inflating message: not valid deflate data"}
	// ErrInflatedTooBig: a compressed message is larger than the limit once
	// inflated. Nothing beyond the limit has been inflated.
	ErrInflatedTooBig = &Error{MessageTooBig, "inflating message: larger than the limit"}
	// ErrTooManyStreams: a compressed message has more final blocks than any
	// sender needs.
	ErrTooManyStreams = &Error{PolicyViolation, "inflating message: too many final blocks"}
)

// MaxDeflated returns the largest number of bytes that the compressed payload of
// a message of n bytes needs: what zlib allows for its least favourable settings
// (n/8 and n/64 more), and 1 KiB for empty blocks.
func MaxDeflated(n int) int { return n + n/8 + n/64 + 1<<10 }

// tail is what a sender leaves off a compressed message (RFC 7692 section
// 7.2.1), and an empty last block, which ends the stream for the reader.
var tail = []byte("\x00\x00\xff\xff" + "\x01\x00\x00\xff\xff")

var inflaters = sync.Pool{New: func() any {
	i := new(inflater)
	i.flate = flate.NewReader(&i.source)
	return i
}}

// inflater is a decompressor and what it reads from.
type inflater struct {
	source source
	flate  io.ReadCloser
	last   []byte // what lastOf returned; kept for its memory
}

// source reads a payload and then the tail.
type source struct {
	payload bytes.Reader
	tail    bytes.Reader
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.payload.Read(p)
	if err == io.EOF {
		return s.tail.Read(p)
	}
	return n, err
}

func (s *source) ReadByte() (byte, error) {
	b, err := s.payload.ReadByte()
	if err == io.EOF {
		return s.tail.ReadByte()
	}
	return b, err
}

// AppendInflated appends the message whose compressed payload is given to dst,
// whose length counts, and returns the longer slice. The result has at most
// limit bytes, else the error is ErrInflatedTooBig; the others are ErrDeflate and
// ErrTooManyStreams. Memory grows with what is inflated, not with what is
// promised. w holds the messages before and takes this one; nil is no context
// takeover. Safe for concurrent use, with different windows.
func AppendInflated(dst, payload []byte, limit int, w *Window) ([]byte, error) {
	i := inflaters.Get().(*inflater)
	defer inflaters.Put(i)
	i.source.payload.Reset(payload)
	i.source.tail.Reset(tail)
	defer i.source.payload.Reset(nil) // the pool keeps no payload
	start := len(dst)
	dst, err := i.appendStreams(dst, limit, w.bytes())
	if err != nil {
		return dst, err
	}
	w.add(dst[start:])
	return dst, nil
}

// appendStreams appends what the payload holds. A block with BFINAL set ends a
// stream of DEFLATE but not the message: what follows begins with the next byte
// and may refer to all that was before (RFC 7692 sections 7.2.1 and 7.2.3.4). To
// begin again takes the time of inflating many bytes, so it is counted.
func (i *inflater) appendStreams(dst []byte, limit int, context []byte) ([]byte, error) {
	start, dict := len(dst), context
	for left := minStreams + i.source.payload.Len()/64; left > 0; left-- {
		if err := i.flate.(flate.Resetter).Reset(&i.source, dict); err != nil {
			return dst, ErrDeflate
		}
		var err error
		if dst, err = appendAll(dst, i.flate, limit); err != nil || i.source.payload.Len() == 0 {
			return dst, err
		}
		dict = i.lastOf(context, dst[start:])
	}
	return dst, ErrTooManyStreams
}

// minStreams is how many streams a short message may have.
const minStreams = 256

// lastOf returns what the largest window holds of before and after it message, until
// the next call.
func (i *inflater) lastOf(before, message []byte) []byte {
	const size = 1 << MaxWindowBits
	if len(before) == 0 || len(message) >= size {
		return message[max(0, len(message)-size):]
	}
	before = before[max(0, len(before)-size+len(message)):]
	i.last = append(append(i.last[:0], before...), message...)
	return i.last
}

// appendAll appends what r gives, up to limit bytes in all.
func appendAll(dst []byte, r io.Reader, limit int) ([]byte, error) {
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):min(cap(dst), limit+1)])
		dst = dst[:len(dst)+n]
		switch {
		case len(dst) > limit:
			return dst[:limit], ErrInflatedTooBig
		case errors.Is(err, io.EOF):
			return dst, nil
		case err != nil:
			return dst, ErrDeflate
		}
	}
}
