package hub

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// sweepOn stores, as long as the hub lives, that rooms are in use, and deletes stored
// rooms that this process has never used and nobody else has for longer than their route
// remembers.
func (f *forgetter) sweepOn() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-f.changed:
		case <-f.hub.closing:
			return
		}
		if least := f.leastForget(); least > 0 {
			f.touchAll()
			f.sweep(least)
			timer.Reset(room.TouchStep(least))
		}
	}
}

// leastForget is the shortest time after which a route forgets, or 0 if none does.
func (f *forgetter) leastForget() (least time.Duration) {
	for _, rt := range *f.hub.routes.Load() {
		if after := rt.Config().Forget; after > 0 && (least == 0 || after < least) {
			least = after
		}
	}
	return least
}

// touchAll has it stored that the rooms in memory are used, but for those that are there
// to be forgotten.
func (f *forgetter) touchAll() {
	for _, r := range f.hub.visited() {
		r.Touch()
	}
}

// sweepPage is how many rooms an engine is asked for at once.
const sweepPage = 1000

// sweep looks at all rooms that have not been used for a time.
func (f *forgetter) sweep(least time.Duration) {
	var last engines.Use
	for !isClosed(f.hub.closing) {
		uses, err := f.unused(time.Now().Add(-least), last)
		if err != nil {
			f.hub.log().Error("looking for rooms to forget", zap.Error(err))
			return
		}
		for _, use := range uses {
			f.forgetIfDue(use)
		}
		if len(uses) < sweepPage {
			return
		}
		last = uses[len(uses)-1]
	}
}

func (f *forgetter) unused(before time.Time, last engines.Use) (uses []engines.Use, err error) {
	defer recovered(&err)
	ctx, cancel := context.WithTimeout(f.hub.over, forgetTimeout)
	defer cancel()
	uses, err = f.hub.store.Engine.Unused(ctx, before, last, sweepPage)
	f.hub.noteFailure("unused", err)
	return uses, err
}

// forgetIfDue deletes a room if its route says so now, and this process has not used it.
func (f *forgetter) forgetIfDue(use engines.Use) {
	if !f.mayForget(use.Key) || isClosed(f.hub.closing) {
		return
	}
	rt := f.routeOf(use.Key)
	if rt == nil {
		return
	}
	r := &unloadedRoom{key: use.Key, route: rt, since: use.Used}
	if wait, ends := r.wait(); ends && wait <= 0 && f.enlist(r) {
		f.forget(r)
	}
}

// mayForget reports whether a route of the room's app forgets: others are not looked at.
func (f *forgetter) mayForget(key engines.Key) bool {
	for _, rt := range *f.hub.routes.Load() {
		if rt.AppName == key.App && rt.Config().Forget > 0 {
			return true
		}
	}
	return false
}

// enlist adds a room that this process has not used, and reports whether it is one.
func (f *forgetter) enlist(r *unloadedRoom) bool {
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	if f.hub.rooms.entries[r.key] != nil || f.unloaded[r.key] != nil {
		return false
	}
	f.unloaded[r.key] = r
	return true
}

// routeOf returns the route that has last stored a room. Several without a name may have
// the same one: then it is that which remembers longest. It is nil if the route is gone, or
// forgets nothing.
func (f *forgetter) routeOf(key engines.Key) (found *route.Route) {
	ctx, cancel := context.WithTimeout(f.hub.over, forgetTimeout)
	defer cancel()
	name, err := f.hub.store.RouteOf(ctx, key)
	if err != nil {
		f.hub.log().Error("looking for rooms to forget", zap.String("app", key.App), zap.String("room", key.Room), zap.Error(err))
		return nil
	}
	for _, rt := range *f.hub.routes.Load() {
		switch after := rt.Config().Forget; {
		case rt.Name != name || rt.AppName != key.App || !rt.Stores():
		case after <= 0:
			return nil
		case found == nil || after > found.Config().Forget:
			found = rt
		}
	}
	return found
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
