package hub

import (
	"context"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// Stored rooms are woken when the engine says that they are due (apps.Waker), also if
// nobody is in them. A room in memory sees to that itself, so for one that is due it is
// enough to load it.
//
// A room is loaded with the options of the route that has last stored it. As long as
// there is no such route it waits: after each reload all rooms that are due are looked
// at again. So are, after a reload and a start, those whose wake is still to come, a few
// at a time, since the options may tell another time than before.
//
// What other processes store in a shared engine nobody tells the waker. It looks at least
// once in longestSleep, and then also for wakes that were due up to as long before it last
// did so: the clock of the other may be behind, or storing the wake may have taken a while.
//
// The engine may have a room woken at another time than the room itself would be: its clock
// differs from the machine's, its wake lies in the past, or storing it has failed. So a room
// that leaves memory before it was woken is looked for again at its own time, from that of
// the engine on.

const (
	// wakePage is how many rooms an engine is asked for at once, and wakers how many
	// are loaded at the same time.
	wakePage = 1000
	wakers   = 32

	// reviewPage is how many rooms are looked at in each reviewPause after a reload.
	reviewPage  = 100
	reviewPause = 100 * time.Millisecond

	// longestSleep bounds how long the clock is trusted, and how late it is found what other
	// processes have stored.
	longestSleep = time.Minute

	// longestStagger bounds how much later a process looks that has others beside it.
	longestStagger = 500 * time.Millisecond

	// The pause before rooms that could not be woken are tried again grows.
	shortestRetry = time.Second
	longestRetry  = time.Minute

	// wakeTimeout bounds how long waking a room waits for the engine.
	wakeTimeout = 10 * time.Second
)

// eternity is later than every wake.
var eternity = time.Unix(1<<40, 0)

// waker wakes the stored rooms of a hub.
type waker struct {
	hub     *Hub
	changed chan struct{} // there may be more to do than was known; never closed

	// Guarded by Hub.mu.
	next time.Time // when run looks by itself; zero: not before something changes
	left departure

	// Owned by run.
	routes *[]*route.Route // those for which what follows holds
	done   time.Time       // rooms that were due before are in memory, wait for their route, or have failed
	back   time.Time       // when it was last looked for what others have stored meanwhile
	review *engines.Wake   // behind which options are to be looked at; nil: no more
	retry  time.Duration   // the pause before what has failed is tried again; 0 if nothing has
	again  time.Time       // its end, by the machine's clock
}

// departure is of the rooms that have left memory before they were woken. It is zero if none
// have.
type departure struct {
	indexed time.Time // the earliest time at which the engine has one of them woken
	due     time.Time // the earliest time at which one of them is to be woken
}

// run wakes rooms as long as the hub lives.
func (w *waker) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-w.changed:
		case <-w.hub.closing:
			return
		}
		w.setNext(time.Time{}) // what changes from now on is heard of
		next := w.work()
		w.setNext(next)
		timer.Stop()
		if !next.IsZero() {
			timer.Reset(min(next.Sub(w.hub.store.Clock()), longestSleep) + w.stagger())
		}
	}
}

// stagger returns how long to wait for other processes to be first; 0 if there are none.
func (w *waker) stagger() time.Duration {
	if !w.hub.shared.HasOthers() {
		return 0
	}
	return rand.N(longestStagger) //nolint:gosec // not a secret
}

func (w *waker) setNext(at time.Time) {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	w.next = at
}

// noteUnloaded is for a room that has just left memory. Hub.mu is held.
func (w *waker) noteUnloaded(r *room.Room) {
	at := r.Wake()
	if at.IsZero() {
		return
	}
	if indexed := r.Indexed(); !indexed.IsZero() {
		w.left = departure{earliest(w.left.indexed, indexed), earliest(w.left.due, at)}
	}
	if w.next.IsZero() || at.Before(w.next) {
		w.look()
	}
}

// lookBack has the rooms that have left memory looked for again if the time of one has come.
// Otherwise it returns when it comes; zero if there is none.
func (w *waker) lookBack(now time.Time) (due time.Time) {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	if w.left.due.IsZero() || now.Before(w.left.due) {
		return w.left.due
	}
	if w.left.indexed.Before(w.done) {
		w.done = w.left.indexed
	}
	w.left = departure{}
	return time.Time{}
}

// look has run look at once.
func (w *waker) look() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// work wakes the rooms that are due and returns when there is more to do; zero if that
// is not known.
func (w *waker) work() time.Time {
	if routes := w.hub.routes.Load(); w.routes != routes {
		w.routes, w.done, w.review = routes, time.Time{}, new(engines.Wake)
	}
	now := w.hub.store.Clock()
	if now.Before(w.done) || w.retry > 0 && !now.Before(w.again) { // it was set back, or it is time to try again
		w.done = time.Time{}
	}
	due := w.lookBack(now)
	next, err := w.workOn(now)
	if err != nil {
		w.hub.log().Error("looking for rooms to wake", zap.Error(err))
		w.failed(now)
		return w.again
	}
	next = earliest(next, due)
	if w.review != nil {
		next = earliest(next, now.Add(reviewPause))
	}
	if w.retry > 0 {
		next = earliest(next, w.again)
	}
	if w.hub.shared.HasOthers() {
		next = earliest(next, w.back.Add(longestSleep))
	}
	return next
}

// workOn is work at a time. It returns when the next room is due; zero if none is. An error
// is that of the engine, which does not say which rooms are.
func (w *waker) workOn(now time.Time) (next time.Time, err error) {
	well, err := w.wakeDue(now)
	if err != nil {
		return time.Time{}, err
	}
	if w.review != nil {
		if err := w.lookAtSome(); err != nil {
			return time.Time{}, err
		}
	}
	next, err = w.upcoming()
	if err == nil && well {
		w.retry = 0
	}
	return next, err
}

// earliest returns the earlier one of two times, of which the zero time is none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// failed has all rooms that are due looked at again after a pause. Meanwhile others become
// due, and are not held up by those that fail.
func (w *waker) failed(now time.Time) {
	if w.retry > 0 && now.Before(w.again) {
		return
	}
	w.retry = min(max(2*w.retry, shortestRetry), longestRetry)
	w.again = now.Add(w.retry)
}

// wakeDue wakes the rooms that are due, and reports whether these were all that there are,
// and went well.
func (w *waker) wakeDue(now time.Time) (allWell bool, err error) {
	all, well, before := w.done.IsZero(), true, now.Add(1) // what is due now, too
	for last := (engines.Wake{At: w.from(now)}); !isClosed(w.hub.closing); {
		page, err := w.due(before, last, wakePage)
		if err != nil {
			return false, err
		}
		well = w.wakeAll(page) && well
		if len(page) < wakePage {
			break
		}
		last = page[len(page)-1]
	}
	w.done = before
	if !well {
		w.failed(now)
	}
	return all && well, nil
}

// from returns behind which time rooms that are due are looked for.
func (w *waker) from(now time.Time) time.Time {
	before := w.back
	switch {
	case w.done.IsZero():
		w.back = now
	case w.hub.shared.HasOthers() && now.Sub(before) >= longestSleep:
		w.back = now
		return earliest(w.done, before.Add(-longestSleep))
	}
	return w.done
}

// upcoming returns when the next room is due; zero if none is.
func (w *waker) upcoming() (time.Time, error) {
	page, err := w.due(eternity, engines.Wake{At: w.done}, 1)
	if err != nil || len(page) == 0 {
		return time.Time{}, err
	}
	return page[0].At, nil
}

// lookAtSome looks at some of the rooms that are not due yet.
func (w *waker) lookAtSome() error {
	if w.review.At.Before(w.done) {
		w.review = &engines.Wake{At: w.done}
	}
	page, err := w.due(eternity, *w.review, reviewPage)
	if err != nil {
		return err
	}
	w.wakeAll(page)
	if w.review = nil; len(page) == reviewPage {
		w.review = &page[len(page)-1]
	}
	return nil
}

func (w *waker) due(before time.Time, after engines.Wake, n int) (page []engines.Wake, err error) {
	defer recovered(&err)
	ctx, cancel := context.WithTimeout(w.hub.over, wakeTimeout)
	defer cancel()
	return w.hub.store.Engine.Due(ctx, before, after, n)
}

// wakeAll loads rooms and reports whether all went well.
func (w *waker) wakeAll(page []engines.Wake) (well bool) {
	var loading errgroup.Group
	loading.SetLimit(wakers)
	for _, wake := range page {
		loading.Go(func() error {
			err := w.wake(wake)
			if err != nil && err != errLeaving {
				w.hub.log().Error("waking a room", zap.String("app", wake.Key.App), zap.String("room", wake.Key.Room), zap.Error(err))
			}
			return err
		})
	}
	return loading.Wait() == nil
}

// wake loads a room, which is then woken when its time has come, unless its route is
// gone.
func (w *waker) wake(due engines.Wake) (err error) {
	defer recovered(&err)
	rt, err := w.routeOf(due.Key)
	if rt == nil || err != nil {
		return err
	}
	r, err := w.hub.acquireQuietly(due.Key, rt)
	switch err {
	case nil:
	case ErrClosed:
		return nil
	default:
		return err
	}
	defer r.Release()
	ctx, cancel := context.WithTimeout(w.hub.over, wakeTimeout)
	defer cancel()
	if err := r.Load(ctx, rt); err != nil {
		return err
	}
	r.Remind(due.At)
	return nil
}

// routeOf returns the route that has last stored a room, or nil if it is gone. Several
// without a name may have the same one: then it is the first.
func (w *waker) routeOf(key engines.Key) (*route.Route, error) {
	ctx, cancel := context.WithTimeout(w.hub.over, wakeTimeout)
	defer cancel()
	name, err := w.hub.store.RouteOf(ctx, key)
	if err != nil {
		return nil, err
	}
	for _, rt := range *w.hub.routes.Load() {
		if rt.Name == name && rt.AppName == key.App {
			return rt, nil
		}
	}
	return nil, nil
}
