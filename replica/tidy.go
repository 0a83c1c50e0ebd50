package replica

import (
	"context"
	"time"
)

// The engine removes old messages in batches. First a checkpoint is stored, behind which no
// message is removed: a short history is not a short memory for ids. Then those go that were
// not kept any more ten seconds ago: a visitor that is still being sent what was kept when
// it came gets all of that, unless more than a room may keep has come since. Messages that could
// not be removed, or are in the way when the engine is full, go later without another checkpoint.
//
// Checkpoints are close together, since loading a room reads what has come behind the last one.
// Removing messages takes many reads: it is done further apart. Both are due where the version,
// or the size of all entries, goes past a multiple of a step: so a room that leaves memory
// between any two messages needs to remember nothing.

const (
	// How many messages come between two removals: a quarter of those that are kept, at least
	// and at most so many; or a quarter of the bytes that are kept.
	leastStep = 64
	mostStep  = 1024
	byteStep  = maxKeptMessages / 4

	// How many messages come between two checkpoints at most, or bytes of them.
	checkStep     = 256
	checkByteStep = 1 << 20

	// grace is how long a message can still be read after it is not kept any more.
	grace = 10 * time.Second
)

// Tidy stores a checkpoint when enough has come together. If it is time for that, it returns what
// removes the messages that are not kept any more: that may take long, and may be done at any
// time, also beside the replica. Else trim is nil. It reports what Touch does.
func (r *Replica) Tidy(ctx context.Context) (trim func(context.Context) error, another bool, err error) {
	if r.state == nil || r.rev == 0 { // what is stored is not known, or nothing is
		return nil, false, nil
	}
	past := r.Past()
	if r.unsettled != nil {
		return nil, false, nil
	}
	if past.Last >= r.tidyAgain && r.isUntidy(past) {
		r.tidyAgain = past.Last + leastStep // should it fail
		ctx, cancel := context.WithTimeout(ctx, waitLimit)
		defer cancel()
		if another, err = r.storeAnew(ctx, r.stored.used); err != nil || another || r.unsettled != nil {
			return nil, another, err
		}
		r.tidyAgain = 0
	}
	if r.trimDue {
		r.trimDue = false
		return r.trimmer(past), false, nil
	}
	return r.trimAgain(past), false, nil
}

// trimmer returns what removes the messages that are not kept any more.
func (r *Replica) trimmer(past Past) func(context.Context) error {
	checkpoint := r.stored.checkpoint
	r.trimmed = time.Now()
	return func(ctx context.Context) error {
		err := past.trim(ctx, checkpoint)
		r.untrimmed.Store(err != nil)
		return err
	}
}

// trimAgain is trimmer if there may be messages to remove without another checkpoint, since that
// has failed, or the engine has refused a message and may be full; else nil.
func (r *Replica) trimAgain(past Past) func(context.Context) error {
	if !r.untrimmed.Load() || time.Since(r.trimmed) < grace {
		return nil
	}
	return r.trimmer(past)
}

// trim removes the messages up to a version that are not kept any more.
func (p Past) trim(ctx context.Context, checkpoint uint64) error {
	if err := p.store.trimmers.enter(ctx); err != nil {
		return err
	}
	defer p.store.trimmers.leave()
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	upTo, err := p.expired(ctx)
	if err != nil || upTo == 0 {
		return err
	}
	return p.store.trim(ctx, p.key, p.epoch, min(upTo, checkpoint))
}

// steps returns how many messages of a room come between two removals, and between two
// checkpoints: the latter go into the former.
func (j Journal) steps() (trim, check uint64) {
	trim = uint64(min(max(j.Messages/4, leastStep), mostStep))
	check = min(trim, checkStep)
	return trim - trim%check, check
}

// passes reports whether there is a multiple of a step behind a number, up to another one.
func passes(before, now, step uint64) bool { return before/step != now/step }

// isUntidy reports whether another checkpoint is due.
func (r *Replica) isUntidy(past Past) bool {
	_, step := past.journal.steps()
	return passes(r.stored.checkpoint, past.Last, step) || passes(r.stored.checkTotal, past.total, checkByteStep)
}

// noteCheckpoint notes whether messages are to be removed, as the checkpoint was before at a
// version and a size of all entries.
func (r *Replica) noteCheckpoint(version, total uint64) {
	j, keeps := r.journal()
	if !keeps {
		return
	}
	step, _ := j.steps()
	if passes(version, r.stored.checkpoint, step) || passes(total, r.stored.checkTotal, byteStep) {
		r.trimDue = true
	}
}

// expired returns up to which version messages may be removed; 0 if none may.
func (p Past) expired(ctx context.Context) (upTo uint64, err error) {
	then, err := p.before(ctx, grace)
	if err != nil {
		return 0, err
	}
	if p.total-then.total > maxKeptMessages {
		then = p
	}
	oldest, err := then.oldest(ctx)
	return max(oldest, 1) - 1, err
}

// before returns the past as it was a time ago.
func (p Past) before(ctx context.Context, ago time.Duration) (Past, error) {
	_, first, err := p.log(ctx, p.Last, 0)
	if err != nil {
		return p, err
	}
	then, end := p, p.store.Clock().Add(-ago)
	later, err := p.search(ctx, first, func(k Kept) bool {
		if !k.At.After(end) {
			return false
		}
		then.total = min(then.total, k.before)
		return true
	})
	then.Last, then.ago = later-1, ago
	return then, err
}
