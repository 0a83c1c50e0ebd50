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

// Why operations are refused for no fault of theirs. The texts are for clients;
// the causes are reported.
var (
	// ErrUnavailable: the operation is certainly not stored.
	ErrUnavailable = errors.New("unavailable, try again later")
	// ErrUnknown: the engine did not tell whether the operation is stored.
	ErrUnknown = errors.New("outcome unknown")
	// ErrTooBig: the state with the operation is larger than the engine takes.
	ErrTooBig = errors.New("room is full")
	// ErrTooManyRooms: the room would be one too many; see Limit.
	ErrTooManyRooms = errors.New("no more rooms can be stored")
)

// Limit bounds how many rooms are stored. Its methods may be called by replicas of
// different rooms at the same time.
type Limit interface {
	// Reserve counts one more room. The error is ErrTooManyRooms if that is one
	// too many, else why the stored rooms could not be counted.
	Reserve(ctx context.Context) error
	// Release takes one room back.
	Release()
	// Recount has the stored rooms counted again, since it is not known whether
	// one is stored.
	Recount()
}

// Store is where the replicas of all rooms are kept. Its fields are not changed once
// replicas use it. It may be used concurrently.
type Store struct {
	Engine engines.Engine
	Limit  Limit

	epochs epochs
}

// Replica is the state of one room and what is stored of it. It is not safe for
// concurrent use.
type Replica struct {
	// Immutable.
	key    engines.Key
	store  *Store
	report func(error)

	app    apps.Stateful // made the state
	state  apps.State    // nil: not loaded
	stored envelope      // the bytes that state can be brought back to
	rev    uint64        // their revision; 0 if nothing is stored yet
	view   apps.Body     // of the state as stored
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
}

// Snapshot returns the state as of the last commit.
func (r *Replica) Snapshot() Snapshot {
	return Snapshot{Epoch: r.stored.epoch, Version: r.stored.version, View: r.view}
}

// IsStored reports whether the engine has a value of the room, as far as the
// replica knows.
func (r *Replica) IsStored() bool { return r.rev > 0 }

// Load reads the state from the engine, or makes a new one. An error leaves the
// snapshot as it was.
func (r *Replica) Load(ctx context.Context, app apps.Stateful) error {
	r.app = app
	return r.load(ctx)
}

func (r *Replica) load(ctx context.Context) error {
	stored, rev, err := r.store.readEnvelope(ctx, r.key)
	if err == nil {
		err = r.restore(stored)
	}
	if err != nil {
		return err
	}
	r.rev = rev
	return nil
}

// readEnvelope returns what is stored of a room, or the envelope of a new one.
func (s *Store) readEnvelope(ctx context.Context, key engines.Key) (stored envelope, rev uint64, err error) {
	defer recovered(&err)
	p, rev, err := s.Engine.Load(ctx, key)
	if errors.Is(err, engines.ErrNotFound) {
		return envelope{epoch: s.epochs.of(key)}, 0, nil
	}
	if err != nil {
		return envelope{}, 0, fmt.Errorf("loading room: %w", err)
	}
	stored, err = parseEnvelope(p)
	return stored, rev, err
}

// restore makes the state what is stored.
func (r *Replica) restore(stored envelope) (err error) {
	defer recovered(&err)
	r.state = nil
	state := r.app.NewState()
	if stored.app != nil {
		if err := state.UnmarshalBinary(stored.app); err != nil {
			return fmt.Errorf("decoding state: %w", err)
		}
	}
	r.view = state.View()
	r.state, r.stored = state, stored
	return nil
}

// Follow goes on with another instance of the app, which decodes the state anew.
// A state that the instance cannot read is left as it is stored.
func (r *Replica) Follow(app apps.Stateful) {
	r.app = app
	r.undo()
}

// Delete removes what is stored of the room. Afterwards the replica must be loaded.
func (r *Replica) Delete(ctx context.Context) (err error) {
	defer func() {
		if err != nil { // it may be gone all the same
			r.store.Limit.Recount()
		}
	}()
	defer recovered(&err)
	if r.rev == 0 {
		return nil
	}
	if err := r.store.Engine.Delete(ctx, r.key, r.rev); err != nil {
		return fmt.Errorf("deleting room: %w", err)
	}
	r.store.Limit.Release()
	r.rev = 0
	r.Unload()
	return nil
}

// undo brings the state back to what is stored.
func (r *Replica) undo() {
	if r.state == nil {
		return
	}
	if err := r.restore(r.stored); err != nil {
		r.report(err)
	}
}

// Unload has the next commit load the state: what is stored is not known.
func (r *Replica) Unload() { r.state = nil }

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
