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

const (
	// How many messages come between two checkpoints: a quarter of those that are kept,
	// within these bounds; or this many bytes.
	leastStep = 64
	mostStep  = 256
	byteStep  = 1 << 18

	// grace is how long a message can still be read after it is not kept any more.
	grace = 10 * time.Second
)

// Tidy stores a checkpoint when enough has come together. Then it returns what removes the
// messages that are not kept any more: that may take long, and may be done at any time, also
// beside the replica. Else trim is nil. It reports what Touch does.
func (r *Replica) Tidy(ctx context.Context) (trim func(context.Context) error, another bool, err error) {
	if r.state == nil || r.rev == 0 { // what is stored is not known, or nothing is
		return nil, false, nil
	}
	past := r.Past()
	switch {
	case r.unsettled != nil:
		return nil, false, nil
	case past.Last < r.tidyAgain, !r.isUntidy(past):
		return r.trimAgain(past), false, nil
	}
	r.tidyAgain = past.Last + leastStep // should it fail
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	if another, err = r.storeAnew(ctx, r.stored.used); err != nil || another || r.unsettled != nil {
		return nil, another, err
	}
	r.tidyAgain = 0
	return r.trimmer(past), false, nil
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
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	upTo, err := p.expired(ctx)
	if err != nil || upTo == 0 {
		return err
	}
	return p.store.trim(ctx, p.key, p.epoch, min(upTo, checkpoint))
}

// isUntidy reports whether much has come since the last checkpoint.
func (r *Replica) isUntidy(past Past) bool {
	step := min(max(past.journal.Messages/4, leastStep), mostStep)
	return past.Last-r.stored.checkpoint >= uint64(step) || past.total-r.stored.checkTotal >= byteStep
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
	oldest, err := then.Oldest(ctx)
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
