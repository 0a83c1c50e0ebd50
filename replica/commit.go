package replica

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
)

// waitLimit is how long a commit waits for the engine.
const waitLimit = 10 * time.Second

// Operation is a change of the state. With Refusal it is not applied: it only keeps a
// place in the order of the answers.
type Operation struct {
	Data    []byte // what is applied; if Refusal is by the app, its message or a hash of that
	Refusal error  // the answer of an operation that is not applied
	ByApp   bool   // Refusal is the app's answer: with an id it is kept like any other
	Wake    bool   // it is the room's own, since its state is to be woken; without Data
	Once    *Once  // nil: it has no id
	Said    *Said  // what is published, in a room that keeps messages
}

// Result is what came of one operation.
type Result struct {
	Outcome  apps.Outcome
	Version  uint64 // of the state after it
	Err      error  // why it is not in the state, an *Error unless it is of a Refusal or a panic; nil if it is stored
	Panicked bool   // Err is of a panic of the app
	Repeat   bool   // it had counted before: this is its first answer, or the present state as the reply

	present bool // the reply is to be the present state
	dated   bool // it is refused by what was known, or is to show it, and others may have changed that
}

// Commit applies operations and stores the state. The results stand in the order
// of the operations. It returns after ten seconds at the latest, or when ctx ends;
// operations that may be stored nevertheless then have [ErrUnknown], and no others are
// stored before the next Commit has settled that. A Commit without operations does
// only this.
func (r *Replica) Commit(ctx context.Context, batch []Operation) []Result {
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	results := make([]Result, len(batch))
	r.commit(ctx, batch, results)
	r.entering = nil // they are large, and have been handed on
	return results
}

// commit carries out a batch: anew when another process has stored something first,
// and in halves when it makes the state too big.
func (r *Replica) commit(ctx context.Context, batch []Operation, results []Result) {
	err := r.try(ctx, batch, results)
	for err == errBeaten && ctx.Err() == nil {
		clear(results)
		err = r.try(ctx, batch, results)
	}
	switch {
	case err == ErrTooBig && len(batch) > 1:
		clear(results)
		half := len(batch) / 2
		r.commit(ctx, batch[:half], results[:half])
		r.commit(ctx, batch[half:], results[half:])
		return
	case err == errBeaten:
		r.report(err)
		r.refuse(batch, results, ErrUnavailable)
	case err != nil:
		r.refuse(batch, results, err)
	}
	r.showPresent(results)
}

// errBeaten: another process has stored something first, and the state is as it has
// it. Nothing of the batch is stored.
var errBeaten = errors.New("storing room: other processes were always first")

// try applies a batch to what is stored and stores what comes of it. After an error the
// state is as stored; the error is one for clients, or errBeaten.
func (r *Replica) try(ctx context.Context, batch []Operation, results []Result) error {
	if err := r.ready(ctx); err != nil {
		return err
	}
	next, err := r.applyAll(batch, results)
	if err != nil {
		return err
	}
	if next.version == r.stored.version && !r.ids.changed {
		return r.confirm(ctx, results)
	}
	if _, keeps := r.journal(); keeps && r.rev == 0 {
		return r.found(ctx, next)
	}
	a, err := r.newAttemptOf(ctx, next)
	if err != nil {
		r.undo()
		return r.unavailable(err)
	}
	switch r.carryOut(ctx, &a) {
	case landed:
		return nil
	case beaten:
		return errBeaten
	case refused:
		r.undo()
		return r.unavailable(a.cause)
	case undecided:
		r.undo()
		r.postpone(a, batch, results)
	}
	r.report(a.cause)
	return ErrUnknown
}

// ready sees to it that what is stored is known, and the state is that.
func (r *Replica) ready(ctx context.Context) error {
	if ctx.Err() != nil {
		return ErrUnavailable
	}
	if err := r.settleLate(ctx); err != nil {
		return r.unavailable(err)
	}
	if r.state != nil {
		return nil
	}
	return r.unavailable(r.load(ctx))
}

// confirm sees to it that nothing is refused for an id by what another process has changed,
// or answered with a state that is not the present one, when there is nothing to store that
// would show it.
func (r *Replica) confirm(ctx context.Context, results []Result) error {
	if !slices.ContainsFunc(results, func(res Result) bool { return res.dated }) {
		return nil
	}
	found, rev, err := r.read(ctx)
	switch {
	case err != nil:
		return r.unavailable(err)
	case rev == r.rev && found.version == r.stored.version:
		return nil
	case rev != 0 && rev < r.rev: // an answer from before
		return ErrUnavailable
	}
	r.adopt(found, rev)
	return errBeaten
}

// unavailable returns what clients are told of an error, which it reports unless it is
// one for them.
func (r *Replica) unavailable(err error) error {
	switch err {
	case nil, ErrTooBig, ErrTooManyRooms, ErrUnavailable:
		return err
	}
	r.report(err)
	return ErrUnavailable
}

// applyAll applies what can be applied and returns the envelope to store, as yet
// without the app's bytes. After a panic the state is brought back and the other
// operations are applied again.
func (r *Replica) applyAll(batch []Operation, results []Result) (envelope, error) {
	next := r.stored
	r.date(&next)
	if !areWakes(batch) || r.rev == 0 {
		next.used = time.Now().Unix()
	}
	var panics map[int]error
	r.entering = r.entering[:0]
	for i := 0; i < len(batch); i++ {
		results[i] = r.applyOne(&batch[i], panics[i], &next)
		if !results[i].Panicked || panics[i] != nil {
			continue
		}
		r.undo()
		if r.state == nil {
			return next, ErrUnavailable
		}
		if panics == nil {
			panics = make(map[int]error)
		}
		panics[i] = results[i].Err
		next.version, i = r.stored.version, -1
	}
	next.events = next.events.with(results)
	return next, nil
}

// date gives an envelope the time of the room.
func (r *Replica) date(next *envelope) {
	wall := r.store.Clock()
	next.at = r.clock.now(wall)
	next.lag = max(next.at.Sub(wall), 0)
}

// applyOne carries out one operation and counts it in next, unless it has been counted
// before or must not be. What the app answers to an operation with an id is
// remembered.
func (r *Replica) applyOne(op *Operation, panicked error, next *envelope) Result {
	switch {
	case op.Refusal != nil && !op.ByApp:
		return Result{Err: op.Refusal}
	case op.Said != nil && op.Said.size() > r.store.Engine.MaxState()-maxEntryHeader:
		return Result{Err: ErrTooLong}
	case op.Once == nil:
		res := r.answer(op, panicked, next)
		r.enter(op, nil, &res, next)
		return res
	}
	m := op.mark()
	res, counts := r.judge(op.Once, m)
	if !counts {
		return res
	}
	res = r.answer(op, panicked, next)
	r.enter(op, &m, &res, next)
	r.remember(op.Once, m, next.version, res)
	return res
}

// answer returns the app's answer to an operation. One that is known to panic is left
// out.
func (r *Replica) answer(op *Operation, panicked error, next *envelope) (res Result) {
	switch {
	case op.Refusal != nil:
		return Result{Err: op.Refusal}
	case panicked != nil:
		return Result{Panicked: true, Err: panicked}
	}
	defer func() {
		if p := recover(); p != nil {
			res = Result{Panicked: true, Err: fmt.Errorf("panic on applying an operation: %v\n%s", p, debug.Stack())}
		}
	}()
	if op.Wake && !isDue(r.state, next.at) {
		return Result{Err: ErrNotDue}
	}
	outcome, err := r.state.Apply(apps.Op{Data: op.Data, At: next.at, Wake: op.Wake})
	if err != nil {
		return Result{Err: NewError(CodeRefused, false, err.Error())} // which may panic too
	}
	next.version++
	outcome.Events = r.nameEvents(outcome.Events)
	return Result{Outcome: outcome, Version: next.version}
}

// refuse gives the error to the operations that have no answer. An answer to an
// operation with an id counts only when it is stored.
func (r *Replica) refuse(batch []Operation, results []Result, err error) {
	for i, op := range batch {
		switch {
		case op.Refusal != nil && (!op.ByApp || op.Once == nil):
			results[i] = Result{Err: op.Refusal}
		case op.Once != nil:
			results[i] = r.refuseOnce(op, err)
		case results[i].Err == nil:
			results[i] = Result{Err: err}
		}
	}
}

// refuseOnce is refuse for an operation with an id. If it has been stored before, it
// has its answer all the same.
func (r *Replica) refuseOnce(op Operation, err error) Result {
	if res, _ := r.judge(op.Once, op.mark()); res.Repeat {
		return res
	}
	if err == ErrUnknown || r.unsettled.has(op.Once) {
		return Result{Err: ErrUnknownID}
	}
	return Result{Err: err}
}
