package frames

import "slices"

// AppendMessage appends one final, unmasked frame, as a server sends it, to dst
// and returns the longer slice, RFC 6455 section 5.6. A message that goes to
// many clients is appended once and its bytes are shared. For a control frame
// the caller keeps payload within MaxControlPayload.
//
// With MaxHeaderSize+len(payload) bytes to spare in dst it does not allocate,
// else once. The payload is copied and must not lie in the spare part of dst.
func AppendMessage(dst []byte, op Opcode, payload []byte) []byte {
	dst = slices.Grow(dst, MaxHeaderSize+len(payload))
	dst = AppendHeader(dst, Header{Fin: true, Opcode: op, Length: uint64(len(payload))})
	return append(dst, payload...)
}

// AppendMasked appends one frame, as a client sends it, to dst and returns the
// longer slice: h with Masked set and Length set to that of payload, then a copy
// of payload masked with h.Key, RFC 6455 section 5.3. The key must be new and
// unpredictable for each frame, and is the caller's to choose. Memory is as for
// AppendMessage; payload itself stays unmasked.
func AppendMasked(dst []byte, h Header, payload []byte) []byte {
	h.Masked, h.Length = true, uint64(len(payload))
	dst = slices.Grow(dst, MaxHeaderSize+len(payload))
	dst = AppendHeader(dst, h)
	start := len(dst)
	dst = append(dst, payload...)
	Mask(dst[start:], h.Key, 0)
	return dst
}
