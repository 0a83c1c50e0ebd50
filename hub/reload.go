package hub

import (
	"maps"
	"slices"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/frames"
)

// Adopt is called when a configuration with the routes now has taken the place
// of the one with the routes before. Connections stay: those of a route that is
// found again, by its name, follow its new configuration from their next message
// on. Those of one that is gone are closed with 1001, and with 1012, so that they
// come back, if its name has another app or there is a doubt which of several it
// has become. The states of rooms are decoded anew by the new instances of their
// apps.
func (h *Hub) Adopt(before, now []*Route, limits Limits) {
	h.limits.Store(&limits)
	s := routeMatching{before, now}
	earlier := h.earlier(before, now)
	successors, ends := make([]*Route, len(earlier)), make([]*closeReason, len(earlier))
	for i, r := range earlier {
		successors[i], ends[i] = s.successor(r)
	}
	for i, r := range earlier { // only now: it changes what successor compares
		h.replaceBy(r, successors[i], ends[i])
	}
	h.warn(earlier, ends)
	h.rescheduleUnloaded()
	h.review()
}

// replaceBy makes r what its successor is, or ends it.
func (h *Hub) replaceBy(r, successor *Route, end *closeReason) {
	r.superseded.Store(true)
	r.ended.Store(end)
	if successor != nil {
		h.connections.merge(r, successor)
		r.source = successor.source
		r.configure(successor.config.Load())
	}
}

// warn tells, once for each name, that routes could not be told apart.
func (h *Hub) warn(earlier []*Route, ends []*closeReason) {
	told := make(map[string]bool)
	for i, r := range earlier {
		if ends[i] == routeUnsure && !told[r.Name] {
			told[r.Name] = true
			h.log().Warn("routes have changed and cannot be told apart: their connections are closed with 1012; give each an option name",
				zap.String("route", r.Name))
		}
	}
}

// Withdraw ends the routes of a configuration that has come to nothing: some may
// have served for a moment.
func (h *Hub) Withdraw(routes []*Route) {
	for _, r := range routes {
		r.ended.Store(&closeReason{frames.ServiceRestart, "configuration was withdrawn"})
	}
	h.review()
}

// review has rooms and members follow their routes, and closes the members that
// have to go.
// Nobody enters any more by a route that is gone.
func (h *Hub) review() {
	rooms := h.all()
	members := membersOf(rooms)
	for _, m := range members {
		m.room.replaceRoute(m.route)
		m.conn.Rearm()
	}
	for _, room := range rooms {
		room.renew()
	}
	var gone []leaving
	for _, m := range members {
		if f := m.route.closeReason(); f != nil {
			gone = append(gone, leaving{m, *f})
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

// all returns the rooms there are.
func (h *Hub) all() []*Room {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Collect(maps.Values(h.rooms))
}

func membersOf(rooms []*Room) (members []*Member) {
	for _, room := range rooms {
		room.mu.Lock()
		members = append(members, room.members...)
		room.mu.Unlock()
	}
	return members
}
