package nats

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/caddyws/caddy-websocket/engines"
)

// settling is an engine of a caller that settles what is not known to be stored, as the hub
// does. A cluster that has another leader meanwhile may not answer a request.
type settling struct{ *Engine }

// isUnknown reports whether something may be stored and is worth being tried again.
func isUnknown(ctx context.Context, err error) bool {
	return err != nil && ctx.Err() == nil && !errors.Is(err, engines.ErrConflict) && !errors.Is(err, engines.ErrRefused)
}

// Swap stores the same again until something newer is there, which may be this, or this with
// what others have added.
func (e settling) Swap(ctx context.Context, key engines.Key, rev uint64, v engines.Value) (uint64, error) {
	now, err := e.Engine.Swap(ctx, key, rev, v)
	for isUnknown(ctx, err) {
		if now, err = e.Engine.Swap(ctx, key, rev, v); errors.Is(err, engines.ErrConflict) {
			var state []byte
			if state, now, err = e.Load(ctx, key); err == nil && !bytes.HasPrefix(state, v.State) {
				return 0, engines.ErrConflict
			}
		}
	}
	return now, err
}

// Append adds the same again until something is there, which may be this.
func (e settling) Append(ctx context.Context, key engines.Key, epoch string, after uint64, entries [][]byte) (uint64, error) {
	last, err := e.Engine.Append(ctx, key, epoch, after, entries)
	for isUnknown(ctx, err) {
		if last, err = e.Engine.Append(ctx, key, epoch, after, entries); errors.Is(err, engines.ErrConflict) {
			var there [][]byte
			there, _, last, err = e.Read(ctx, key, epoch, after, len(entries))
			if err == nil && !slices.EqualFunc(there, entries, bytes.Equal) {
				return 0, engines.ErrConflict
			}
		}
	}
	return last, err
}

// settlingOpener opens engines that settle.
type settlingOpener struct{ *Opener }

func (o settlingOpener) Open(ctx context.Context) (engines.Engine, error) {
	e, err := o.Opener.Open(ctx)
	if err != nil {
		return nil, err
	}
	return settling{e.(*Engine)}, nil
}
