package peers

import (
	"encoding/binary"
	"slices"
)

// switching is the answer to the load generator's handshake, whose key is
// always the one of RFC 6455, section 1.3.
const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

// answer appends the frames of p to dst as a server sends them, and returns
// what is left of p: a part of a frame. It checks nothing.
func answer(dst, p []byte) (frames, rest []byte) {
	for len(p) >= 6 {
		begin, n := 2, int(p[1]&0x7f)
		switch {
		case n == 126 && len(p) >= 8:
			begin, n = 4, int(binary.BigEndian.Uint16(p[2:]))
		case n == 127 && len(p) >= 14:
			begin, n = 10, int(binary.BigEndian.Uint64(p[2:]))
		case n >= 126:
			return dst, p
		}
		size := begin + 4 + n
		if len(p) < size {
			break
		}
		dst = append(dst, p[:begin]...)
		dst[len(dst)-begin+1] &= 0x7f
		dst = append(dst, p[begin+4:size]...)
		unmask(dst[len(dst)-n:], [4]byte(p[begin:]))
		p = p[size:]
	}
	return dst, p
}

func unmask(p []byte, key [4]byte) {
	k := binary.LittleEndian.Uint32(key[:])
	wide := uint64(k)<<32 | uint64(k)
	for ; len(p) >= 8; p = p[8:] {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^wide)
	}
	for i := range p {
		p[i] ^= key[i&3]
	}
}

// remove takes x out of list, whose order does not matter.
func remove[T comparable](list []T, x T) []T {
	i := slices.Index(list, x)
	if i < 0 {
		return list
	}
	last := len(list) - 1
	list[i] = list[last]
	return list[:last]
}
