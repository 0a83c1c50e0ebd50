package replica

import (
	"context"
	"errors"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
)

// ErrNotDue is of a wake that has met a state that is not to be woken, or not yet.
var ErrNotDue = errors.New("the room is not to be woken now")

// wakeOf returns when a state is to be woken; zero if never.
func wakeOf(state apps.State) time.Time {
	if w, ok := state.(apps.Waker); ok {
		return w.Wake()
	}
	return time.Time{}
}

// isDue reports whether a state is to be woken at a time.
func isDue(state apps.State, at time.Time) bool {
	wake := wakeOf(state)
	return !wake.IsZero() && !wake.After(at)
}

// Wake returns how long it takes until the state as of the last commit is to be woken: 0
// if that time has come. It is not, unless pending.
func (r *Replica) Wake() (wait time.Duration, pending bool) {
	if r.wake.IsZero() {
		return 0, false
	}
	return r.clock.until(r.wake, r.store.Clock()), true
}

// WakeTime returns when the machine's clock shows that the state as of the last commit is
// to be woken; zero if never.
func (r *Replica) WakeTime() time.Time { return r.wakeTime(r.wake) }

func (r *Replica) wakeTime(wake time.Time) time.Time {
	if wake.IsZero() {
		return wake
	}
	now := r.store.Clock()
	if r.clock.now(now).Equal(now.Round(0)) {
		return wake
	}
	return now.Add(r.clock.until(wake, now))
}

// indexOf returns when the engine is to have a room woken: with its state, or, as long as
// events are to be told outside of it, since they have happened. That is by the machine's
// clock.
func (r *Replica) indexOf(e *envelope, wake time.Time) time.Time {
	at := r.wakeTime(wake)
	if happened := e.at.Add(-e.lag); e.events.Told < e.events.Total && (at.IsZero() || happened.Before(at)) {
		return happened
	}
	return at
}

// Remind stores when the state is to be woken if the engine does not know it, because the
// options of the app have changed. found is when the engine has it woken, or zero if it
// was not asked. It reports what Touch does.
func (r *Replica) Remind(ctx context.Context, found time.Time) (another bool, err error) {
	if !found.IsZero() && r.bytes == nil { // nothing of this replica's was stored since
		r.index = found
	}
	if wake := r.indexOf(&r.stored, r.wake); r.rev == 0 || r.unsettled != nil || wake.IsZero() == r.index.IsZero() && wake.Sub(r.index).Abs() <= indexStep {
		return false, nil
	}
	return r.storeAnew(ctx, r.stored.used)
}

// Indexed returns when the engine has the room woken, or up to indexStep before; zero if
// never, as far as that is known.
func (r *Replica) Indexed() time.Time {
	if r.index.IsZero() {
		return r.index
	}
	return r.index.Add(-indexStep)
}

// indexStep is how exactly an engine knows when a room is to be woken.
const indexStep = 2 * time.Millisecond

// areWakes reports whether nobody uses the room by any of the operations.
func areWakes(batch []Operation) bool {
	for i := range batch {
		if !batch[i].Wake {
			return false
		}
	}
	return true
}
