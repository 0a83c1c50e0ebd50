package replica

import (
	"context"
	"fmt"
)

// Refresh makes the state what is stored if another process has stored it under a revision
// that is not known yet. It reports what Touch does. Afterwards the replica may be not
// settled. It returns after ten seconds at the latest.
func (r *Replica) Refresh(ctx context.Context, rev uint64) (another bool, err error) {
	if rev <= r.rev {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	epoch, version := r.epoch, r.stored.version
	err = r.refresh(ctx, rev)
	return r.epoch != epoch || r.stored.version != version || len(r.late) > 0, err
}

func (r *Replica) refresh(ctx context.Context, rev uint64) error {
	if err := r.settleLate(ctx); err != nil || rev <= r.rev {
		return err
	}
	found, now, err := r.read(ctx)
	switch {
	case err != nil:
		return err
	case now == 0 && r.rev == 0, now != 0 && now <= r.rev: // an answer from before
		return nil
	}
	if err := r.goTo(found, now); err != nil {
		return fmt.Errorf("reading what another process has stored: %w", err)
	}
	return nil
}
