package route

import (
	"slices"

	"github.com/caddyws/caddy-websocket/frames"
)

// Matching finds what routes have become when one configuration follows another.
type Matching struct {
	Before []*Route // of the configuration before
	Now    []*Route // and of the new one
}

// Why a route has no successor.
var (
	Gone     = &CloseReason{frames.GoingAway, "route is gone"}
	Other    = &CloseReason{frames.ServiceRestart, "route has another app"}
	Switched = &CloseReason{frames.ServiceRestart, "history was switched on or off"}
	Unsure   = &CloseReason{frames.ServiceRestart, "route has changed and has no name"}
)

// Successor returns the route that r has become, or why there is none: [Gone],
// [Other], [Switched] or [Unsure]. Routes that the configuration does not name have a default
// name, which several may share, and can be told apart only by how they are configured: where that leaves
// a doubt, r is none of them.
func (m Matching) Successor(r *Route) (*Route, *CloseReason) {
	named := filter(m.Now, func(n *Route) bool { return n.Name == r.Name })
	successors := filter(named, r.isLike)
	switch {
	case len(named) == 0:
		return nil, Gone
	case len(successors) == 0 && slices.ContainsFunc(named, func(n *Route) bool { return n.AppName == r.AppName }):
		return nil, Switched
	case len(successors) == 0:
		return nil, Other
	case successors[0].named: // then they are all the same
		return successors[0], nil
	}
	return m.unnamedSuccessor(r, successors)
}

func (m Matching) unnamedSuccessor(r *Route, successors []*Route) (*Route, *CloseReason) {
	before := filter(m.Before, func(n *Route) bool { return n.Name == r.Name && r.isLike(n) })
	same := filter(successors, r.isConfiguredLike)
	added, lost := without(successors, before), without(before, successors)
	switch {
	case len(same) > 0 && len(same) >= len(filter(before, r.isConfiguredLike)):
		return same[0], nil
	case len(same) == 0 && len(added) == 0:
		return nil, Gone // those that are left were there before
	case len(same) == 0 && len(before) == len(successors) && alike(added) && alike(lost):
		return added[0], nil // the only one that has changed
	}
	return nil, Unsure
}

// without returns the routes that are configured like none of the others.
func without(routes, others []*Route) []*Route {
	return filter(routes, func(r *Route) bool { return !slices.ContainsFunc(others, r.isConfiguredLike) })
}

// alike reports whether all are configured in the same way.
func alike(routes []*Route) bool {
	return !slices.ContainsFunc(routes, func(r *Route) bool { return !r.isConfiguredLike(routes[0]) })
}

// isLike reports whether the rooms of two routes are of one kind: the app is the same, and
// both keep messages or neither does.
func (r *Route) isLike(other *Route) bool {
	return r.AppName == other.AppName && r.Keeps == other.Keeps
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
