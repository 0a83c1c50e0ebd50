package hub

import (
	"maps"
	"slices"

	"github.com/caddyws/caddy-websocket/frames"
)

// routeMatching finds what routes have become when one configuration follows
// another.
type routeMatching struct {
	before []*Route // the handlers of the configuration before
	now    []*Route // and of the new one
}

// earlier returns all routes of earlier configurations that something still
// holds, or is about to.
func (h *Hub) earlier(before, now []*Route) []*Route {
	held := make(map[*Route]bool)
	for _, r := range append(h.unloadedRoutes(), before...) {
		held[r] = true
	}
	rooms := h.all()
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

// Why a route has no successor.
var (
	routeGone   = &closeReason{frames.GoingAway, "route is gone"}
	routeOther  = &closeReason{frames.ServiceRestart, "route has another app"}
	routeUnsure = &closeReason{frames.ServiceRestart, "route has changed and has no name"}
)

// successor returns the route that r has become, or why there is none. Routes that
// the configuration does not name share the name of their app and can be told
// apart only by how they are configured: where that leaves a doubt, r is none of
// them.
func (s routeMatching) successor(r *Route) (*Route, *closeReason) {
	named := filter(s.now, func(n *Route) bool { return n.Name == r.Name })
	successors := filter(named, func(n *Route) bool { return n.AppName == r.AppName })
	switch {
	case len(named) == 0:
		return nil, routeGone
	case len(successors) == 0:
		return nil, routeOther
	case successors[0].named: // then they are all the same
		return successors[0], nil
	}
	return s.unnamedSuccessor(r, successors)
}

func (s routeMatching) unnamedSuccessor(r *Route, successors []*Route) (*Route, *closeReason) {
	before := filter(s.before, func(n *Route) bool { return n.Name == r.Name && n.AppName == r.AppName })
	same := filter(successors, r.isConfiguredLike)
	added, lost := without(successors, before), without(before, successors)
	switch {
	case len(same) > 0 && len(same) >= len(filter(before, r.isConfiguredLike)):
		return same[0], nil
	case len(same) == 0 && len(added) == 0:
		return nil, routeGone // those that are left were there before
	case len(same) == 0 && len(before) == len(successors) && alike(added) && alike(lost):
		return added[0], nil // the only one that has changed
	}
	return nil, routeUnsure
}

// without returns the routes that are configured like none of the others.
func without(routes, others []*Route) []*Route {
	return filter(routes, func(r *Route) bool { return !slices.ContainsFunc(others, r.isConfiguredLike) })
}

// alike reports whether all are configured in the same way.
func alike(routes []*Route) bool {
	return !slices.ContainsFunc(routes, func(r *Route) bool { return !r.isConfiguredLike(routes[0]) })
}

func (r *Route) isConfiguredLike(other *Route) bool { return r.source == other.source }

func filter(routes []*Route, wanted func(*Route) bool) (found []*Route) {
	for _, r := range routes {
		if wanted(r) {
			found = append(found, r)
		}
	}
	return found
}
