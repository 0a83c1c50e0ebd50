package replica

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
)

// Replica is the state of one room and what is stored of it. It is not safe for
// concurrent use.
type Replica struct {
	// Immutable.
	key    engines.Key
	store  *Store
	report func(error)

	app   apps.Stateful // made the state
	route string        // name of the route that the app is of
	state apps.State    // nil: not loaded
	ids   ids           // of the state; those that were stored last if it is not loaded

	// As of the last commit.
	stored envelope  // what state and ids can be brought back to
	rev    uint64    // its revision; 0 if nothing is stored yet
	epoch  string    // that is shown
	view   apps.Body // of the state
	wake   time.Time // when the state is to be woken; zero if never
	index  time.Time // when the engine has it woken, as far as that is known
	clock  roomClock
	bytes  []byte // what stored has its parts in, if a commit has made them
	spare  []byte // memory for the next ones

	entering  []entry // what a batch adds to the log
	torn      tornAt  // see anew.go
	fresh     []Kept  // see Fresh
	freshSize int     // of those that others have stored
	skipped   bool    // some were too many
	tidyAgain uint64  // the version before which Tidy is not tried again

	trimDue   bool        // messages are to be removed, as a checkpoint is stored
	trimmed   time.Time   // when messages were last removed
	untrimmed atomic.Bool // some may be left; what Tidy has returned changes it, too

	told     uint64 // how many events of the stored epoch have been told outside; see Events
	misnamed bool   // an event with a bad name was reported

	older time.Time // since when only something older than rev is found; zero if it is not

	unsettled *attempt // its operations were answered with ErrUnknown; nothing new is stored before it is settled
	late      []Result // see Late
}

// New returns the replica of a room, not loaded. Faults of the engine and of the
// app's state are told to report.
func New(key engines.Key, store *Store, report func(error)) *Replica {
	return &Replica{key: key, store: store, report: report}
}

// Snapshot is the state of a room as of a commit.
type Snapshot struct {
	Epoch   string // of the state's life; empty before it is loaded
	Version uint64
	View    apps.Body
	Events  Events
}

// Snapshot returns the state as of the last commit.
func (r *Replica) Snapshot() Snapshot {
	return Snapshot{Epoch: r.epoch, Version: r.stored.version, View: r.view, Events: r.stored.events}
}

// IsStored reports whether the engine has a value of the room, as far as the
// replica knows.
func (r *Replica) IsStored() bool { return r.rev > 0 }

// Load reads the state from the engine, or makes a new one, for the app of a route. An error leaves the
// snapshot as it was.
func (r *Replica) Load(ctx context.Context, app apps.Stateful, route string) error {
	r.app, r.route = app, route
	return r.load(ctx)
}

func (r *Replica) load(ctx context.Context) error {
	if _, keeps := r.journal(); keeps && r.store.Log == nil {
		return ErrNoLog
	}
	found, rev, err := r.read(ctx)
	if err != nil {
		return err
	}
	return r.goTo(found, rev)
}

// goTo makes the state what is stored at a revision.
func (r *Replica) goTo(found envelope, rev uint64) error {
	before := r.stored
	if err := r.restore(found); err != nil {
		return err
	}
	if r.rev > 0 && rev == 0 { // somebody else has deleted the room
		r.store.Limit.Recount()
	}
	switch before.epoch {
	case "": // nothing has been told yet
		r.noteFresh(&found, 0)
	case found.epoch:
		r.noteFresh(&found, before.version)
	default: // somebody else has begun a new life
		r.noteFresh(&found, 0)
	}
	r.rev, r.bytes = rev, nil
	r.clock = clockOf(found, r.store.Clock())
	r.index = r.indexOf(&r.stored, r.wake)
	return nil
}

// restore makes the state, and the ids, what is stored. After an error the state is not
// loaded.
func (r *Replica) restore(stored envelope) (err error) {
	defer func() {
		if err != nil {
			r.Unload()
		}
	}()
	defer recovered(&err)
	state := r.app.NewState()
	if stored.app != nil {
		if err := state.UnmarshalBinary(stored.app); err != nil {
			return fmt.Errorf("decoding state: %w", err)
		}
	}
	r.view, r.wake = state.View(), wakeOf(state)
	if stored.epoch != r.stored.epoch {
		r.told, r.tidyAgain = 0, 0
		r.fresh, r.freshSize, r.skipped = nil, 0, false
	} else if stored.events.Total < r.told {
		r.told = 0
	}
	r.state = state
	r.ids.restore(stored.ids)
	if err := r.takeTail(&stored); err != nil {
		return err
	}
	r.stored = stored
	r.epoch = r.store.shown(stored.epoch)
	return nil
}

// undo brings the state and the ids back to what is stored. Afterwards the state may
// be not loaded.
func (r *Replica) undo() {
	if r.state == nil {
		return
	}
	if err := r.restore(r.stored); err != nil {
		r.report(err)
	}
}

// Follow goes on with another instance of the app, or another route, which decodes the state anew.
// A state that the instance cannot read is left as it is stored.
func (r *Replica) Follow(app apps.Stateful, route string) {
	r.app, r.route = app, route
	r.undo()
}

// Unload has the next commit load the state: what is stored is not known. The ids are
// those that were stored last, so that no operation that has not been stored passes for
// one that has.
func (r *Replica) Unload() {
	r.state = nil
	r.ids.restore(r.stored.ids)
}

// Delete removes what is stored of the room. Afterwards the replica must be loaded.
func (r *Replica) Delete(ctx context.Context) (err error) {
	defer func() {
		if err != nil { // it may be gone all the same
			r.store.Limit.Recount()
		}
	}()
	defer recovered(&err)
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	if err := r.settleToDelete(ctx); err != nil {
		return fmt.Errorf("deleting room: %w", err)
	}
	if r.rev == 0 {
		return nil
	}
	if err := r.store.Engine.Delete(ctx, r.key, r.rev); err != nil {
		r.store.note("delete", err)
		return fmt.Errorf("deleting room: %w", err)
	}
	r.store.Limit.Release()
	r.rev, r.unsettled = 0, nil
	r.Unload()
	return nil
}

// settleToDelete settles the attempt that an earlier commit has left. If that takes long it is of
// no matter in a room that is stored: the attempt is gone with it, and can come no more then.
func (r *Replica) settleToDelete(ctx context.Context) error {
	if r.rev == 0 {
		return r.settleLate(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, waitLimit/2)
	defer cancel()
	if err := r.settleLate(ctx); r.rev == 0 { // it has just been deleted
		return err
	}
	return nil
}

// DeleteUnread deletes what is stored of a room that is not loaded, whatever it is. The
// error wraps that of the engine.
func (r *Replica) DeleteUnread(ctx context.Context) error {
	if err := r.find(ctx); err != nil {
		return err
	}
	return r.Delete(ctx)
}

// find notes at which revision something is stored.
func (r *Replica) find(ctx context.Context) (err error) {
	defer recovered(&err)
	_, r.rev, err = r.store.Engine.Load(ctx, r.key)
	r.store.note("load", err)
	if errors.Is(err, engines.ErrNotFound) {
		r.rev, err = 0, nil
	}
	if err != nil {
		return fmt.Errorf("loading room: %w", err)
	}
	return nil
}

// recovered turns a panic of an engine or a state into an error with its stack.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
	}
}

func later(a, b time.Time) time.Time {
	if b.Before(a) {
		return a
	}
	return b
}
