package frames

import (
	"encoding/binary"
	"math/bits"
)

// Mask XORs p in place with the masking key, which masks and unmasks alike,
// RFC 6455 section 5.3. pos is the offset of p[0] in the payload, in bytes; only
// its value modulo 4 counts. It returns the pos, 0 to 3, for the bytes that
// follow, so that a payload can be masked in pieces:
//
//	pos = Mask(piece, h.Key, pos)
//
// It never allocates.
func Mask(p []byte, key [4]byte, pos int) int {
	next := (pos + len(p)) & 3
	half := bits.RotateLeft32(binary.LittleEndian.Uint32(key[:]), -8*(pos&3))
	word := uint64(half)<<32 | uint64(half)
	for len(p) >= 32 {
		maskWord(p[0:8], word)
		maskWord(p[8:16], word)
		maskWord(p[16:24], word)
		maskWord(p[24:32], word)
		p = p[32:]
	}
	for len(p) >= 8 {
		maskWord(p[:8], word)
		p = p[8:]
	}
	for i := range p {
		p[i] ^= byte(word >> (8 * i))
	}
	return next
}

// maskWord XORs the eight bytes of p with word, whose lowest byte meets p[0].
func maskWord(p []byte, word uint64) {
	binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^word)
}
