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
// A route is found again by its name; among several of that name by being just
// the same, or as the only one that has changed. If that leaves a choice, its
// connections keep what they have.
func (h *Hub) Adopt(before, now []*Route, limits Limits) {
	h.limits.Store(&limits)
	rooms := h.all()
	old := earlier(append(h.resting(), before...), now, rooms)
	known := sources(old)
	for _, r := range old {
		r.follow(now, known, h.log())
	}
	members := membersOf(h.all()) // nobody enters by a route that is gone any more
	for _, m := range members {
		m.room.replaceRoute(m.route)
		m.port.(*socket.Conn).Rearm() // plain requests are no members
	}
	for _, room := range rooms {
		room.renew()
	}
	h.reconsider()
	h.goUnlessClosed(func() { h.dismiss(leaving(members, now), h.closing) })
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
func earlier(before, now []*Route, rooms []*Room) []*Route {
	held := make(map[*Route]bool)
	for _, r := range before {
		held[r] = true
	}
	for _, room := range rooms {
		held[room.currentRoute()] = true
	}
	for _, m := range membersOf(rooms) {
		held[m.route] = true
	}
	for _, r := range now {
		delete(held, r)
	}
	return slices.Collect(maps.Keys(held))
}

// sources is how routes are configured.
func sources(routes []*Route) map[string]bool {
	by := make(map[string]bool)
	for _, r := range routes {
		by[r.source] = true
	}
	return by
}

// follow takes over what the configuration says of the route now. known is how
// the routes before it were configured.
func (r *Route) follow(now []*Route, known map[string]bool, log *zap.Logger) {
	named := filter(now, func(n *Route) bool { return n.Name == r.Name })
	if len(named) == 0 {
		r.ended.Store(&farewell{frames.GoingAway, "route is gone"})
		return
	}
	heirs := filter(named, func(n *Route) bool { return n.AppName == r.AppName })
	if len(heirs) == 0 {
		r.ended.Store(&farewell{frames.ServiceRestart, "route has another app"})
		return
	}
	heir := r.choose(heirs, known)
	if heir == nil {
		log.Warn("connections keep their settings: several routes have the name of theirs, see the option name",
			zap.String("route", r.Name))
		return
	}
	r.source = heir.source
	r.configure(heir.config.Load())
}

// choose returns the route that r has become, if there is no doubt.
func (r *Route) choose(heirs []*Route, known map[string]bool) *Route {
	if same := filter(heirs, func(n *Route) bool { return n.source == r.source }); len(same) > 0 {
		return same[0]
	}
	changed := filter(heirs, func(n *Route) bool { return !known[n.source] })
	switch {
	case len(heirs) == 1:
		return heirs[0]
	case len(changed) == 1:
		return changed[0]
	}
	return nil
}

func filter(routes []*Route, wanted func(*Route) bool) (found []*Route) {
	for _, r := range routes {
		if wanted(r) {
			found = append(found, r)
		}
	}
	return found
}

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
