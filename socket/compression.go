package socket

import (
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/message"
)

// compression is how a connection uses permessage-deflate (RFC 7692) once it was
// agreed on. Without context takeover, all connections that have agreed on the same
// share one.
type compression struct {
	// Immutable.
	level int // of messages, which are compressed when they are queued; 0 for no compression
	bits  int // of the server's window

	in  *frames.Window         // owned by the reader; nil if the client does not take over its context
	out *frames.DeflateContext // guarded by Conn.mu; nil if the server does not take over its context
}

// minClientBits is the smallest window that is kept for what a client sends. Some
// clients use 9 bits where 8 were agreed on, since zlib has no window of 8.
const minClientBits = 9

// newCompression returns what was agreed on. Level 0 inflates only.
func newCompression(level int, p frames.Deflate) *compression {
	c := sharedCompression[level][p.ServerWindow()]
	if p.ServerNoContextTakeover && p.ClientNoContextTakeover {
		return c
	}
	own := *c
	if !p.ServerNoContextTakeover && level > 0 {
		own.level = 0 // what is sent is compressed when it leaves the queue
		own.out = frames.NewDeflateContext(level, own.bits)
	}
	if !p.ClientNoContextTakeover {
		own.in = frames.NewWindow(max(p.ClientWindow(), minClientBits))
	}
	return &own
}

// sharedCompression holds what connections without context takeover share, by level
// and window.
var sharedCompression = func() (by [frames.MaxLevel + 1][frames.MaxWindowBits + 1]*compression) {
	for level := range by {
		for bits := frames.MinWindowBits; bits <= frames.MaxWindowBits; bits++ {
			by[level][bits] = &compression{level: level, bits: bits}
		}
	}
	return by
}()

// rsv returns the reserved bits that a client may set.
func (c *compression) rsv() byte {
	if c == nil {
		return 0
	}
	return frames.RSV1
}

// window returns the client's context, or nil if it does not take it over.
func (c *compression) window() *frames.Window {
	if c == nil {
		return nil
	}
	return c.in
}

// form returns the form in which messages are queued.
func (c *compression) form(f message.Format) message.Form {
	if c == nil || c.level == 0 {
		return message.Form{Format: f}
	}
	return message.Form{Format: f, Level: c.level, Bits: c.bits}
}
