package room

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddyws/caddy-websocket/replica"
)

// alarm has the state of a room woken when its time has come (apps.Waker). As long as
// the room is in memory it sets itself a timer; for other rooms, see package hub.
//
// After a wake the room is not woken for a second, or, if the wake has failed, for ever
// longer, up to a minute. If it is due again within that time it stays in memory.
type alarm struct {
	// Set by the turn, with Room.mu held.
	timer *time.Timer // nil if none was ever set
	at    time.Time   // when the state is to be woken, by the machine's clock; zero if never

	resting bool // restOn is under way; guarded by Room.mu

	// Owned by the turn, or the loader.
	rest  time.Duration // after the last wake
	until time.Time     // its end
}

const (
	shortestRest = time.Second
	longestRest  = time.Minute

	// longestAlarm bounds the timer: the clock may be set meanwhile.
	longestAlarm = time.Minute

	// wakePatience is how long visitors of a room that is just loaded wait for a wake
	// that is overdue.
	wakePatience = time.Second
)

// setAlarm sets the alarm for the state as of the last commit.
func (r *Room) setAlarm() {
	wait, pending := r.replica.Wake()
	if !pending && r.alarm.timer == nil {
		return
	}
	at := r.replica.WakeTime()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.arm(wait, at)
}

// arm sets the alarm for a state that is to be woken after a while, when the machine's
// clock shows at; zero if never. mu is held.
func (r *Room) arm(wait time.Duration, at time.Time) {
	rest := time.Until(r.alarm.until)
	r.alarm.stop()
	r.alarm.at = at
	switch {
	case at.IsZero() || r.alarm.resting || r.route.HasEnded():
	case rest > 0 && wait <= rest:
		r.alarm.resting = true
		r.Retain()
		r.shared.Go(func() { r.restOn(rest) })
	case r.alarm.timer == nil:
		r.alarm.timer = time.AfterFunc(min(wait, longestAlarm), r.ring)
	default:
		r.alarm.timer.Reset(min(wait, longestAlarm))
	}
}

// restOn keeps the room in memory until the end of its rest.
func (r *Room) restOn(rest time.Duration) {
	defer r.Release()
	r.shared.sleep(rest)
	r.mu.Lock()
	r.alarm.resting = false
	r.mu.Unlock()
	if !r.shared.isClosing() {
		r.ring()
	}
}

// stop stops the timer. Room.mu is held.
func (a *alarm) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
}

// ring has a turn taken in which the state is woken if its time has come.
func (r *Room) ring() { r.take(func(c *chores) { c.wake = true }) }

// take has a turn taken with a chore, if the room is loaded.
func (r *Room) take(add func(*chores)) {
	r.mu.Lock()
	if r.last.epoch == "" || r.retired {
		r.mu.Unlock()
		return
	}
	add(&r.chores)
	r.engage()
	r.mu.Unlock()
	r.kick()
}

// mayWake reports whether the state is to be woken in this turn. Without a route whose
// options hold for that, the room waits.
func (r *Room) mayWake() bool {
	if !r.stateful {
		return false
	}
	wait, pending := r.replica.Wake()
	return pending && wait == 0 && time.Until(r.alarm.until) <= 0 && !r.Route().HasEnded()
}

// woken notes what came of a wake: the room rests.
func (r *Room) woken(res replica.Result) {
	switch {
	case res.Err == nil, res.Err == replica.ErrNotDue: // or a state that tells another time each time would be asked without end
		r.alarm.rest = shortestRest
	default:
		r.reportWake(res.Err)
		r.alarm.rest = min(max(2*r.alarm.rest, shortestRest), longestRest)
	}
	r.alarm.until = time.Now().Add(r.alarm.rest)
}

// reportWake reports why a wake has failed, unless the replica has.
func (r *Room) reportWake(err error) {
	if e, ok := errors.AsType[*replica.Error](err); ok && (e.Code == replica.CodeUnavailable || e.Code == replica.CodeUnknown) {
		return
	}
	r.report(fmt.Errorf("waking the room: %w", err))
}

// wakeFirst wakes the state of a room that has just been loaded: what was to be done before
// is done before visitors see the state, unless that takes long.
func (r *Room) wakeFirst(ctx context.Context) {
	r.takeAndWait(ctx, func(c *chores) { c.wake = true }, wakePatience)
}

// takeAndWait has a turn taken with a chore, and waits for its end, unless that takes long. It
// reports whether the turn has ended.
func (r *Room) takeAndWait(ctx context.Context, add func(*chores), patience time.Duration) bool {
	var done chan struct{}
	r.take(func(c *chores) {
		add(c)
		if c.waited == nil {
			c.waited = make(chan struct{})
		}
		done = c.waited
	})
	if done == nil { // the room is not loaded
		return false
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// Wake returns when the state is to be woken, by the machine's clock; zero if never.
func (r *Room) Wake() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.alarm.at
}

// Indexed returns when the engine has the room woken, or up to some milliseconds before; zero
// if never, as far as that is known. No turn is under way.
func (r *Room) Indexed() time.Time {
	if !r.IsStored() {
		return time.Time{}
	}
	return r.replica.Indexed()
}

// Remind has it stored when the state is to be woken, if the engine has the room woken at
// another time. It does not wait. The caller has a reference.
func (r *Room) Remind(found time.Time) { r.take(func(c *chores) { c.remind = found }) }

// remind is the turn of Remind; found is zero if the engine was not asked.
func (r *Room) remind(ctx context.Context, found time.Time) {
	r.stored(r.replica.Remind(ctx, found))
}
