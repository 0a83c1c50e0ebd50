package hub

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
)

// machine is the state of a room and what is stored of it. After every call it
// is the state as stored, or not loaded. It is not safe for concurrent use.
type machine struct {
	room   *Room
	config *Config // whose app made the state

	state  apps.State // nil: not loaded
	stored envelope   // the bytes that state can be brought back to
	rev    uint64     // their revision; 0 if nothing is stored yet
	view   apps.Body
}

// result is what came of one operation.
type result struct {
	outcome  apps.Outcome
	version  uint64 // of the state after it
	err      error  // why it is not in the state
	panicked bool   // the app is to blame
}

// What members are told when an operation fails for no fault of theirs.
var (
	errUnavailable = errors.New("unavailable, try again later")
	errUnknown     = errors.New("outcome unknown")
	errTooBig      = errors.New("room is full")
)

func (m *machine) shown() shown {
	return shown{epoch: m.stored.epoch, version: m.stored.version, view: m.view}
}

// load reads the state from the engine, or makes a new one. An error leaves what
// is shown as it was.
func (m *machine) load(ctx context.Context) error {
	stored, rev, err := m.room.hub.readEnvelope(ctx, m.room.key)
	if err == nil {
		err = m.restore(stored)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	m.rev = rev
	return nil
}

// readEnvelope returns what is stored of a room, or the envelope of a new one.
func (h *Hub) readEnvelope(ctx context.Context, key engines.Key) (stored envelope, rev uint64, err error) {
	defer recovered(&err)
	p, rev, err := h.engine.Load(ctx, key)
	if errors.Is(err, engines.ErrNotFound) {
		return envelope{epoch: h.epochs.of(key)}, 0, nil
	}
	if err != nil {
		return envelope{}, 0, fmt.Errorf("loading room: %w", err)
	}
	stored, err = parseEnvelope(p)
	return stored, rev, err
}

// restore makes the state what is stored.
func (m *machine) restore(stored envelope) (err error) {
	defer recovered(&err)
	m.state = nil
	state := m.config.App.(apps.Stateful).NewState()
	if stored.app != nil {
		if err := state.UnmarshalBinary(stored.app); err != nil {
			return fmt.Errorf("decoding state: %w", err)
		}
	}
	m.view = state.View()
	m.state, m.stored = state, stored
	return nil
}

// commit applies the operations and stores the state; the results stand in
// their order. What is not stored is not in the state.
func (m *machine) commit(batch []operation) (results []result) {
	results = make([]result, len(batch))
	err := m.tryCommit(batch, results)
	if errors.Is(err, errTooBig) && len(batch) > 1 {
		half := len(batch) / 2
		return append(m.commit(batch[:half]), m.commit(batch[half:])...)
	}
	if err != nil {
		refuse(results, err)
	}
	return results
}

func refuse(results []result, err error) {
	for i := range results {
		if results[i].err == nil {
			results[i] = result{err: err}
		}
	}
}

// tryCommit leaves the state as it was if it returns an error.
func (m *machine) tryCommit(batch []operation, results []result) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	if m.state == nil {
		if err := m.load(ctx); err != nil {
			return m.told(err)
		}
	}
	next := m.applyAll(batch, results)
	if next.version == m.stored.version || m.state == nil {
		return nil
	}
	err = m.save(ctx, next)
	if err != nil {
		m.undo()
	}
	return m.told(err)
}

// told logs why a batch is not stored and returns what its senders are told.
func (m *machine) told(err error) error {
	switch err {
	case nil, errTooBig:
		return err
	case errTooManyRooms:
		m.room.hub.warnOfFullStock()
		return err
	}
	m.room.report(err)
	if errors.Is(err, errUnknown) {
		return errUnknown
	}
	return errUnavailable
}

// applyAll applies what can be applied and returns the envelope to store, as
// yet without the app's bytes. An operation that panics may leave half a change
// behind: the state is brought back and the others are applied again.
func (m *machine) applyAll(batch []operation, results []result) envelope {
	next := m.stored
	next.at = later(m.stored.at, time.Now().Round(0).UTC()) // by the wall clock, as stored
	for i := 0; i < len(batch); i++ {
		if results[i].panicked {
			continue
		}
		results[i] = m.applyOne(batch[i], &next)
		if results[i].panicked {
			m.undo()
			if m.state == nil {
				refuse(results, errUnavailable)
				return m.stored
			}
			next.version, i = m.stored.version, -1
		}
	}
	return next
}

// applyOne applies one operation and counts it in next.
func (m *machine) applyOne(op operation, next *envelope) (res result) {
	if op.refusal != nil {
		return result{err: op.refusal}
	}
	defer func() {
		if p := recover(); p != nil {
			res = result{panicked: true, err: fmt.Errorf("panic on applying an operation: %v\n%s", p, debug.Stack())}
		}
	}()
	outcome, err := m.state.Apply(apps.Op{Data: op.data, At: next.at})
	if err != nil {
		return result{err: errors.New(err.Error())} // which may panic too
	}
	next.version++
	return result{outcome: outcome, version: next.version}
}

// save stores the state, which becomes the one that is shown.
func (m *machine) save(ctx context.Context, next envelope) (err error) {
	defer recovered(&err)
	p, view, err := m.encode(&next)
	if err != nil {
		return err
	}
	if len(p) > m.engine().MaxState() {
		return errTooBig
	}
	if m.rev == 0 {
		if err := m.takePlace(ctx); err != nil {
			return err
		}
	}
	rev, err := swap(ctx, m.engine(), m.room.key, m.rev, p)
	if m.rev == 0 && !errors.Is(err, engines.ErrRefused) {
		m.room.hub.epochs.spend(m.room.key)
	}
	if err != nil {
		if m.rev == 0 {
			m.giveUpPlace(err)
		}
		m.forget()
		return fmt.Errorf("storing room: %w", err)
	}
	m.stored, m.rev, m.view = next, rev, view
	return nil
}

func (m *machine) engine() engines.Engine { return m.room.hub.engine }

// takePlace counts the room as one that is stored.
func (m *machine) takePlace(ctx context.Context) error {
	h := m.room.hub
	return h.stock.take(ctx, h.engine, h.limits.Load().MaxStoredRooms)
}

// giveUpPlace is takePlace undone, as far as that is known.
func (m *machine) giveUpPlace(err error) {
	if errors.Is(err, engines.ErrRefused) {
		m.room.hub.stock.giveBack()
	} else {
		m.room.hub.stock.recount()
	}
}

// delete removes what is stored of the room.
func (m *machine) delete(ctx context.Context) (err error) {
	defer func() {
		if err != nil { // it may be gone all the same
			m.room.hub.stock.recount()
		}
	}()
	defer recovered(&err)
	if m.rev == 0 {
		return nil
	}
	if err := m.engine().Delete(ctx, m.room.key, m.rev); err != nil {
		return fmt.Errorf("deleting room: %w", err)
	}
	m.room.hub.stock.giveBack()
	m.rev = 0
	m.forget()
	return nil
}

// follow goes on with the app of another configuration. A state that its app
// cannot read is left as it is stored.
func (m *machine) follow(c *Config) {
	if m.config == c {
		return
	}
	m.config = c
	m.undo()
}

// encode returns what to store and to show. The app's bytes in next become a
// part of the former: those it gave may be its own.
func (m *machine) encode(next *envelope) (p []byte, view apps.Body, err error) {
	if next.app, err = m.state.MarshalBinary(); err != nil {
		return nil, apps.Body{}, fmt.Errorf("encoding state: %w", err)
	}
	p = next.encode()
	next.app = p[len(p)-len(next.app):]
	return p, m.state.View(), nil
}

// swap calls the engine and tells its unknown outcomes, one of which is a panic.
func swap(ctx context.Context, engine engines.Engine, key engines.Key, rev uint64, p []byte) (next uint64, err error) {
	defer func() {
		if err != nil && !errors.Is(err, engines.ErrRefused) && !errors.Is(err, engines.ErrConflict) {
			err = fmt.Errorf("%w: %w", errUnknown, err)
		}
	}()
	defer recovered(&err)
	return engine.Swap(ctx, key, rev, p)
}

// undo brings the state back to what is stored.
func (m *machine) undo() {
	if m.state == nil {
		return
	}
	if err := m.restore(m.stored); err != nil {
		m.room.report(err)
	}
}

// forget lets the next commit load the state anew: what is stored is not known.
func (m *machine) forget() { m.state = nil }

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
