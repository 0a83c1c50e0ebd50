package frames

// Error is a rule of RFC 6455 that the peer broke, and the close code that
// answers it. Each rule is one value of this package: compare with errors.Is or
// ==, get the code with errors.As. The values are shared; do not change them.
type Error struct {
	Code CloseCode // answers the violation in a close frame
	Rule string    // what was broken; at most 123 bytes, so it fits as the reason
}

// Error returns the rule that was broken.
func (e *Error) Error() string { return e.Rule }

// The rules. All but ErrInvalidUTF8 are violations of the framing itself, to
// which RFC 6455 section 7.4.1 gives the code 1002.
var (
	// ErrLengthNotMinimal: a length took more bytes than it needs, section 5.2.
	ErrLengthNotMinimal = &Error{ProtocolError, "reading header: length is not in its shortest form"}
	// ErrLengthTooLarge: a 64-bit length has its top bit set, section 5.2.
	ErrLengthTooLarge = &Error{ProtocolError, "reading header: length is above 2^63-1"}

	// ErrReservedBits: a reserved bit is set that no negotiated extension allows
	// on this frame, section 5.2.
	ErrReservedBits = &Error{ProtocolError, "checking header: reserved bit is set without an extension"}
	// ErrReservedOpcode: the opcode has no meaning, section 5.2.
	ErrReservedOpcode = &Error{ProtocolError, "checking header: opcode is reserved"}
	// ErrUnmasked: a frame of a client is not masked, section 5.1.
	ErrUnmasked = &Error{ProtocolError, "checking header: frame of a client is not masked"}
	// ErrFragmentedControl: a control frame lacks FIN, section 5.5.
	ErrFragmentedControl = &Error{ProtocolError, "checking header: control frame is fragmented"}
	// ErrControlTooLong: a control frame has more than MaxControlPayload bytes,
	// section 5.5.
	ErrControlTooLong = &Error{ProtocolError, "checking header: control frame is longer than 125 bytes"}
	// ErrContinuation: a continuation frame stands where no message is open,
	// section 5.4.
	ErrContinuation = &Error{ProtocolError, "checking header: continuation of no message"}
	// ErrInterleaved: a message begins before the one that is open has ended,
	// section 5.4.
	ErrInterleaved = &Error{ProtocolError, "checking header: new message inside a fragmented one"}

	// ErrClosePayload: the payload of a close frame is a single byte, too short
	// for a code, section 5.5.1.
	ErrClosePayload = &Error{ProtocolError, "reading close frame: payload of one byte"}
	// ErrCloseCode: a close frame has a code that may not be sent, section 7.4.
	ErrCloseCode = &Error{ProtocolError, "reading close frame: code may not be sent"}

	// ErrInvalidUTF8: text is not UTF-8, section 8.1. ParseClose gives it for a
	// reason; for a text message the caller gives it when a Validator fails.
	ErrInvalidUTF8 = &Error{InvalidPayload, "reading text: not valid UTF-8"}
)

// Check judges the header of a frame that came from a client, as ParseHeader
// gave it, and returns nil or the *Error of the first rule that it breaks, in
// the order in which the rules are listed, from ErrReservedBits to
// ErrInterleaved.
//
// What the connection knows comes with the call: fragmented is true while a
// message is open, that is, after a data frame without Fin up to the next data
// frame with it; rsv are the reserved bits that negotiated extensions allow,
// which they do only on the first frame of a data message (RFC 7692 section 6),
// 0 if there are none. Check keeps no state and never allocates.
func Check(h Header, fragmented bool, rsv byte) error {
	switch {
	case h.RSV&^allowedRSV(h.Opcode, rsv) != 0:
		return ErrReservedBits
	case h.Opcode.isReserved():
		return ErrReservedOpcode
	case !h.Masked:
		return ErrUnmasked
	case h.Opcode.IsControl():
		return checkControl(h)
	default:
		return checkOrder(h.Opcode, fragmented)
	}
}

// allowedRSV returns those of the negotiated bits that may stand on a frame
// with this opcode.
func allowedRSV(o Opcode, rsv byte) byte {
	if o == Text || o == Binary {
		return rsv
	}
	return 0
}

// checkControl judges what section 5.5 says of control frames.
func checkControl(h Header) error {
	switch {
	case !h.Fin:
		return ErrFragmentedControl
	case h.Length > MaxControlPayload:
		return ErrControlTooLong
	}
	return nil
}

// checkOrder judges what section 5.4 says of the order of data frames.
func checkOrder(o Opcode, fragmented bool) error {
	switch {
	case o == Continuation && !fragmented:
		return ErrContinuation
	case o != Continuation && fragmented:
		return ErrInterleaved
	}
	return nil
}
