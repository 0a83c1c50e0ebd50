// Package memory is the engine that keeps rooms as long as the process lives.
//
// Rooms live through configuration reloads, since the hub and its engine do,
// and are gone after a restart.
package memory

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/options"
)

func init() { caddy.RegisterModule(new(Engine)) }

// maxState is the largest state of a room. A state is sent whole to joining
// members, so that a larger one would help nobody.
const maxState = 1 << 20

// Engine keeps the state of rooms in memory, until Caddy ends.
type Engine struct {
	mu    sync.RWMutex
	rooms map[engines.Key]value // guarded by mu
	last  uint64                // guarded by mu: the newest revision of all rooms
}

type value struct {
	state []byte
	rev   uint64
}

// CaddyModule returns the Caddy module information.
func (*Engine) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "websocket.engines.memory",
		New: func() caddy.Module { return new(Engine) },
	}
}

// UnmarshalCaddyfile reads `memory`; the engine has no options.
func (e *Engine) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return options.Set{}.App(d)
}

// Load returns a copy of a room's bytes.
func (e *Engine) Load(_ context.Context, key engines.Key) ([]byte, uint64, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	v, ok := e.rooms[key]
	if !ok {
		return nil, 0, engines.ErrNotFound
	}
	return bytes.Clone(v.state), v.rev, nil
}

// Swap stores a copy of state if rev is the room's revision.
func (e *Engine) Swap(_ context.Context, key engines.Key, rev uint64, state []byte) (uint64, error) {
	if len(state) > maxState {
		return 0, engines.ErrRefused
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	v := e.rooms[key]
	if v.rev != rev {
		return 0, engines.ErrConflict
	}
	if e.rooms == nil {
		e.rooms = make(map[engines.Key]value)
	}
	e.last++
	e.rooms[key] = value{append(v.state[:0], state...), e.last}
	return e.last, nil
}

// Delete removes a room.
func (e *Engine) Delete(_ context.Context, key engines.Key, rev uint64) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	v, ok := e.rooms[key]
	switch {
	case !ok:
		return engines.ErrNotFound
	case v.rev != rev:
		return engines.ErrConflict
	}
	delete(e.rooms, key)
	return nil
}

// List returns up to n keys after the given one.
func (e *Engine) List(_ context.Context, after engines.Key, n int) ([]engines.Key, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	var keys []engines.Key
	for key := range e.rooms {
		if compare(key, after) > 0 {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, compare)
	return keys[:min(n, len(keys))], nil
}

func compare(a, b engines.Key) int {
	return cmp.Or(cmp.Compare(a.App, b.App), cmp.Compare(a.Room, b.Room))
}

// MaxState is 1 MiB.
func (*Engine) MaxState() int { return maxState }

// Volatile marks the engine as one that never waits.
func (*Engine) Volatile() {}

// Close forgets every room.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rooms = nil
	return nil
}

// Interface guards
var (
	_ caddy.Module          = (*Engine)(nil)
	_ caddyfile.Unmarshaler = (*Engine)(nil)
	_ engines.Engine        = (*Engine)(nil)
	_ engines.Volatile      = (*Engine)(nil)
)
