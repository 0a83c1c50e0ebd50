package replica

import (
	"context"
	"time"
)

// The engine removes old messages in batches. A message that is not kept any more leaves the
// log some time later: after ten seconds at the earliest, so that a visitor that is still
// being sent what was kept when it came gets all of that, unless more than a room may keep
// has come since. Before messages are removed a checkpoint is stored, behind which no
// message is: a short history is not a short memory for ids.

// tidiness is how things stand with the messages that are to go.
type tidiness struct {
	epoch string // of the life that the rest is of

	// As of the last look.
	version uint64
	total   uint64

	// What was the oldest message at a time; those before may go ten seconds later.
	oldest uint64
	since  time.Time
	then   uint64 // the total at that time
}

const (
	// How many messages come between two looks: a quarter of those that are kept, within
	// these bounds; or this many bytes.
	leastStep = 64
	mostStep  = 1024
	byteStep  = 1 << 20

	// grace is how long a message can still be read after it is not kept any more.
	grace = 10 * time.Second
)

// Tidy removes messages that are not kept any more, when there may be enough of them. It
// reports what Touch does.
func (r *Replica) Tidy(ctx context.Context) (another bool, err error) {
	past := r.Past()
	t := &r.tidiness
	if t.epoch != r.stored.epoch {
		*t = tidiness{epoch: r.stored.epoch, version: r.stored.checkpoint}
	}
	step := min(max(past.journal.Messages/4, leastStep), mostStep)
	if r.unsettled != nil || past.Last < t.version+uint64(step) && past.total < t.total+byteStep {
		return false, nil
	}
	t.version, t.total = past.Last, past.total
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	oldest, err := past.Oldest(ctx)
	if err != nil {
		return false, err
	}
	upTo := t.expired(oldest, past.total)
	if r.stored.checkpoint < upTo || past.Last-r.stored.checkpoint >= mostStep {
		if another, err = r.storeAnew(ctx, r.stored.used); err != nil {
			return another, err
		}
	}
	if upTo == 0 || r.stored.checkpoint < upTo {
		return another, nil
	}
	return another, r.store.trim(ctx, r.key, past.epoch, upTo)
}

// expired returns up to which version messages may be removed; 0 if none may.
func (t *tidiness) expired(oldest, total uint64) (upTo uint64) {
	now := time.Now()
	switch {
	case t.since.IsZero():
		t.oldest, t.since, t.then = oldest, now, total
		return 0
	case total-t.then > maxKeptMessages:
		upTo = oldest - 1
	case now.Sub(t.since) < grace:
		return 0
	default:
		upTo = t.oldest - 1
	}
	t.oldest, t.since, t.then = oldest, now, total
	return upTo
}
