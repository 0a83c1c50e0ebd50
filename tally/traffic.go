package tally

import "time"

// Traffic is what has passed over a connection, or over several.
type Traffic struct {
	MessagesIn, MessagesOut uint64 // out: also those that a newer update has replaced
	BytesIn, BytesOut       uint64 // payloads, headers and control frames
}

// Connection is how a connection stands.
type Connection struct {
	Traffic
	Replaced uint64        // updates that were never sent, since a newer one came
	Queued   int           // bytes that wait for the client
	Age      time.Duration // since the handshake; 0 before
}
