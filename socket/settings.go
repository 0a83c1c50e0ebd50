package socket

import "time"

// Settings are the limits of a connection. Those of a route are shared by its
// connections and replaced as a whole; a connection looks them up when it needs
// them. The zero value of a duration turns that rule off.
type Settings struct {
	MaxMessageSize int           // bytes of a message; a larger one closes 1009
	MaxQueue       int           // bytes waiting for a slow reader; more closes 1013
	PingInterval   time.Duration // silence after which a ping is sent
	PingTimeout    time.Duration // how long to wait for any byte after a ping
	WriteTimeout   time.Duration // how long a reader may take nothing

	MaxAge time.Duration // after which, or up to a tenth earlier, a connection is closed with 1001

	MessageRate  float64 // messages a second that a client may send; more closes 1008; 0 for no limit
	MessageBurst int     // how many of them at once

	CompressionLevel int // 1 to 9 for new connections that agree on it; 0 for none
}

// Limits without an option: wide enough for every honest client.
const (
	minFragments    = 4096             // frames of one message, if it may not have more
	assemblyTimeout = time.Minute      // from a message's first byte to its last; longer closes 1008
	settleTimeout   = 10 * time.Second // for held messages, once a close frame is wanted
	expiryTimeout   = time.Second / 2  // for held messages, once the client may not be here any longer
	closeTimeout    = 3 * time.Second  // for the client's half of the closing handshake
	lastTimeout     = time.Minute      // in addition, for a client that still takes what was queued before the close frame
	maxHeldMessages = 64               // messages that are held; then reading stops
	maxHeldBytes    = 256 << 10        // bytes of the messages that are held; then reading stops
	maxFlushed      = 16               // bytes that compressing needs more for each frame that it fills by itself
)

// maxFragments returns how many frames a message may have where its size is
// limited: one for every 32 bytes of the limit, and no fewer than 4096. More
// closes with 1008.
func maxFragments(limit int) int { return max(minFragments, limit/32) }
