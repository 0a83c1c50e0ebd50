package hub

import (
	"maps"
	"slices"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/route"
)

// Adopt is called when a configuration with the routes now has taken the place
// of the one with the routes before. Connections stay: those of a route that is
// found again, by its name, follow its new configuration from their next message
// on. Those of one that is gone are closed with 1001, and with 1012, so that they
// come back, if its name has another app or there is a doubt which of several it
// has become. The states of rooms are decoded anew by the new instances of their
// apps.
func (h *Hub) Adopt(before, now []*route.Route, limits Limits) {
	h.limits.Store(&limits)
	h.giveWayNow()
	matching := route.Matching{Before: before, Now: now}
	earlier := h.earlier(before, now)
	successors, ends := make([]*route.Route, len(earlier)), make([]*route.CloseReason, len(earlier))
	for i, r := range earlier {
		successors[i], ends[i] = matching.Successor(r)
	}
	for i, r := range earlier { // only now: it changes what Successor compares
		if successors[i] != nil {
			r.Follow(successors[i])
		} else {
			r.End(ends[i])
		}
	}
	h.warn(earlier, ends)
	h.forgetter.rescheduleUnloaded()
	h.setRoutes(now)
	h.review()
}

// Begin tells the routes of the first configuration; see Adopt for those that follow.
func (h *Hub) Begin(routes []*route.Route) {
	if len(*h.routes.Load()) == 0 {
		h.setRoutes(routes)
	}
	h.teller.resume()
}

// setRoutes has the rooms that nobody is in follow the routes that there are now.
func (h *Hub) setRoutes(routes []*route.Route) {
	h.routes.Store(&routes)
	select {
	case h.forgetter.changed <- struct{}{}:
	default:
	}
	h.waker.look()
}

// earlier returns all routes of earlier configurations that something still
// holds, or is about to.
func (h *Hub) earlier(before, now []*route.Route) []*route.Route {
	held := make(map[*route.Route]bool)
	for _, r := range append(h.forgetter.unloadedRoutes(), before...) {
		held[r] = true
	}
	for _, room := range h.all() {
		held[room.Route()] = true
	}
	for _, m := range h.members() {
		held[m.Route()] = true
	}
	for _, r := range now {
		delete(held, r)
	}
	return slices.Collect(maps.Keys(held))
}

// warn tells, once for each name, that routes could not be told apart.
func (h *Hub) warn(earlier []*route.Route, ends []*route.CloseReason) {
	told := make(map[string]bool)
	for i, r := range earlier {
		if ends[i] == route.Unsure && !told[r.Name] {
			told[r.Name] = true
			h.log().Warn("routes have changed and cannot be told apart: their connections are closed with 1012; give each an option name",
				zap.String("route", r.Name))
		}
	}
}

// Withdraw ends the routes of a configuration that has come to nothing: some may
// have served for a moment.
func (h *Hub) Withdraw(routes []*route.Route) {
	for _, r := range routes {
		r.End(&route.CloseReason{Code: frames.ServiceRestart, Reason: "configuration was withdrawn"})
	}
	h.review()
}

// review has rooms and members follow their routes, and closes the members that
// have to go. Nobody enters any more by a route that is gone.
func (h *Hub) review() {
	members := h.members()
	for _, m := range members {
		m.Room().ReplaceRoute(m.Route())
		m.Rearm()
	}
	for _, room := range h.all() {
		room.Renew()
	}
	var gone []leaving
	for _, m := range members {
		if why := m.Route().CloseReason(); why != nil {
			gone = append(gone, leaving{m, *why})
		}
	}
	h.goUnlessClosed(func() { h.drain(gone, h.closing) })
}

// goUnlessClosed is for goroutines that hold no reference to a room.
func (h *Hub) goUnlessClosed(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed == nil {
		h.work.Go(f)
	}
}
