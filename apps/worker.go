package apps

import "context"

// Worker is what a Conn offers to an app that goes on with a message after
// Receive has returned: on a goroutine, in a pool, when an answer comes from
// elsewhere. Every Conn that the hub hands to an app is one. With it an app can
// be [Inline] and still take its time; [Loop] is such an app.
//
// Its methods do not block. Hold and Go may be called during Join and Receive,
// and by what Go has started; release and Fail at any time.
type Worker interface {
	// Hold keeps a message of n bytes unsettled until release is called, beyond
	// the call of Receive. While 64 messages of a connection or 256 KiB of them
	// are unsettled, no more is read from it; a close frame waits until none is,
	// and so does a POST that nothing was sent to yet. Only the first call of
	// release counts.
	Hold(n int) (release func())
	// Context ends with the connection, and already when the client has ended its
	// own direction without a close frame: usually it has gone. What is sent then
	// still leaves, for a client that only waits for its answers. An app that
	// waits for something in Receive gives it this context.
	Context() context.Context
	// Go runs f on a goroutine that the hub waits for when it closes; as long as
	// it runs, the room stays. A panic is treated like one of Receive.
	Go(f func())
	// Fail does what returning err from Receive does, now. nil does nothing.
	Fail(err error)
}
