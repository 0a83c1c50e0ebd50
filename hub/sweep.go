package hub

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// Begin tells the routes of the first configuration; see Adopt for those that follow.
func (h *Hub) Begin(routes []*route.Route) {
	if len(*h.routes.Load()) == 0 {
		h.setRoutes(routes)
	}
}

// setRoutes has the sweep, and the waking of rooms, look at the routes that there are
// now.
func (h *Hub) setRoutes(routes []*route.Route) {
	h.routes.Store(&routes)
	select {
	case h.changed <- struct{}{}:
	default:
	}
	h.wakeSoon()
}

// sweepOn stores, as long as the hub lives, that rooms are in use, and deletes stored
// rooms that this process has never used and nobody else has for longer than their route
// remembers.
func (h *Hub) sweepOn() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-h.changed:
		case <-h.closing:
			return
		}
		if least := h.leastForget(); least > 0 {
			h.touchAll()
			h.sweep(least)
			timer.Reset(room.TouchStep(least))
		}
	}
}

// leastForget is the shortest time after which a route forgets, or 0 if none does.
func (h *Hub) leastForget() (least time.Duration) {
	for _, rt := range *h.routes.Load() {
		if after := rt.Config().Forget; after > 0 && (least == 0 || after < least) {
			least = after
		}
	}
	return least
}

// touchAll has it stored that the rooms in memory are used.
func (h *Hub) touchAll() {
	for _, r := range h.all() {
		r.Touch()
	}
}

// sweepPage is how many rooms an engine is asked for at once.
const sweepPage = 1000

// sweep looks at all rooms that have not been used for a time.
func (h *Hub) sweep(least time.Duration) {
	var last engines.Use
	for !isClosed(h.closing) {
		uses, err := h.unused(time.Now().Add(-least), last)
		if err != nil {
			h.log().Error("looking for rooms to forget", zap.Error(err))
			return
		}
		for _, use := range uses {
			h.forgetIfDue(use)
		}
		if len(uses) < sweepPage {
			return
		}
		last = uses[len(uses)-1]
	}
}

func (h *Hub) unused(before time.Time, last engines.Use) (uses []engines.Use, err error) {
	defer recovered(&err)
	ctx, cancel := context.WithTimeout(h.over, forgetTimeout)
	defer cancel()
	return h.store.Engine.Unused(ctx, before, last, sweepPage)
}

// forgetIfDue deletes a room if its route says so now.
func (h *Hub) forgetIfDue(use engines.Use) {
	if h.isKnown(use.Key) || isClosed(h.closing) {
		return
	}
	rt, err := h.routeOf(use.Key)
	if err != nil {
		h.log().Error("looking for rooms to forget", zap.String("app", use.Key.App), zap.String("room", use.Key.Room), zap.Error(err))
	}
	if rt == nil {
		return
	}
	r := &unloadedRoom{key: use.Key, route: rt, since: use.Used}
	if wait, ends := r.wait(); !ends || wait > 0 {
		return
	}
	h.mu.Lock()
	h.unloaded[use.Key] = r
	h.mu.Unlock()
	h.forget(r)
}

// isKnown reports whether this process has used a room.
func (h *Hub) isKnown(key engines.Key) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rooms.entries[key] != nil || h.unloaded[key] != nil
}

// routeOf returns the route that has last stored a room, or nil if it is gone.
func (h *Hub) routeOf(key engines.Key) (*route.Route, error) {
	ctx, cancel := context.WithTimeout(h.over, forgetTimeout)
	defer cancel()
	name, err := h.store.RouteOf(ctx, key)
	if err != nil {
		return nil, err
	}
	for _, rt := range *h.routes.Load() {
		if rt.Name == name && rt.AppName == key.App {
			return rt, nil
		}
	}
	return nil, nil
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
