package replica

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddyws/caddy-websocket/engines"
)

// A room that keeps messages stores them in the log of the engine. Its value has what the
// log does not tell at a glance: ids and writers up to a version, the checkpoint. What
// comes behind that is found in the entries.

// enter notes what an operation adds to the log, in a room that has one: its message, or an
// answer that is to be remembered. It takes the next version.
func (r *Replica) enter(op *Operation, m *mark, res *Result, next *envelope) {
	if _, ok := r.journal(); !ok || res.Err != nil && m == nil {
		return
	}
	e := entry{Kept: Kept{At: next.at}}
	switch {
	case res.Err != nil:
		next.version++
		res.Version = next.version
		text := res.Err.Error()
		e.Silent, e.Text = true, []byte(text[:min(len(text), maxAnswer+1)]) // a longer answer is not kept
	case op.Said != nil:
		e.Said = *op.Said
	}
	if m != nil {
		e.once = &remembered{*m, ownerOf(op.Once.User, op.Once.Network)}
	}
	e.Version = next.version
	r.entering = append(r.entering, e)
}

// newAppend encodes the entries of a batch that has been applied.
func (r *Replica) newAppend(next envelope) (a attempt, err error) {
	defer recovered(&err)
	state := r.state.(*journalState)
	a = attempt{rev: r.rev, after: r.stored.version, writer: r.store.process.next(), index: r.index}
	size := 0
	for i := range r.entering {
		e := &r.entering[i]
		e.before = state.total
		if i == 0 {
			e.writer = &a.writer
		}
		p := e.encode()
		size += len(p)
		state.total += uint64(len(p))
		a.entries, a.said = append(a.entries, p), append(a.said, e.Kept)
	}
	if size > r.store.Engine.MaxState() {
		return a, ErrTooBig
	}
	next.used, next.route = r.stored.used, r.stored.route // as the value has them
	if next.app, err = state.MarshalBinary(); err != nil {
		return a, err
	}
	a.bytes = next.encode(r.spare, a.writer, &r.ids) // to go back to, should the next batch fail
	a.next, r.spare = next, nil
	return a, nil
}

// newAttemptOf encodes what a batch has led to.
func (r *Replica) newAttemptOf(ctx context.Context, next envelope) (attempt, error) {
	if _, keeps := r.journal(); keeps {
		return r.newAppend(next)
	}
	return r.newAttempt(ctx, next)
}

// found stores a room that keeps messages before its first one. Then, with errBeaten, the
// batch is to be applied to that.
func (r *Replica) found(ctx context.Context, next envelope) error {
	r.undo()
	if r.state == nil {
		return ErrUnavailable
	}
	first := r.stored
	first.at, first.lag, first.used = next.at, next.lag, next.used
	a, err := r.newAttempt(ctx, first)
	if err != nil {
		return r.unavailable(err)
	}
	switch r.carryOut(ctx, &a) {
	case landed, beaten:
		return errBeaten
	case undecided:
		r.postpone(a, nil, nil)
	}
	r.undo()
	return r.unavailable(a.cause)
}

// read returns what is stored of the room, with all that its log has. If the log has lost
// something, that is a new life of the room.
func (r *Replica) read(ctx context.Context) (found envelope, rev uint64, err error) {
	if found, rev, err = r.readOnce(ctx); errors.Is(err, errTorn) {
		return r.beginAnew(ctx)
	}
	return found, rev, err
}

// readOnce is read for a log that has lost nothing; else the error is errTorn.
func (r *Replica) readOnce(ctx context.Context) (found envelope, rev uint64, err error) {
	for range foldTries {
		found, rev, err = r.store.read(ctx, r.key)
		if _, keeps := r.journal(); err != nil || rev == 0 || !keeps {
			return found, rev, err
		}
		switch {
		case rev == r.torn.rev:
			err = errTorn
		case rev == r.rev && found.epoch == r.stored.epoch: // the checkpoint is known, and what was behind it
			found, err = r.grown(ctx)
		default:
			err = r.fold(ctx, &found)
		}
		if !errors.Is(err, errTorn) {
			break
		}
	}
	return found, rev, err
}

// foldTries is how often a room is read when another process moves its checkpoint and trims
// its log meanwhile.
const foldTries = 3

// fold adds to what a value has what the log has behind it. Its tail also has the messages
// that this replica has not seen.
func (r *Replica) fold(ctx context.Context, e *envelope) error {
	var state journalState
	if err := state.UnmarshalBinary(e.app); err != nil {
		return unreadable{err}
	}
	e.checkTotal = state.total
	at := e.version
	switch r.stored.epoch {
	case "": // the room is loaded, and nobody has been told anything
	case e.epoch:
		at = min(at, r.stored.version)
	default:
		at = 0
	}
	return r.foldBehind(ctx, e, at)
}

// foldBehind is fold for what comes behind a version.
func (r *Replica) foldBehind(ctx context.Context, e *envelope, at uint64) error {
	if err := r.store.folders.enter(ctx); err != nil {
		return err
	}
	defer r.store.folders.leave()
	for {
		next, last, err := r.foldPage(ctx, e, at)
		if err != nil || next >= last {
			return err
		}
		if at = next; e.skipped { // what is up to the checkpoint is of no use then
			at = max(at, min(e.checkpoint, last))
		}
	}
}

// foldPage adds a page of entries behind a version. It returns the version of the last one,
// and the newest there is.
func (r *Replica) foldPage(ctx context.Context, e *envelope, at uint64) (next, last uint64, err error) {
	entries, first, last, err := r.store.readLog(ctx, r.key, e.epoch, at, engines.MaxEntries)
	if err != nil {
		return 0, 0, err
	}
	next = max(at, first-1) // those up to the checkpoint may be gone
	if next > e.version || last < e.version || len(entries) == 0 && next < last {
		return 0, 0, errTorn
	}
	for _, p := range entries {
		next++
		if err := e.add(next, p); err != nil {
			return 0, 0, err
		}
	}
	return next, last, nil
}

// add adds an entry to the tail and, if it is behind the checkpoint, to what the envelope
// tells.
func (e *envelope) add(version uint64, p []byte) error {
	found, err := parseEntry(version, p)
	if err != nil {
		return unreadable{fmt.Errorf("version %d: %w", version, err)}
	}
	if found.isProbe() {
		return errTorn
	}
	e.tail = append(e.tail, found)
	if e.tailSize += found.memory(); e.tailSize > maxFresh {
		e.skipped = true
		e.shorten()
	}
	if version <= e.version {
		return nil
	}
	e.total = found.before + uint64(found.size)
	e.version, e.at, e.lag = version, later(found.At, e.at), 0
	if found.writer != nil {
		e.writers = e.writers.with(*found.writer)
	}
	return nil
}

// takeTail makes what the tail of an envelope tells a part of the state and the ids, which
// are those of the checkpoint.
func (r *Replica) takeTail(e *envelope) (err error) {
	state, ok := r.state.(*journalState)
	if !ok || e.total == 0 {
		e.tail, e.tailSize, e.skipped = nil, 0, false
		return nil
	}
	state.total = e.total
	for i := range e.tail {
		if t := &e.tail[i]; t.Version > e.checkpoint && t.once != nil {
			r.keepMark(t.once.owner, t.once.mark, t.Version, t.result())
		}
	}
	e.tail, e.tailSize, e.total, e.skipped = nil, 0, 0, false
	if e.ids = nil; !r.ids.empty() {
		e.ids = r.ids.appendTo(nil)
	}
	r.ids.changed = false
	e.app, err = state.MarshalBinary()
	return err
}
