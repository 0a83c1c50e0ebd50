package hub

import (
	"maps"
	"slices"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/socket"
)

// Adopt is called when a configuration with the routes now has taken the place
// of the one with the routes before. Connections stay: those of a route that is
// found again follow its new configuration from their next message on, those of
// one that is gone are closed with 1001, or with 1012 if its name has another
// app. The states of rooms are decoded anew by the new instances of their apps.
//
// A route is found again by its name, and among several of that name by being
// just the same. If that leaves a choice, its connections keep what they have.
func (h *Hub) Adopt(before, now []*Route, limits Limits) {
	h.limits.Store(&limits)
	rooms := h.all()
	members := membersOf(rooms)
	before = append(h.resting(), before...)
	for _, r := range earlier(before, now, rooms, members) {
		r.follow(now, h.log())
	}
	for _, m := range members {
		m.room.replaceRoute(m.route)
	}
	for _, room := range rooms {
		room.renew()
	}
	for _, m := range members {
		m.port.(*socket.Conn).Rearm() // plain requests are no members
	}
	h.reconsider()
	h.goUnlessClosed(func() { h.dismiss(leaving(members, now)) })
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

// earlier returns all routes of earlier configurations that something still
// holds, or is about to.
func earlier(before, now []*Route, rooms []*Room, members []*Member) []*Route {
	held := make(map[*Route]bool)
	for _, r := range before {
		held[r] = true
	}
	for _, room := range rooms {
		held[room.currentRoute()] = true
	}
	for _, m := range members {
		held[m.route] = true
	}
	for _, r := range now {
		delete(held, r)
	}
	return slices.Collect(maps.Keys(held))
}

// follow takes over what the configuration says of the route now.
func (r *Route) follow(now []*Route, log *zap.Logger) {
	named := slices.Collect(func(yield func(*Route) bool) {
		for _, n := range now {
			if n.Name == r.Name && !yield(n) {
				return
			}
		}
	})
	next := r.choose(named)
	switch {
	case len(named) == 0:
		r.ended.Store(&farewell{frames.GoingAway, "route is gone"})
	case next != nil:
		r.source = next.source
		r.configure(next.config.Load())
	case !slices.ContainsFunc(named, r.sameApp):
		r.ended.Store(&farewell{frames.ServiceRestart, "route has another app"})
	default:
		log.Warn("connections keep their settings: several routes have the name of theirs, see the option name",
			zap.String("route", r.Name))
	}
}

// choose returns the route among those of r's name that r has become, if there
// is no doubt.
func (r *Route) choose(named []*Route) *Route {
	if i := slices.IndexFunc(named, func(n *Route) bool { return n.source == r.source && r.sameApp(n) }); i >= 0 {
		return named[i]
	}
	if len(named) == 1 && r.sameApp(named[0]) {
		return named[0]
	}
	return nil
}

func (r *Route) sameApp(other *Route) bool { return other.AppName == r.AppName }

// leaving returns those of the members who must go because of a reload.
func leaving(members []*Member, now []*Route) (gone []departure) {
	for _, m := range members {
		end := m.route.ended.Load()
		switch {
		case end != nil:
			gone = append(gone, departure{m, *end})
		case m.route.config.Load().CloseOnReload && !slices.Contains(now, m.route):
			gone = append(gone, departure{m, farewell{frames.ServiceRestart, "configuration has changed"}})
		}
	}
	return gone
}
