package replica

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
)

// commitTimeout is how long a commit waits for the engine.
const commitTimeout = 10 * time.Second

// Operation is a change of the state. With Refusal it only keeps a place in the
// order of the answers.
type Operation struct {
	Data    []byte
	Refusal error // the answer of an operation that is not applied
}

// Result is what came of one operation.
type Result struct {
	Outcome  apps.Outcome
	Version  uint64 // of the state after it
	Err      error  // why it is not in the state; nil if it is stored
	Panicked bool   // Err is of a panic of the app
}

// Commit applies operations and stores the state. The results stand in the order
// of the operations. What is not stored is not in the state.
func (r *Replica) Commit(batch []Operation) []Result {
	results := make([]Result, len(batch))
	err := r.tryCommit(batch, results)
	if errors.Is(err, ErrTooBig) && len(batch) > 1 {
		half := len(batch) / 2
		return append(r.Commit(batch[:half]), r.Commit(batch[half:])...)
	}
	if err != nil {
		refuse(results, err)
	}
	return results
}

// refuse gives the error to the operations that have none.
func refuse(results []Result, err error) {
	for i := range results {
		if results[i].Err == nil {
			results[i] = Result{Err: err}
		}
	}
}

// tryCommit leaves the state as it was if it returns an error.
func (r *Replica) tryCommit(batch []Operation, results []Result) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	if r.state == nil {
		if err := r.load(ctx); err != nil {
			return r.told(err)
		}
	}
	next := r.applyAll(batch, results)
	if next.version == r.stored.version || r.state == nil {
		return nil
	}
	if err = r.save(ctx, next); err != nil {
		r.undo()
	}
	return r.told(err)
}

// told reports why a batch is not stored and returns what its senders are told.
func (r *Replica) told(err error) error {
	switch err {
	case nil, ErrTooBig, ErrTooManyRooms:
		return err
	}
	r.report(err)
	if errors.Is(err, ErrUnknown) {
		return ErrUnknown
	}
	return ErrUnavailable
}

// applyAll applies what can be applied and returns the envelope to store, as yet
// without the app's bytes. After a panic the state is brought back and the other
// operations are applied again.
func (r *Replica) applyAll(batch []Operation, results []Result) envelope {
	next := r.stored
	next.at = later(r.stored.at, time.Now().Round(0).UTC()) // by the wall clock, as stored
	for i := 0; i < len(batch); i++ {
		if results[i].Panicked {
			continue
		}
		results[i] = r.applyOne(batch[i], &next)
		if results[i].Panicked {
			r.undo()
			if r.state == nil {
				refuse(results, ErrUnavailable)
				return r.stored
			}
			next.version, i = r.stored.version, -1
		}
	}
	return next
}

// applyOne applies one operation and counts it in next.
func (r *Replica) applyOne(op Operation, next *envelope) (res Result) {
	if op.Refusal != nil {
		return Result{Err: op.Refusal}
	}
	defer func() {
		if p := recover(); p != nil {
			res = Result{Panicked: true, Err: fmt.Errorf("panic on applying an operation: %v\n%s", p, debug.Stack())}
		}
	}()
	outcome, err := r.state.Apply(apps.Op{Data: op.Data, At: next.at})
	if err != nil {
		return Result{Err: errors.New(err.Error())} // which may panic too
	}
	next.version++
	return Result{Outcome: outcome, Version: next.version}
}

// save stores the state, which becomes the one of the snapshot.
func (r *Replica) save(ctx context.Context, next envelope) (err error) {
	defer recovered(&err)
	p, view, err := r.encode(&next)
	if err != nil {
		return err
	}
	if len(p) > r.store.Engine.MaxState() {
		return ErrTooBig
	}
	rev, err := r.swap(ctx, p)
	if err != nil {
		return err
	}
	r.stored, r.rev, r.view = next, rev, view
	return nil
}

// encode returns what to store and to show. The app's bytes in next become a part
// of the former: those it gave may be its own.
func (r *Replica) encode(next *envelope) (p []byte, view apps.Body, err error) {
	if next.app, err = r.state.MarshalBinary(); err != nil {
		return nil, apps.Body{}, fmt.Errorf("encoding state: %w", err)
	}
	p = next.encode()
	next.app = p[len(p)-len(next.app):]
	return p, r.state.View(), nil
}

// swap stores a value, within the limit of rooms if it is the first of its room.
func (r *Replica) swap(ctx context.Context, p []byte) (rev uint64, err error) {
	first := r.rev == 0
	if first {
		if err := r.store.Limit.Reserve(ctx); err != nil {
			return 0, err
		}
	}
	rev, err = swap(ctx, r.store.Engine, r.key, r.rev, p)
	if first && !errors.Is(err, engines.ErrRefused) {
		r.store.epochs.spend(r.key)
	}
	if err == nil {
		return rev, nil
	}
	if first {
		r.unreserve(err)
	}
	r.Unload()
	return 0, fmt.Errorf("storing room: %w", err)
}

// unreserve undoes Reserve after a failed Swap, as far as its outcome is known.
func (r *Replica) unreserve(err error) {
	if errors.Is(err, engines.ErrRefused) {
		r.store.Limit.Release()
	} else {
		r.store.Limit.Recount()
	}
}

// swap calls the engine and marks its unknown outcomes, one of which is a panic.
func swap(ctx context.Context, engine engines.Engine, key engines.Key, rev uint64, p []byte) (next uint64, err error) {
	defer func() {
		if err != nil && !errors.Is(err, engines.ErrRefused) && !errors.Is(err, engines.ErrConflict) {
			err = fmt.Errorf("%w: %w", ErrUnknown, err)
		}
	}()
	defer recovered(&err)
	return engine.Swap(ctx, key, rev, engines.Value{State: p, Used: time.Now()})
}
