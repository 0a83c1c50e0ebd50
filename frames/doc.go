// Package frames is the WebSocket wire format of RFC 6455: it decodes, judges
// and encodes frames, and owns no connection, buffer or goroutine.
//
// A server reads a client like this. Bytes gather in the caller's buffer until
// [ParseHeader] can tell a [Header]; [Check] judges it against what the
// connection has seen and negotiated; the caller reads Length payload bytes and
// unmasks them in place with [Mask]. The payload of a text message runs through
// a [Validator], frame by frame; that of a close frame through [ParseClose].
// What a server sends is one frame a message: [AppendMessage], with the payload
// made by [AppendClose] when the message is a goodbye. [AppendMasked] is the
// same for the client side of our own tools.
//
//	bytes -> ParseHeader -> Check -> Mask -> Validator   -> message
//	                                      -> ParseClose  -> close code
//	message -> AppendMessage -> bytes
//
// With permessage-deflate (RFC 7692) [AppendInflated] comes before the Validator,
// and [AppendDeflated] or a [DeflateContext] makes what is sent.
//
// Decoding and judging are apart. ParseHeader refuses only what a Header cannot
// show any more, the two ways to spell a length wrongly; every other rule of a
// frame is a case of Check. Each rule has its own [Error], which carries the
// close code that answers it: the reader needs no table of its own.
//
// Two rules are left to the caller, as they concern a policy and not the wire:
// how large a message may grow, and what follows a close frame.
//
// **Every frame that passes has exactly one encoding, and the encoders make
// that one**: what Check lets through can be parsed, appended and parsed again
// without a bit changing.
//
// The functions keep no state and may run on any number of goroutines, as long
// as the slices differ; a Validator, a Window and a DeflateContext belong to one
// at a time. On the path of a
// frame nothing allocates, except to grow a destination that is too short and to
// return the text of a close reason.
package frames
