package socket

import (
	"bytes"
	"sync"

	"github.com/caddyws/caddy-websocket/frames"
)

// Run is messages, one after another and encoded once, for any number of
// connections. What they do to it, such as compressing it, is also done once.
// Safe for concurrent use.
type Run struct {
	plain    []byte
	messages uint64

	mu       sync.Mutex
	deflated []deflatedRun // guarded by mu; usually one
}

// deflatedRun is a run as compressed at a level for a window.
type deflatedRun struct {
	level, bits int
	bytes       []byte
}

// NewRun returns the run of the given bytes: frames as a server sends them or,
// for connections made by NewEvents, events. Nobody may change them any more.
func NewRun(encoded []byte) *Run { return &Run{plain: encoded, messages: count(encoded)} }

// count counts messages: frames, whose first byte has its first bit set since
// each is a message of its own, or events.
func count(encoded []byte) (messages uint64) {
	if len(encoded) > 0 && encoded[0] < 0x80 {
		return uint64(bytes.Count(encoded, []byte("\n\n")))
	}
	for len(encoded) > 0 {
		h, n, err := frames.ParseHeader(encoded)
		if n == 0 || err != nil {
			break // it is ours: never
		}
		encoded = encoded[n+int(h.Length):]
		messages++
	}
	return messages
}

// Bytes returns what the run was made of.
func (r *Run) Bytes() []byte { return r.plain }

// at returns the run for connections that compress in some way, or not at all:
// nil. What fits into a window is the same for it as for the largest.
func (r *Run) at(c *compression) []byte {
	if c == nil || c.level == 0 || len(r.plain) < frames.MinDeflate {
		return r.plain
	}
	bits := c.bits
	if len(r.plain) <= 1<<bits {
		bits = frames.MaxWindowBits
	}
	return r.compressed(c.level, bits)
}

func (r *Run) compressed(level, bits int) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range r.deflated {
		if d.level == level && d.bits == bits {
			return d.bytes
		}
	}
	d := deflatedRun{level, bits, deflate(r.plain, level, bits)}
	r.deflated = append(r.deflated, d)
	return d.bytes
}

// deflate compresses the messages of a run.
func deflate(run []byte, level, bits int) []byte {
	var deflated []byte
	for len(run) > 0 {
		h, n, err := frames.ParseHeader(run)
		if n == 0 || err != nil {
			break // it is ours: never
		}
		end := n + int(h.Length)
		deflated = frames.AppendDeflated(deflated, h.Opcode, run[n:end], level, bits)
		run = run[end:]
	}
	return deflated
}
