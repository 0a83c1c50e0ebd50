package hub

import (
	"context"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// A stored room of a route that forgets is deleted once it has been out of
// memory, that is, without members and requests, for that long. The last use is known
// exactly for rooms that this process has used, and has a timer. For others, see sweep, it
// is stored coarsely.

// forgetter deletes stored rooms that nobody uses any more.
type forgetter struct {
	hub      *Hub
	unloaded map[engines.Key]*unloadedRoom // stored rooms that are not in memory, and may be forgotten; guarded by Hub.mu
	changed  chan struct{}                 // routes may have; never closed
}

// unloadedRoom is a stored room that has left memory.
type unloadedRoom struct {
	key   engines.Key
	route *route.Route // whose configuration tells when the room is forgotten
	since time.Time    // of the last use; guarded by Hub.mu once it is listed
	again time.Time    // when it is tried again if deleting it has failed; guarded by Hub.mu
	timer *time.Timer  // guarded by Hub.mu; nil if the room is not to be forgotten
}

// after is how long rooms of a route are kept without use, or 0 for ever. Other processes
// may have a room in memory that this one has not: they store now and then that it is used,
// see room.TouchStep, and for that there has to be time.
func (f *forgetter) after(rt *route.Route) time.Duration {
	after := rt.Config().Forget
	if after <= 0 || !f.hub.shared.Sharing {
		return after
	}
	return max(after, missedTouches*room.TouchStep(after))
}

// missedTouches is after how many steps without a sign of other processes none of them uses
// a room. One that does gives a sign in two steps, and storing it may take a while.
const missedTouches = 3

// wait tells for how long the room is still kept, unless for ever.
func (f *forgetter) wait(r *unloadedRoom) (wait time.Duration, ends bool) {
	after := f.after(r.route)
	if after <= 0 || r.route.HasEnded() {
		return 0, false
	}
	return max(time.Until(r.since.Add(after)), time.Until(r.again)), true
}

// noteUnloaded has the room, which has just left memory, deleted if nobody comes.
// Hub.mu is held.
func (f *forgetter) noteUnloaded(e *entry) {
	switch {
	case f.hub.closed != nil || !e.room.IsStored() && e.unloaded == nil:
		return
	case e.unloaded == nil && e.room.Route().Config().Forget <= 0:
		return // see sweep, should a reload change that
	case !e.visited && e.unloaded == nil:
		return // this process has not used it: see sweep
	case !e.visited: // deleting it has failed, or it was woken
		f.unloaded[e.unloaded.key] = e.unloaded
		f.schedule(e.unloaded)
	default:
		r := &unloadedRoom{key: e.room.Key(), route: e.room.Route(), since: time.Now()}
		f.unloaded[r.key] = r
		f.schedule(r)
	}
}

// schedule sets the timer of a room. Hub.mu is held.
func (f *forgetter) schedule(r *unloadedRoom) {
	r.stop()
	if wait, ends := f.wait(r); ends {
		r.timer = time.AfterFunc(wait, func() { f.forget(r) })
	}
}

func (r *unloadedRoom) stop() {
	if r.timer != nil {
		r.timer.Stop()
	}
}

// noteLoaded takes a room that is used again off the list, and returns what stood
// there, or nil. Hub.mu is held.
func (f *forgetter) noteLoaded(key engines.Key) *unloadedRoom {
	r := f.unloaded[key]
	if r != nil {
		r.stop()
		delete(f.unloaded, key)
	}
	return r
}

// unloadedRoutes returns the routes of stored rooms that are not in memory.
func (f *forgetter) unloadedRoutes() (routes []*route.Route) {
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	for _, r := range f.unloaded {
		routes = append(routes, r.route)
	}
	return routes
}

// rescheduleUnloaded has rooms forgotten when their routes say so now.
func (f *forgetter) rescheduleUnloaded() {
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	if f.hub.closed != nil {
		return
	}
	for _, r := range f.unloaded {
		f.schedule(r)
	}
}

// forget deletes a stored room, unless it has been used since the timer was set.
func (f *forgetter) forget(r *unloadedRoom) {
	e := f.acquireUnloaded(r)
	if e == nil {
		return
	}
	defer e.room.Release()
	ctx, cancel := context.WithTimeout(f.hub.over, forgetTimeout)
	defer cancel()
	gone := false
	err := e.room.Load(ctx, r.route)
	if err == nil {
		gone, err = e.room.Discard(ctx, r.since)
	}
	if err != nil {
		e.room.Report(err)
	}
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	e.leaving = false
	switch {
	case err != nil:
		r.again = time.Now().Add(retryAfter)
	case gone:
		e.unloaded = nil
	default: // it is in use, or was
		r.since = time.Now()
	}
}

// forgetTimeout bounds how long forgetting a room waits for the engine.
const forgetTimeout = 10 * time.Second

// retryAfter is when a room that could not be forgotten is tried again, at the earliest.
const retryAfter = time.Minute

// acquireUnloaded is acquire for a room whose time has come and that nobody has used
// meanwhile, else nil.
func (f *forgetter) acquireUnloaded(r *unloadedRoom) *entry {
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	wait, ends := f.wait(r) // a reload may have put it off
	if f.hub.closed != nil || f.unloaded[r.key] != r || f.hub.rooms.entries[r.key] != nil || !ends || wait > 0 {
		return nil
	}
	e, err := f.hub.acquireLocked(r.key, r.route, passes)
	if err != nil {
		return nil // only when it is closed
	}
	e.leaving = true
	return e
}
