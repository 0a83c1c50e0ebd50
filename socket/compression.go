package socket

import (
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/message"
)

// compression is how a connection uses permessage-deflate once it was agreed on.
// Without context takeover it is shared by all that have agreed on the same.
type compression struct {
	// Immutable.
	level int // of what is compressed as it is queued; 0 for nothing
	bits  int // of our window

	in  *frames.Window         // owned by the reader; nil without the client's context takeover
	out *frames.DeflateContext // guarded by Conn.mu; nil without ours
}

// minClientBits is the least window that is kept for what a client sends: zlib
// has none of 8 bits and takes 9 instead.
const minClientBits = 9

// newCompression returns what was agreed on, at a level from 0, which inflates
// only.
func newCompression(level int, p frames.Deflate) *compression {
	c := sharedCompression[level][p.ServerWindow()]
	if p.ServerNoContextTakeover && p.ClientNoContextTakeover {
		return c
	}
	own := *c
	if !p.ServerNoContextTakeover && level > 0 {
		own.level = 0 // it is compressed as it leaves
		own.out = frames.NewDeflateContext(level, own.bits)
	}
	if !p.ClientNoContextTakeover {
		own.in = frames.NewWindow(max(p.ClientWindow(), minClientBits))
	}
	return &own
}

// sharedCompression is that without context takeover, by level and window.
var sharedCompression = func() (by [frames.MaxLevel + 1][frames.MaxWindowBits + 1]*compression) {
	for level := range by {
		for bits := frames.MinWindowBits; bits <= frames.MaxWindowBits; bits++ {
			by[level][bits] = &compression{level: level, bits: bits}
		}
	}
	return by
}()

// rsv are the reserved bits that a client may set.
func (c *compression) rsv() byte {
	if c == nil {
		return 0
	}
	return frames.RSV1
}

// window is the client's context, if it keeps one.
func (c *compression) window() *frames.Window {
	if c == nil {
		return nil
	}
	return c.in
}

// agree takes over what the handshake has agreed on.
func (c *Conn) agree(d frames.Deflate) {
	if d.Agreed {
		c.in.compression = newCompression(c.settings.Load().CompressionLevel, d)
	}
}

// form is that of the messages that are queued.
func (c *Conn) form() message.Form {
	f := message.Form{Format: c.format}
	if c.in.compression != nil && c.in.compression.level > 0 {
		f.Level, f.Bits = c.in.compression.level, c.in.compression.bits
	}
	return f
}

// take returns what is to be written next. With context takeover it is compressed
// only now: an update may have been dropped from the queue until then, and what is
// compressed must all be sent.
func (c *Conn) take() (p []byte, own *buffer) {
	p, own = c.out.take()
	if c.in.compression == nil || c.in.compression.out == nil {
		return p, own
	}
	compressed := getBuffer(len(p))
	compressed.b = c.in.compression.out.AppendDeflated(compressed.b, p)
	if sent := int64(c.end.BytesOut); c.pingEnd > sent { // the ping is in p or behind it
		c.pingEnd = max(c.pingEnd, sent+int64(len(p))) + int64(len(compressed.b)-len(p))
	}
	putBuffer(own)
	return compressed.b, compressed
}
