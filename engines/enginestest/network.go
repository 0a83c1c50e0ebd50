package enginestest

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
)

// Network is an engine that is reached over a network: what is asked of it takes time,
// and may be lost, or carried out long after it was asked for, or have an answer that is
// lost.
type Network struct {
	memory.Engine
	Chance *Chance
	Faults int // percent of the calls
}

// ErrNetwork is what the network did to a call; it tells nothing about its outcome.
var ErrNetwork = errors.New("network")

// travel takes some time, which may be more than there is.
func (e *Network) travel(ctx context.Context) error {
	d := e.Chance.UpTo(5 * time.Millisecond)
	if e.Chance.Percent(e.Faults) {
		d = e.Chance.UpTo(12 * time.Second)
	}
	sleep(ctx, d)
	return ctx.Err()
}

// Load is that of the engine behind the network.
func (e *Network) Load(ctx context.Context, key engines.Key) ([]byte, uint64, error) {
	if err := e.travel(ctx); err != nil {
		return nil, 0, err
	}
	if e.Chance.Percent(e.Faults) {
		return nil, 0, ErrNetwork
	}
	p, rev, err := e.Engine.Load(ctx, key)
	if late := e.travel(ctx); late != nil {
		return nil, 0, late
	}
	return p, rev, err
}

// Swap is that of the engine behind the network.
func (e *Network) Swap(ctx context.Context, key engines.Key, rev uint64, v engines.Value) (uint64, error) {
	v.State = bytes.Clone(v.State) // as it may be carried out late
	return e.store(ctx, func(ctx context.Context) (uint64, error) { return e.Engine.Swap(ctx, key, rev, v) })
}

// Append is that of the engine behind the network.
func (e *Network) Append(ctx context.Context, key engines.Key, epoch string, after uint64, entries [][]byte) (uint64, error) {
	copied := make([][]byte, len(entries))
	for i, entry := range entries {
		copied[i] = bytes.Clone(entry)
	}
	return e.store(ctx, func(ctx context.Context) (uint64, error) {
		return e.Engine.Append(ctx, key, epoch, after, copied)
	})
}

// Read is that of the engine behind the network.
func (e *Network) Read(ctx context.Context, key engines.Key, epoch string, after uint64, n int) (entries [][]byte, first, last uint64, err error) {
	if err := e.travel(ctx); err != nil {
		return nil, 0, 0, err
	}
	if e.Chance.Percent(e.Faults) {
		return nil, 0, 0, ErrNetwork
	}
	entries, first, last, err = e.Engine.Read(ctx, key, epoch, after, n)
	if late := e.travel(ctx); late != nil {
		return nil, 0, 0, late
	}
	return entries, first, last, err
}

// store has something stored by the engine behind the network.
func (e *Network) store(ctx context.Context, do func(context.Context) (uint64, error)) (uint64, error) {
	err := e.travel(ctx)
	if err == nil && e.Chance.Percent(e.Faults) {
		return 0, engines.ErrRefused
	}
	if err != nil || e.Chance.Percent(e.Faults) {
		if e.Chance.Percent(70) { // else it is lost
			d := e.Chance.UpTo(20 * time.Second)
			go func() {
				time.Sleep(d)
				_, _ = do(context.Background())
			}()
		}
		return 0, ErrNetwork
	}
	next, err := do(ctx)
	if late := e.travel(ctx); late != nil {
		return 0, late
	}
	if e.Chance.Percent(e.Faults) {
		return 0, ErrNetwork
	}
	return next, err
}

// sleep waits for a while, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
