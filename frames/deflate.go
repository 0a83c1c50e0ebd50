package frames

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
)

// Payloads of the extension permessage-deflate without context takeover: each
// message is compressed by itself, RFC 7692 section 7.2. That costs some of the
// ratio and saves what makes compression dear for a server, a window of tens of
// kilobytes for each connection: the compressors here are pooled, and one
// compressed message can be sent to everybody.

// MinDeflate is the size in bytes below which compressing a message is not worth
// its while.
const MinDeflate = 256

// Levels of compression: 1 is the fastest, 9 the smallest.
const (
	MinLevel = 1
	MaxLevel = 9
)

var (
	// ErrDeflate: a compressed message is not valid DEFLATE, RFC 7692 section
	// 7.2.2.
	ErrDeflate = &Error{InvalidPayload, "inflating message: not valid deflate data"}
	// ErrInflatedTooBig: a compressed message is larger than the limit once
	// inflated. Nothing beyond the limit has been inflated.
	ErrInflatedTooBig = &Error{MessageTooBig, "inflating message: larger than the limit"}
)

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
// limit bytes, else the error is ErrInflatedTooBig; the other error is
// ErrDeflate. Memory grows with what is inflated, not with what is promised.
// Safe for concurrent use.
func AppendInflated(dst, payload []byte, limit int) ([]byte, error) {
	i := inflaters.Get().(*inflater)
	defer inflaters.Put(i)
	i.source.payload.Reset(payload)
	i.source.tail.Reset(tail)
	defer i.source.payload.Reset(nil) // the pool keeps no payload
	if err := i.flate.(flate.Resetter).Reset(&i.source, nil); err != nil {
		return dst, ErrDeflate
	}
	return appendAll(dst, i.flate, limit)
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

var deflaters [MaxLevel + 1]sync.Pool

// deflater is a compressor and what it writes to.
type deflater struct {
	flate *flate.Writer
	out   bytes.Buffer
}

func getDeflater(level int) *deflater {
	if d, ok := deflaters[level].Get().(*deflater); ok {
		return d
	}
	d := new(deflater)
	d.flate, _ = flate.NewWriter(&d.out, level) // fails for other levels only
	return d
}

// maxPooled is the largest buffer that is kept with a pooled compressor.
const maxPooled = 64 << 10

// AppendDeflated appends one final, unmasked frame with the compressed message
// and RSV1 set, or as AppendMessage does if compressing it would not pay. level
// is from MinLevel to MaxLevel. Safe for concurrent use.
func AppendDeflated(dst []byte, op Opcode, payload []byte, level int) []byte {
	if len(payload) < MinDeflate {
		return AppendMessage(dst, op, payload)
	}
	d := getDeflater(level)
	compressed := d.deflate(payload)
	if len(compressed) < len(payload) {
		dst = AppendHeader(dst, Header{Fin: true, RSV: RSV1, Opcode: op, Length: uint64(len(compressed))})
		dst = append(dst, compressed...)
	} else {
		dst = AppendMessage(dst, op, payload)
	}
	if d.out.Cap() <= maxPooled {
		deflaters[level].Put(d)
	}
	return dst
}

// deflate returns the compressed payload, which is valid until the next call.
func (d *deflater) deflate(payload []byte) []byte {
	d.out.Reset()
	d.flate.Reset(&d.out)
	_, _ = d.flate.Write(payload) // writing to a buffer never fails
	_ = d.flate.Flush()
	return bytes.TrimSuffix(d.out.Bytes(), tail[:4])
}
