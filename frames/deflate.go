package frames

import (
	"bytes"
	"sync"

	"github.com/klauspost/compress/flate"
)

// Payloads of the extension permessage-deflate, RFC 7692 section 7.2. Without
// context takeover each message is compressed by itself. That costs some of the
// ratio and saves what makes compression dear for a server, a window for each
// connection: one compressed message can be sent to everybody. With it there is
// a [DeflateContext] for what a connection is sent and a [Window] for what it
// sends. The compressors are pooled either way.

// MinDeflate is the size in bytes below which compressing a message by itself is
// not worth its while.
const MinDeflate = 256

// Levels of compression: 1 is the fastest, 9 the smallest.
const (
	MinLevel = 1
	MaxLevel = 9
)

// Sizes of the sliding window in bits, RFC 7692 section 7.1.2: a compressor that
// has agreed on n bits refers to nothing farther back than 2^n bytes.
const (
	MinWindowBits = 8
	MaxWindowBits = 15
)

// Pools of compressors: those of a level, whose window is the largest, and those
// of a smaller window, which have one level only.
var (
	levels  [MaxLevel + 1]sync.Pool      // of *deflater
	windows [MaxWindowBits + 1]sync.Pool // of *deflater
)

// deflater is a compressor and what it writes to.
type deflater struct {
	pool  *sync.Pool
	flate *flate.Writer
	out   bytes.Buffer
}

// getDeflater returns a compressor that goes on after dict, if that was what it
// had compressed before.
func getDeflater(level, bits int, dict []byte) *deflater {
	pool := &levels[level]
	if bits < MaxWindowBits {
		pool = &windows[bits]
	}
	d, ok := pool.Get().(*deflater)
	if !ok {
		d = newDeflater(pool, level, bits)
	}
	d.flate.ResetDict(&d.out, dict)
	return d
}

func newDeflater(pool *sync.Pool, level, bits int) *deflater {
	d := &deflater{pool: pool}
	if bits < MaxWindowBits {
		d.flate, _ = flate.NewWriterWindow(&d.out, 1<<bits) // fails for other sizes only
	} else {
		d.flate, _ = flate.NewWriter(&d.out, level) // fails for other levels only
	}
	return d
}

// maxPooled is the largest buffer that is kept with a pooled compressor. The
// compressor, which is larger, is kept in any case.
const maxPooled = 64 << 10

// free gives d back; nil is nothing.
func (d *deflater) free() {
	if d == nil {
		return
	}
	if d.out.Cap() > maxPooled {
		d.out = bytes.Buffer{}
	}
	d.pool.Put(d)
}

// deflate returns the compressed payload, which is valid until the next call.
func (d *deflater) deflate(payload []byte) []byte {
	d.out.Reset()
	_, _ = d.flate.Write(payload) // writing to a buffer never fails
	_ = d.flate.Flush()
	return bytes.TrimSuffix(d.out.Bytes(), tail[:4])
}

// AppendDeflated appends one final, unmasked frame with the compressed message
// and RSV1 set, or as AppendMessage does if compressing it would not pay. level
// is from MinLevel to MaxLevel, bits from MinWindowBits to MaxWindowBits; a
// message that is larger than a smaller window is compressed with a compressor
// that has no levels. Safe for concurrent use.
func AppendDeflated(dst []byte, op Opcode, payload []byte, level, bits int) []byte {
	if len(payload) < MinDeflate {
		return AppendMessage(dst, op, payload)
	}
	if len(payload) <= 1<<bits {
		bits = MaxWindowBits // it cannot be left
	}
	d := getDeflater(level, bits, nil)
	defer d.free()
	compressed := d.deflate(payload)
	if len(compressed) >= len(payload) {
		return AppendMessage(dst, op, payload)
	}
	return appendCompressed(dst, op, compressed)
}

// appendCompressed appends the frame of a compressed message.
func appendCompressed(dst []byte, op Opcode, compressed []byte) []byte {
	dst = AppendHeader(dst, Header{Fin: true, RSV: RSV1, Opcode: op, Length: uint64(len(compressed))})
	return append(dst, compressed...)
}
