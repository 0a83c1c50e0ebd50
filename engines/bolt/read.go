package bolt

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
)

// Load returns a copy of a room's state.
func (e *Engine) Load(ctx context.Context, key engines.Key) (state []byte, rev uint64, err error) {
	k, err := encodeKey(key)
	if err != nil {
		return nil, 0, engines.ErrNotFound // as nothing can be stored there
	}
	err = e.view(ctx, func(t *tables) error {
		v, err := t.get(k)
		switch {
		case err != nil:
			return fmt.Errorf("loading %q of %s from %s: %w", key.Room, key.App, e.path, err)
		case v.rev == 0:
			return engines.ErrNotFound
		}
		state, rev = bytes.Clone(v.state), v.rev
		return nil
	})
	return state, rev, err
}

// List returns up to n keys after the given one.
func (e *Engine) List(ctx context.Context, after engines.Key, n int) (keys []engines.Key, err error) {
	err = e.view(ctx, func(t *tables) error {
		keys = t.list(startKey(after), n)
		return nil
	})
	return keys, err
}

// Count returns how many rooms are stored, a number of the file.
func (e *Engine) Count(ctx context.Context) (n int, err error) {
	err = e.view(ctx, func(t *tables) error {
		n = int(t.count)
		return nil
	})
	return n, err
}

// Unused returns up to n rooms that were last used before a time.
func (e *Engine) Unused(ctx context.Context, before time.Time, after engines.Use, n int) (uses []engines.Use, err error) {
	start := indexKey(hourOf(after.Used), startKey(after.Key))
	err = e.view(ctx, func(t *tables) error {
		uses = t.unused(start, hourOf(before), n)
		return nil
	})
	return uses, err
}

// Due returns up to n rooms whose wake is before a time.
func (e *Engine) Due(ctx context.Context, before time.Time, after engines.Wake, n int) (wakes []engines.Wake, err error) {
	start := dueKey(momentOf(after.At), startKey(after.Key))
	err = e.view(ctx, func(t *tables) error {
		wakes = t.wakes(start, momentOf(before), n)
		return nil
	})
	return wakes, err
}

// view calls do with the tables as of the last commit. A file that has to be opened
// anew is opened first.
func (e *Engine) view(ctx context.Context, do func(*tables) error) error {
	for {
		usable, err := e.tryView(ctx, do)
		if usable || err != nil {
			return err
		}
		if _, err := e.request(ctx, 0, nothing); err != nil {
			return err
		}
	}
}

// nothing is a request that only needs the file to be open.
func nothing(*tables) (uint64, error) { return 0, nil }

// tryView is view as long as the file is usable.
func (e *Engine) tryView(ctx context.Context, do func(*tables) error) (usable bool, err error) {
	if err := e.readers.Acquire(ctx, 1); err != nil {
		return false, err
	}
	defer e.readers.Release(1)
	if !e.file.usable() {
		return false, nil
	}
	return true, e.file.view(do)
}
