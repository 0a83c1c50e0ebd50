package bolt

import (
	"context"
	"fmt"

	"github.com/caddyws/caddy-websocket/engines"
)

// maxRead is how many bytes Read returns, but for the last entry.
const maxRead = 1 << 20

// trimStep is how many entries are removed in one transaction: others wait for it.
const trimStep = 1000

// Append stores entries behind the last one, together with what else waits.
func (e *Engine) Append(ctx context.Context, key engines.Key, epoch string, after uint64, entries [][]byte) (last uint64, err error) {
	size := 0
	for _, entry := range entries {
		size += len(entry)
	}
	if len(entries) == 0 || len(entries) > engines.MaxEntries || size > maxState {
		return 0, engines.ErrRefused
	}
	k, err := encodeKey(key)
	if err != nil {
		return 0, refused(err)
	}
	values := encodeEntries(k, after, entries)
	return e.request(ctx, size, func(t *tables) (uint64, error) { return t.append(k, epoch, after, values) })
}

// Read returns copies of entries behind a position.
func (e *Engine) Read(ctx context.Context, key engines.Key, epoch string, after uint64, n int) (entries [][]byte, first, last uint64, err error) {
	k, err := encodeKey(key)
	if err != nil {
		return nil, 0, 0, err
	}
	err = e.view(ctx, func(t *tables) (err error) {
		entries, first, last, err = t.entries(k, epoch, after, n)
		if err != nil {
			err = fmt.Errorf("reading messages of %q of %s from %s: %w", key.Room, key.App, e.path, err)
		}
		return err
	})
	return entries, first, last, err
}

// Trim removes the entries up to a position, in several transactions if they are many.
func (e *Engine) Trim(ctx context.Context, key engines.Key, epoch string, upTo uint64) error {
	k, err := encodeKey(key)
	if err != nil {
		return err
	}
	for more := true; more && err == nil; {
		_, err = e.request(ctx, 0, func(t *tables) (_ uint64, err error) {
			more, err = t.trim(k, epoch, upTo)
			return 0, err
		})
	}
	return err
}
