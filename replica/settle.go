package replica

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// The time between two looks at what has become of an attempt.
const (
	shortestPause = 10 * time.Millisecond
	longestPause  = time.Second
)

// lossPatience is how long an engine has to show a value that is older than the last one until
// it has lost that. For a moment a server may be behind.
const lossPatience = 5 * time.Second

// settle finds out what has become of an attempt that was not simply stored or refused,
// and sees to it that something does. A Swap of it can succeed only as long as the
// revision is the one that it replaces: nothing is decided until a newer one is seen,
// and until then the same bytes are swapped again. It gives up when ctx ends.
func (r *Replica) settle(ctx context.Context, a *attempt) fate {
	for pause := shortestPause; ctx.Err() == nil; pause = min(2*pause, longestPause) {
		if f := r.look(ctx, a); f != undecided {
			return f
		}
		f, rev := r.swap(ctx, a)
		if f == landed {
			r.adopt(a.value(), rev)
			r.fresh = append(r.fresh, a.said...)
		}
		if f != undecided {
			return f
		}
		sleep(ctx, pause)
	}
	if a.older != nil && time.Since(a.older.since) >= lossPatience {
		return r.goBack(a)
	}
	if !a.doubt { // all there was were conflicts
		return refused
	}
	return undecided
}

// goBack makes the state one that is older than the one that an attempt was to replace, since
// for long nothing else was found: the engine has lost what came after it. Whether the attempt
// was stored before that can no longer be found out.
func (r *Replica) goBack(a *attempt) fate {
	r.reportLoss(a.rev, a.older.rev)
	r.adopt(a.older.found, a.older.rev)
	if a.doubt {
		return lost
	}
	return beaten
}

func (r *Replica) reportLoss(last, left uint64) {
	r.report(fmt.Errorf("the engine has lost what was stored last: revision %d is followed by %d", last, left))
}

// older is a value of a room at a revision.
type older struct {
	found envelope
	rev   uint64
	since time.Time // for how long there has been nothing newer
}

// look decides over an attempt if what is stored now allows to. The state then is that.
func (r *Replica) look(ctx context.Context, a *attempt) fate {
	found, rev, err := r.read(ctx)
	a.noteOlder(found, rev, err)
	if err != nil && (rev <= a.rev || a.entries != nil || !errors.As(err, new(unreadable))) {
		a.cause = err
		return undecided
	}
	f := lost
	if err == nil {
		f = a.fate(found, rev)
	}
	switch {
	case f == undecided:
		return undecided
	case err != nil: // it cannot be read, now or later
		r.report(err)
		r.Unload()
	default:
		r.adopt(found, rev)
	}
	if f == lost && !a.doubt { // a conflict is certain
		return beaten
	}
	return f
}

// noteOlder keeps a value that is older than the one that is to be replaced, until another one
// is found. An engine that fails has not shown any.
func (a *attempt) noteOlder(found envelope, rev uint64, err error) {
	switch {
	case err == nil && 0 < rev && rev < a.rev:
		since := time.Now()
		if a.older != nil {
			since = a.older.since
		}
		a.older = &older{found, rev, since}
	case err == nil || rev > 0:
		a.older = nil
	}
}

// fate decides over an attempt by the value that is stored now, at a revision or, if
// that is 0, not at all.
func (a *attempt) fate(found envelope, rev uint64) fate {
	switch {
	case rev > 0 && rev < a.rev, a.entries == nil && rev == a.rev:
		return undecided
	case rev == 0, found.epoch != a.next.epoch:
		return lost // with the room that it was stored in, if it was
	case a.entries != nil && found.version <= a.after:
		return undecided
	}
	i := found.writers.index(a.writer.process)
	switch {
	case i < 0 && found.writers.mayMiss(a.next.writers):
		return lost
	case i < 0:
		return beaten
	}
	switch batch := found.writers[i].batch; {
	case batch == a.writer.batch:
		return landed
	case batch < a.writer.batch:
		return beaten
	}
	return lost // there is another replica of the room in this process
}

// adopt makes the state what was found stored. If it cannot be read it is loaded
// again by the next commit.
func (r *Replica) adopt(found envelope, rev uint64) {
	if err := r.goTo(found, rev); err != nil {
		r.report(err)
	}
}

// postpone leaves an attempt to the next commit.
func (r *Replica) postpone(a attempt, batch []Operation, results []Result) {
	a.results = append([]Result(nil), results...)
	a.ids = make(map[Once]bool)
	for _, op := range batch {
		if op.Once != nil {
			a.ids[op.Once.identity()] = true
		}
	}
	r.unsettled = &a
}

// identity returns what two sendings of one operation have in common.
func (o *Once) identity() Once { return Once{ID: o.ID, User: o.User} }

// has reports whether an operation is one of an attempt, which may be nil.
func (a *attempt) has(o *Once) bool { return a != nil && a.ids[o.identity()] }

// IsSettled reports whether it is known what has become of all operations, as far as
// that can be found out. While it is not, a Commit tries to, even without operations.
func (r *Replica) IsSettled() bool { return r.unsettled == nil }

// settleLate settles the attempt that an earlier commit has left, if there is one.
func (r *Replica) settleLate(ctx context.Context) error {
	a := r.unsettled
	if a == nil {
		return nil
	}
	version, total := r.stored.checkpoint, r.stored.checkTotal
	f := r.settle(ctx, a)
	if f == undecided {
		return fmt.Errorf("settling an outcome that is not known: %w", a.cause)
	}
	if a.rev == 0 {
		r.store.Limit.Recount()
	}
	r.unsettled = nil
	if f == landed {
		r.noteCheckpoint(version, total)
		r.keepLate(a.results)
	}
	return nil
}

// keepLate keeps the results of operations that are stored.
func (r *Replica) keepLate(results []Result) {
	for _, res := range results {
		if res.Err == nil && !res.Repeat {
			r.late = append(r.late, res)
		}
	}
}

// Late returns the results of operations that were answered with ErrUnknown and have
// been found stored since, each once. Their senders get no second answer, but others
// are to be told what they led to.
func (r *Replica) Late() []Result {
	late := r.late
	r.late = nil
	return late
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
