package load

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The opcodes that the generator meets.
const (
	opText  = 0x1
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xA
)

// maskingKey masks all frames: frames are built once, before anything is
// measured. It is not zero, so that no server can skip the work.
var maskingKey = [4]byte{0x5a, 0xc3, 0x17, 0x8e}

// appendMasked appends payload as one masked frame.
func appendMasked(dst []byte, opcode byte, payload []byte) []byte {
	dst = append(dst, 0x80|opcode)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, 0x80|byte(n))
	case n <= 0xffff:
		dst = binary.BigEndian.AppendUint16(append(dst, 0x80|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 0x80|127), uint64(n))
	}
	dst = append(dst, maskingKey[:]...)
	for i, b := range payload {
		dst = append(dst, b^maskingKey[i&3])
	}
	return dst
}

var errFragment = errors.New("server fragmented a message")

// cutFrame splits a server's frame off p. size is 0 if p has only a part of it.
func cutFrame(p []byte) (opcode byte, payload []byte, size int, err error) {
	if len(p) < 2 {
		return 0, nil, 0, nil
	}
	if p[0]&0xf0 != 0x80 {
		return 0, nil, 0, fmt.Errorf("%w: first byte %#x", errFragment, p[0])
	}
	begin, n := 2, int(p[1])
	switch n {
	case 126:
		if len(p) < 4 {
			return 0, nil, 0, nil
		}
		begin, n = 4, int(binary.BigEndian.Uint16(p[2:]))
	case 127:
		if len(p) < 10 {
			return 0, nil, 0, nil
		}
		begin, n = 10, int(binary.BigEndian.Uint64(p[2:]))
	}
	if n < 0 || n > 1<<24 {
		return 0, nil, 0, fmt.Errorf("server's frame has %d bytes, or a mask", n)
	}
	if len(p) < begin+n {
		return 0, nil, 0, nil
	}
	return p[0] & 0x0f, p[begin : begin+n], begin + n, nil
}
