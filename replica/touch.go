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
	epoch, version := r.epoch, r.stored.version
	err = r.touch(ctx)
	r.spare = nil // nothing was stored for long: the next commit may be far away
	return r.epoch != epoch || r.stored.version != version || len(r.late) > 0, err
}

func (r *Replica) touch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	if err := r.ready(ctx); err != nil {
		return err
	}
	a, err := r.newAttempt(ctx, r.stored)
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
