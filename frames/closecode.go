package frames

import (
	"encoding/binary"
	"unicode/utf8"
)

// CloseCode tells why a connection ends, RFC 6455 section 7.4 and the IANA
// WebSocket Close Code Number Registry. 3000-3999 are registered with IANA by
// libraries and frameworks, 4000-4999 are free for applications.
type CloseCode uint16

const (
	// NormalClosure is sent when the purpose of the connection is fulfilled. A
	// client should not reconnect.
	NormalClosure CloseCode = 1000
	// GoingAway is sent when an endpoint leaves: a server that shuts down, a
	// browser that navigates away. A client should reconnect after a random
	// delay; another server may be there.
	GoingAway CloseCode = 1001
	// ProtocolError is sent when the peer broke a rule of the framing; see Error.
	// A client should not reconnect: the same code breaks the same rule.
	ProtocolError CloseCode = 1002
	// UnsupportedData is sent when a message is of a type that the endpoint does
	// not accept, such as binary where only text is understood. A client should
	// not reconnect.
	UnsupportedData CloseCode = 1003
	// NoStatus stands for a close frame without a code and is never on the wire.
	// A client may treat it as NormalClosure.
	NoStatus CloseCode = 1005
	// Abnormal stands for a connection that ended without a close frame and is
	// never on the wire. A client should reconnect with growing delays.
	Abnormal CloseCode = 1006
	// InvalidPayload is sent when a message contradicts its type, such as a text
	// message that is not UTF-8. A client should not reconnect before it is
	// mended.
	InvalidPayload CloseCode = 1007
	// PolicyViolation is sent when a message or a client is refused for a reason
	// that no other code fits, or that should not be told. A client should not
	// reconnect unasked.
	PolicyViolation CloseCode = 1008
	// MessageTooBig is sent when a message is larger than the endpoint accepts. A
	// client may reconnect but must not send that message again.
	MessageTooBig CloseCode = 1009
	// MandatoryExtension is sent by a client whose server did not negotiate an
	// extension that it needs; a server refuses the handshake instead. A client
	// should not reconnect.
	MandatoryExtension CloseCode = 1010
	// InternalError is sent when the server met a condition that kept it from
	// serving on. A client should reconnect with growing delays.
	InternalError CloseCode = 1011
	// ServiceRestart is sent when the service restarts. A client should reconnect
	// after a random delay; 5 to 30 seconds are customary.
	ServiceRestart CloseCode = 1012
	// TryAgainLater is sent when the server is overloaded, or the client too slow
	// for what it is sent. A client should reconnect only after a long delay or
	// when its user asks.
	TryAgainLater CloseCode = 1013
	// BadGateway is sent by a gateway that got no valid answer from the server
	// behind it, like status 502 of HTTP. A client should reconnect with growing
	// delays.
	BadGateway CloseCode = 1014
	// TLSHandshake stands for a TLS handshake that failed and is never on the
	// wire. A client should not reconnect before the certificate is mended.
	TLSHandshake CloseCode = 1015
	// Unauthorized is sent when a client may not be here, or not any longer. A client
	// should not reconnect before it has proved again who it is.
	Unauthorized CloseCode = 3000
)

// MaxReason is the longest reason in bytes: the room that the code leaves in a control
// frame.
const MaxReason = MaxControlPayload - 2

// OnWire reports whether c may stand in a close frame: 1000-1003 and 1007-1014,
// which RFC 6455 section 7.4.1 and the IANA registry define, and 3000-4999,
// which section 7.4.2 leaves to others.
func (c CloseCode) OnWire() bool {
	return c >= NormalClosure && c <= UnsupportedData ||
		c >= InvalidPayload && c <= BadGateway ||
		c >= 3000 && c <= 4999
}

// ParseClose decodes the unmasked payload of a close frame, RFC 6455 section
// 5.5.1: the code, and the reason, which is for logs and not for people. An
// empty payload gives NoStatus.
//
// The errors are ErrClosePayload for a single byte, ErrCloseCode for a code that
// is not OnWire, and ErrInvalidUTF8 for the reason; code and reason are then
// zero. It allocates only to return a reason.
func ParseClose(payload []byte) (CloseCode, string, error) {
	switch len(payload) {
	case 0:
		return NoStatus, "", nil
	case 1:
		return 0, "", ErrClosePayload
	}
	code, reason := CloseCode(binary.BigEndian.Uint16(payload)), payload[2:]
	switch {
	case !code.OnWire():
		return 0, "", ErrCloseCode
	case !utf8.Valid(reason):
		return 0, "", ErrInvalidUTF8
	}
	return code, string(reason), nil
}

// AppendClose appends the payload of a close frame, not the frame, to dst and
// returns the longer slice. The payload is one that ParseClose accepts: of the
// reason, bytes that are not UTF-8 are replaced by U+FFFD each, and what then
// does not fit in MaxControlPayload with the code is cut off at the end of a
// character. A code that is not OnWire, such as NoStatus, gives an empty
// payload, without the reason. With MaxControlPayload bytes to spare in dst it
// does not allocate.
func AppendClose(dst []byte, code CloseCode, reason string) []byte {
	if !code.OnWire() {
		return dst
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	room := MaxReason
	for _, r := range reason {
		if room -= utf8.RuneLen(r); room < 0 {
			break
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}
