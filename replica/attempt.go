package replica

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
)

// attempt is a value that is to be stored over the one at a revision.
type attempt struct {
	next   envelope // with the writers of the value before
	bytes  []byte
	view   apps.Body
	wake   time.Time // when the state is to be woken; zero if never
	index  time.Time // the same by the machine's clock
	rev    uint64    // of the value before; 0: this one creates the room
	writer writer    // the process that stores it, and the number of its batch
	doubt  bool      // a Swap of it may have stored it, or still may
	cause  error     // why it is not simply stored
	older  *older    // what was found instead of the value before, last; nil if it was not older

	// Of one that appends to the log and leaves the value alone.
	entries [][]byte // nil: it is not one
	after   uint64   // the version before
	said    []Kept   // what the entries are

	// Once its operations have been answered with ErrUnknown.
	results []Result
	ids     map[Once]bool // of its operations, without their points
}

// fate is what has become of an attempt.
type fate uint8

const (
	undecided fate = iota // it may be stored or not, and a Swap of it may still be under way
	landed                // it is stored
	refused               // certainly not stored, nor is anything else
	beaten                // certainly not stored, and the state is what another process has stored
	lost                  // whether it was stored can no longer be found out
)

// newAttempt encodes the state. The first value of a room has its place in the limit.
func (r *Replica) newAttempt(ctx context.Context, next envelope) (a attempt, err error) {
	defer recovered(&err)
	if next.app, err = r.state.MarshalBinary(); err != nil {
		return a, fmt.Errorf("encoding state: %w", err)
	}
	next.route, next.checkpoint = r.route, next.version
	next.events.Told = max(next.events.Told, r.told)
	if state, keeps := r.state.(*journalState); keeps {
		next.checkTotal = state.total
	}
	a = attempt{rev: r.rev, writer: r.store.process.next()}
	a.bytes = next.encode(r.spare, a.writer, &r.ids) // at once: the app's bytes may be its own
	a.next, r.spare = next, nil
	a.view, a.wake = r.state.View(), wakeOf(r.state)
	a.index = r.indexOf(&next, a.wake)
	if len(a.bytes) > r.store.Engine.MaxState() {
		return a, ErrTooBig
	}
	if a.rev == 0 {
		return a, r.store.Limit.Reserve(ctx)
	}
	return a, nil
}

// carryOut stores an attempt if it can. Unless it is refused or undecided the state
// afterwards is what is stored.
func (r *Replica) carryOut(ctx context.Context, a *attempt) fate {
	version, total := r.stored.checkpoint, r.stored.checkTotal
	f, rev := r.swap(ctx, a)
	if f == landed {
		if now := a.value(); !now.at.Equal(r.stored.at) {
			r.clock = roomClock{now.at, time.Now()}
		}
		r.stored, r.rev, r.view, r.wake, r.index = a.value(), rev, a.view, a.wake, a.index
		r.spare, r.bytes = r.bytes, a.bytes
		r.ids.changed = false
		r.fresh = append(r.fresh, a.said...)
	} else if f == undecided {
		f = r.settle(ctx, a)
	}
	if f == landed {
		r.noteCheckpoint(version, total)
	}
	if a.rev == 0 {
		r.account(f)
	}
	return f
}

// swap stores an attempt once.
func (r *Replica) swap(ctx context.Context, a *attempt) (f fate, rev uint64) {
	rev, err := r.put(ctx, a)
	if err == nil {
		return landed, rev
	}
	a.cause = fmt.Errorf("storing room: %w", err)
	switch {
	case errors.Is(err, engines.ErrRefused):
		if a.entries != nil { // it may be full
			r.untrimmed.Store(true)
		}
		if !a.doubt { // nor was it stored before
			return refused, 0
		}
	case !errors.Is(err, engines.ErrConflict):
		a.doubt = true
	}
	return undecided, 0
}

// put has the engine store an attempt.
func (r *Replica) put(ctx context.Context, a *attempt) (rev uint64, err error) {
	if a.entries != nil {
		return a.rev, r.store.append(ctx, r.key, a.next.epoch, a.after, a.entries)
	}
	v := engines.Value{State: a.bytes, Used: time.Unix(a.next.used, 0), Wake: a.index}
	if _, keeps := r.journal(); keeps {
		v.Epoch = a.next.epoch
	}
	return r.store.swap(ctx, r.key, a.rev, v)
}

// value returns the envelope of an attempt that is stored.
func (a *attempt) value() envelope {
	now := a.next
	now.writers = now.writers.with(a.writer)
	return now
}

// account does what the end of an attempt to create the room means for the limit, and
// for the epoch that it begins with.
func (r *Replica) account(f fate) {
	if f == refused {
		r.store.Limit.Release()
		return
	}
	r.store.epochs.spend(r.key)
	if f != landed {
		r.store.Limit.Recount()
	}
}
