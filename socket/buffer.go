package socket

import (
	"math/bits"
	"sync"
)

// Buffers come in powers of two from 512 B to 64 KiB; larger ones are left to
// the garbage collector, since keeping them would keep a burst's memory for
// ever.
const (
	minBuffer = 9  // log2
	maxBuffer = 16 // log2
)

var buffers [maxBuffer + 1]sync.Pool // of *buffer, by log2 of the capacity

// buffer is a pooled byte slice. The box travels with the bytes so that putting
// it back allocates nothing.
type buffer struct{ b []byte }

// getBuffer returns an empty buffer with room for at least n bytes.
func getBuffer(n int) *buffer {
	class := max(minBuffer, bits.Len(uint(max(n, 1)-1)))
	if class > maxBuffer {
		return &buffer{make([]byte, 0, n)}
	}
	if b, ok := buffers[class].Get().(*buffer); ok {
		return b
	}
	return &buffer{make([]byte, 0, 1<<class)}
}

// putBuffer gives b back; nothing may refer to its bytes any more.
func putBuffer(b *buffer) {
	if b == nil {
		return
	}
	class := bits.Len(uint(cap(b.b))) - 1
	if class > maxBuffer || 1<<class != cap(b.b) {
		return
	}
	b.b = b.b[:0]
	buffers[class].Put(b)
}

// reserve returns b, or a larger buffer with the same bytes, with room for n
// more.
func (b *buffer) reserve(n int) *buffer {
	if len(b.b)+n <= cap(b.b) {
		return b
	}
	larger := getBuffer(max(len(b.b)+n, 2*cap(b.b)))
	larger.b = append(larger.b, b.b...)
	putBuffer(b)
	return larger
}
