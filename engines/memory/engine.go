package memory

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
)

// maxState is the largest state of a room. A state is sent whole to joining
// members, so that a larger one would help nobody.
const maxState = 1 << 20

// Engine is a map of rooms. Its zero value is ready to use.
type Engine struct {
	mu sync.RWMutex
	// Guarded by mu.
	rooms  map[engines.Key]value
	last   uint64 // the newest revision of all rooms
	used   index[hour]
	wakes  index[moment]
	logs   map[engines.Key]*log
	closed bool
}

type value struct {
	state []byte
	rev   uint64
	used  hour
	wake  moment
	epoch string
}

var errClosed = errors.New("engine is closed")

// Load returns a copy of a room's bytes.
func (e *Engine) Load(_ context.Context, key engines.Key) ([]byte, uint64, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	v, ok := e.rooms[key]
	switch {
	case e.closed:
		return nil, 0, errClosed
	case !ok:
		return nil, 0, engines.ErrNotFound
	}
	return bytes.Clone(v.state), v.rev, nil
}

// Swap stores a copy of the state if rev is the room's revision.
func (e *Engine) Swap(_ context.Context, key engines.Key, rev uint64, v engines.Value) (uint64, error) {
	if len(v.State) > maxState {
		return 0, engines.ErrRefused
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	old := e.rooms[key]
	switch {
	case e.closed:
		return 0, refusedClosed()
	case old.rev != rev:
		return 0, engines.ErrConflict
	case e.rooms == nil:
		e.rooms = make(map[engines.Key]value)
	}
	e.last++
	now := value{append(old.state[:0], v.State...), e.last, hourOf(v.Used), momentOf(v.Wake), v.Epoch}
	e.rooms[key] = now
	e.move(key, old, now)
	return e.last, nil
}

// move has the indexes know of a value in place of another, which may be none.
func (e *Engine) move(key engines.Key, old, now value) {
	if now.used != old.used || old.rev == 0 {
		e.used.remove(key, old.used)
		e.used.add(key, now.used)
	}
	if now.wake == old.wake {
		return
	}
	e.wakes.remove(key, old.wake)
	if now.wake != 0 {
		e.wakes.add(key, now.wake)
	}
}

func refusedClosed() error { return fmt.Errorf("%w: %w", engines.ErrRefused, errClosed) }

// Delete removes a room.
func (e *Engine) Delete(_ context.Context, key engines.Key, rev uint64) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	v, ok := e.rooms[key]
	switch {
	case e.closed:
		return refusedClosed()
	case !ok:
		return engines.ErrNotFound
	case v.rev != rev:
		return engines.ErrConflict
	}
	delete(e.rooms, key)
	delete(e.logs, key)
	e.used.remove(key, v.used)
	e.wakes.remove(key, v.wake)
	return nil
}

// List returns up to n keys after the given one.
func (e *Engine) List(_ context.Context, after engines.Key, n int) ([]engines.Key, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.closed {
		return nil, errClosed
	}
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

// Count returns how many rooms there are.
func (e *Engine) Count(context.Context) (int, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.closed {
		return 0, errClosed
	}
	return len(e.rooms), nil
}

// Unused returns up to n rooms that were last used before a time.
func (e *Engine) Unused(_ context.Context, before time.Time, after engines.Use, n int) ([]engines.Use, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.closed {
		return nil, errClosed
	}
	return unused(&e.used, before, after, n), nil
}

// Due returns up to n rooms whose wake is before a time.
func (e *Engine) Due(_ context.Context, before time.Time, after engines.Wake, n int) ([]engines.Wake, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.closed {
		return nil, errClosed
	}
	return due(&e.wakes, before, after, n), nil
}

// MaxState is 1 MiB.
func (*Engine) MaxState() int { return maxState }

// Volatile marks the engine as one that never waits.
func (*Engine) Volatile() {}

// Close forgets every room.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rooms, e.logs, e.used, e.wakes, e.closed = nil, nil, index[hour]{}, index[moment]{}, true
	return nil
}

// Interface guards
var (
	_ engines.Engine   = (*Engine)(nil)
	_ engines.Volatile = (*Engine)(nil)
	_ engines.Log      = (*Engine)(nil)
)
