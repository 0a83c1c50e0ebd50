// Package message is what a room says, encoded once for all connections that are told it.
//
// A [Message] is one thing to say, in words that do not depend on the receiver. A
// [Batch] is the messages that leave together. A connection is told a batch and
// takes the bytes in its own [Form]: as frames with plain text or with the JSON
// objects of the subprotocol json, compressed or not, or as Server-Sent Events.
//
//	room -> Batch of Messages -> Bytes(form) -> every connection of that form
//
// **However many connections a batch goes to, each form is encoded once**, when the
// first connection asks for it. Connections share the bytes, so nobody may change
// them. Messages stay messages until then: nothing parses what has been encoded.
//
// This package imports frames and the standard library only.
package message
