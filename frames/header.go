package frames

import (
	"encoding/binary"
	"fmt"
)

// Opcode tells how the payload of a frame is to be read, RFC 6455 section 5.2.
// On the wire it has four bits; 0x3-0x7 and 0xB-0xF are reserved.
type Opcode byte

const (
	// Continuation goes on with the message that a Text or Binary frame without
	// Fin began.
	Continuation Opcode = 0x0
	// Text begins a message of UTF-8 text.
	Text Opcode = 0x1
	// Binary begins a message of bytes that only the application understands.
	Binary Opcode = 0x2
	// Close ends the connection; see ParseClose for its payload.
	Close Opcode = 0x8
	// Ping asks for a Pong with the same payload.
	Ping Opcode = 0x9
	// Pong answers a Ping, or, unasked, tells that the peer is alive.
	Pong Opcode = 0xA
)

// IsControl reports whether o is a control frame, one that may stand between
// the frames of a message, RFC 6455 section 5.5. The reserved opcodes 0xB-0xF
// are control frames too.
func (o Opcode) IsControl() bool { return o&0x8 != 0 }

// isReserved reports whether RFC 6455 gives o no meaning.
func (o Opcode) isReserved() bool { return o&0x7 > 2 || o > 0xF }

// String returns the name of o in the RFC, or "reserved 0x3" and the like.
func (o Opcode) String() string {
	switch o {
	case Continuation:
		return "continuation"
	case Text:
		return "text"
	case Binary:
		return "binary"
	case Close:
		return "close"
	case Ping:
		return "ping"
	case Pong:
		return "pong"
	}
	return fmt.Sprintf("reserved 0x%X", byte(o))
}

// The reserved bits as they stand in Header.RSV. Only an extension gives them a
// meaning: permessage-deflate marks a compressed message with RSV1, RFC 7692
// section 6.
const (
	RSV1 byte = 4
	RSV2 byte = 2
	RSV3 byte = 1
)

const (
	// MaxHeaderSize is the size in bytes of the longest header: two bytes, a
	// length of eight and a masking key of four.
	MaxHeaderSize = 14
	// MaxControlPayload is the largest payload in bytes of a close, ping or pong
	// frame, RFC 6455 section 5.5.
	MaxControlPayload = 125
)

// The bits of the first two bytes, and the values of the 7-bit length that
// announce a longer one.
const (
	finBit     = 0x80
	maskBit    = 0x80
	opcodeBits = 0x0F
	lengthBits = 0x7F
	length16   = 126
	length64   = 127
)

// Header is all of a frame but its payload, RFC 6455 section 5.2:
//
//	byte 0     FIN, RSV1, RSV2, RSV3 (a bit each), opcode (4 bits)
//	byte 1     MASK (1 bit), length (7 bits): 0-125, or
//	           126: the length is in the 2 bytes that follow, or
//	           127: the length is in the 8 bytes that follow, big endian
//	then       masking key (4 bytes) if MASK
type Header struct {
	Fin    bool    // the last frame of its message
	RSV    byte    // reserved bits: RSV1, RSV2, RSV3
	Opcode Opcode  // kind of the frame
	Masked bool    // the payload is XORed with Key
	Key    [4]byte // masking key, if Masked
	Length uint64  // payload in bytes, below 2^63
}

// ParseHeader decodes the header at the start of p and returns its size n in
// bytes; the payload follows at p[n:]. While p is too short to tell, n is 0 and
// err is nil: call again with more. MaxHeaderSize bytes always suffice.
//
// The errors are ErrLengthNotMinimal and ErrLengthTooLarge, RFC 6455 section
// 5.2, given as soon as the length can be read; n is then 0. All else is for
// Check to judge. ParseHeader never allocates and keeps nothing of p.
func ParseHeader(p []byte) (h Header, n int, err error) {
	if len(p) < 2 {
		return Header{}, 0, nil
	}
	length, n, err := parseLength(p)
	if n == 0 {
		return Header{}, 0, err
	}
	h = Header{
		Fin:    p[0]&finBit != 0,
		RSV:    p[0] >> 4 & (RSV1 | RSV2 | RSV3),
		Opcode: Opcode(p[0] & opcodeBits),
		Masked: p[1]&maskBit != 0,
		Length: length,
	}
	if !h.Masked {
		return h, n, nil
	}
	if len(p) < n+len(h.Key) {
		return Header{}, 0, nil
	}
	h.Key = [4]byte(p[n:])
	return h, n + len(h.Key), nil
}

// parseLength decodes the length of the frame at p, which has at least two
// bytes; n is the size of the header up to the masking key, or 0 if p is too
// short or the length is refused.
func parseLength(p []byte) (length uint64, n int, err error) {
	switch code := p[1] & lengthBits; code {
	case length16:
		return parseLength16(p)
	case length64:
		return parseLength64(p)
	default:
		return uint64(code), 2, nil
	}
}

func parseLength16(p []byte) (length uint64, n int, err error) {
	if len(p) < 4 {
		return 0, 0, nil
	}
	length = uint64(binary.BigEndian.Uint16(p[2:]))
	if length < length16 {
		return 0, 0, ErrLengthNotMinimal
	}
	return length, 4, nil
}

func parseLength64(p []byte) (length uint64, n int, err error) {
	if len(p) < 10 {
		return 0, 0, nil
	}
	length = binary.BigEndian.Uint64(p[2:])
	switch {
	case length>>63 != 0:
		return 0, 0, ErrLengthTooLarge
	case length>>16 == 0:
		return 0, 0, ErrLengthNotMinimal
	}
	return length, 10, nil
}

// AppendHeader appends the encoding of h to dst and returns the longer slice.
// The length takes its shortest form, RFC 6455 section 5.2; Key is left out
// unless Masked. Nothing is judged: the caller sees to it that h keeps the
// rules and that Length is below 2^63. With MaxHeaderSize bytes to spare in dst
// it does not allocate.
func AppendHeader(dst []byte, h Header) []byte {
	first := h.RSV<<4&^finBit | byte(h.Opcode)&opcodeBits
	if h.Fin {
		first |= finBit
	}
	var mask byte
	if h.Masked {
		mask = maskBit
	}
	dst = appendLength(append(dst, first), mask, h.Length)
	if h.Masked {
		dst = append(dst, h.Key[:]...)
	}
	return dst
}

// appendLength appends the second byte of a header, with its mask bit, and the
// longer length if there is one.
func appendLength(dst []byte, mask byte, length uint64) []byte {
	switch {
	case length < length16:
		return append(dst, mask|byte(length))
	case length>>16 == 0:
		return binary.BigEndian.AppendUint16(append(dst, mask|length16), uint16(length))
	default:
		return binary.BigEndian.AppendUint64(append(dst, mask|length64), length)
	}
}
