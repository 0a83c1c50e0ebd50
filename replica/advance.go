package replica

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Advance makes the state what is stored, if another process has added messages to the log of
// an epoch, up to a version that is not known yet. It is for those what Refresh is for values,
// but reads only what is new.
func (r *Replica) Advance(ctx context.Context, epoch string, version uint64) (another bool, err error) {
	if _, keeps := r.journal(); !keeps || r.knows(epoch, version) {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	was, before := r.epoch, r.stored.version
	err = r.advance(ctx, epoch, version)
	return r.epoch != was || r.stored.version != before || len(r.late) > 0, err
}

// Reread makes the state what is stored, whatever is known of other processes. It reports what
// Touch does, and returns after ten seconds at the latest. [ErrOlder] is of an engine that may
// have lost something: Reread accepts that if it is called again five seconds later.
func (r *Replica) Reread(ctx context.Context) (another bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	epoch, version := r.epoch, r.stored.version
	err = r.reread(ctx)
	return r.epoch != epoch || r.stored.version != version || len(r.late) > 0, err
}

func (r *Replica) reread(ctx context.Context) error {
	if err := r.settleLate(ctx); err != nil {
		return err
	}
	found, rev, err := r.read(ctx)
	switch {
	case err != nil:
		return err
	case r.isOlder(rev):
		return ErrOlder
	case rev == r.rev && found.version == r.stored.version:
		return nil
	case rev != 0 && rev < r.rev:
		r.reportLoss(r.rev, rev)
	}
	if err := r.goTo(found, rev); err != nil {
		return fmt.Errorf("reading what is stored: %w", err)
	}
	return nil
}

// ErrOlder reports that an engine shows what was stored before that which is known: for a moment,
// or because it has lost that.
var ErrOlder = errors.New("what is stored is older than what is known")

// isOlder reports whether a revision that was read is older than the one that is known, but has
// not been so for long.
func (r *Replica) isOlder(rev uint64) bool {
	switch {
	case rev == 0 || rev >= r.rev:
		r.older = time.Time{}
		return false
	case r.older.IsZero():
		r.older = time.Now()
	}
	return time.Since(r.older) < lossPatience
}

func (r *Replica) knows(epoch string, version uint64) bool {
	return epoch == r.stored.epoch && version <= r.stored.version
}

func (r *Replica) advance(ctx context.Context, epoch string, version uint64) error {
	if err := r.settleLate(ctx); err != nil || r.knows(epoch, version) {
		return err
	}
	found, rev := r.stored, r.rev
	err := errTorn
	if epoch == r.stored.epoch && r.rev > 0 {
		found, err = r.grown(ctx)
	}
	if errors.Is(err, errTorn) {
		found, rev, err = r.read(ctx)
	}
	if err != nil {
		return err
	}
	if err := r.goTo(found, rev); err != nil {
		return fmt.Errorf("reading what another process has stored: %w", err)
	}
	return nil
}

// grown returns what is stored if nothing but the log has changed. If the log has lost what
// is known, that is an errTorn.
func (r *Replica) grown(ctx context.Context) (envelope, error) {
	found := r.stored
	found.tail, found.tailSize, found.total, found.skipped = nil, 0, 0, false
	found.writers = slices.Clone(found.writers) // an attempt that is to be judged has those before
	return found, r.foldBehind(ctx, &found, found.version)
}
