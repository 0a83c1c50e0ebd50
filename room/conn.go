package room

import (
	"time"

	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/tally"
)

// Conn is a member's connection as its room uses it: a WebSocket, an event stream, or
// the [Exchange] of a POST. Its methods do not block, and may be called concurrently.
type Conn interface {
	// Send queues one message, an answer to the client's own.
	Send(data []byte, binary bool)
	// Write queues what everybody is told, and reports whether so much waits for
	// the client that publishers should wait for it.
	Write(b *message.Batch) (behind bool)
	// Update queues the newest state, in place of one that still waits.
	Update(b *message.Batch)
	// Present queues what has changed about who is there, or, if something before still
	// waits, in place of both whole, which says who is there.
	Present(change, whole *message.Batch)
	// Refuse tells the client, by a payload, why something is not done.
	Refuse(err error, payload []byte)
	// Close sends what waits and ends the connection with a code.
	Close(code frames.CloseCode, reason string)
	// Abort ends the connection at once.
	Abort()
	// Cork has what follows wait for Uncork, to be sent in one piece.
	Cork()
	Uncork()
	// Hold notes n bytes of a client's message that is not settled; with too many
	// nothing is read. Release takes them back.
	Hold(n int)
	Release(n int)
	// Lag tells how many bytes the client has taken, negative if unknown, for how long
	// what waits has waited for it and not for the server, and whether it is behind.
	Lag() (taken int64, blocked time.Duration, behind bool)
	// Rearm has the connection look at its settings, which may have been replaced.
	Rearm()
	// Stats tells how the connection stands.
	Stats() tally.Connection
}
