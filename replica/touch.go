package replica

import (
	"context"
	"time"
)

// LastUse is when the room was last used, as far as is stored, to the second.
func (r *Replica) LastUse() time.Time { return time.Unix(r.stored.used, 0) }

// Touch stores that the room is used now, unless it is stored that it was used within
// step, or nothing is stored. It reports whether the snapshot is another one now, or
// there are results for Late. Afterwards the replica may be not settled. It returns
// after ten seconds at the latest.
func (r *Replica) Touch(ctx context.Context, step time.Duration) (another bool, err error) {
	if r.rev == 0 || time.Since(r.LastUse()) < step {
		return false, nil
	}
	return r.storeAnew(ctx, time.Now().Unix())
}

// storeAnew stores the state as it is stored, used at a time, and reports what Touch does.
func (r *Replica) storeAnew(ctx context.Context, used int64) (another bool, err error) {
	epoch, version := r.epoch, r.stored.version
	err = r.restamp(ctx, used)
	r.spare = nil // nothing was stored for long: the next commit may be far away
	return r.epoch != epoch || r.stored.version != version || len(r.late) > 0, err
}

func (r *Replica) restamp(ctx context.Context, used int64) error {
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	if err := r.ready(ctx); err != nil {
		return err
	}
	next := r.stored
	next.used = used
	a, err := r.newAttempt(ctx, next)
	if err != nil {
		r.undo()
		return err
	}
	switch r.carryOut(ctx, &a) {
	case landed, beaten: // then somebody else has just used it
		return nil
	case undecided:
		r.postpone(a, nil, nil)
	}
	r.undo()
	return a.cause
}
