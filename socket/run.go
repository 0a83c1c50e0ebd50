package socket

import (
	"sync"

	"github.com/caddyws/caddy-websocket/frames"
)

// Run is messages, one after another and encoded once, for any number of
// connections. What they do to it, such as compressing it, is also done once.
// Safe for concurrent use.
type Run struct {
	plain []byte

	mu       sync.Mutex
	deflated [frames.MaxLevel + 1][]byte // guarded by mu; by level
}

// NewRun returns the run of the given bytes: frames as a server sends them or,
// for connections made by NewEvents, events. Nobody may change them any more.
func NewRun(encoded []byte) *Run { return &Run{plain: encoded} }

// Bytes returns what the run was made of.
func (r *Run) Bytes() []byte { return r.plain }

// at returns the run for connections that compress at a level, or not at 0.
func (r *Run) at(level int) []byte {
	if level == 0 || len(r.plain) < frames.MinDeflate {
		return r.plain
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.deflated[level] == nil {
		r.deflated[level] = deflate(r.plain, level)
	}
	return r.deflated[level]
}

// deflate compresses the messages of a run.
func deflate(run []byte, level int) []byte {
	var deflated []byte
	for len(run) > 0 {
		h, n, err := frames.ParseHeader(run)
		if n == 0 || err != nil {
			break // it is ours: never
		}
		end := n + int(h.Length)
		deflated = frames.AppendDeflated(deflated, h.Opcode, run[n:end], level)
		run = run[end:]
	}
	return deflated
}
