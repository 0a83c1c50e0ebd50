package caddyws

import (
	"net/http"
	"slices"

	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/room"
)

// shownRoute is a route as the admin API shows it. Those that are alike in all of this
// are shown as one.
type shownRoute struct {
	Name        string `json:"name"`
	App         string `json:"app"`
	Room        string `json:"room,omitempty"` // the template
	Connections int    `json:"connections"`
	Rooms       int    `json:"rooms"` // with these connections
}

// routePage is a page of routes, in the order of the configuration.
type routePage struct {
	Routes []shownRoute `json:"routes"`
	Next   string       `json:"next,omitempty"` // is the parameter after of the next page; empty if there is none
}

// getRoutes lists the routes of the configuration that is running.
func getRoutes(a *App, w http.ResponseWriter, r *http.Request) error {
	p := readParameters(r, "limit", "after")
	after, limit := p.position(), p.limit()
	if err := p.check(); err != nil {
		return err
	}
	routes, next := pageAt(a.shownRoutes(), after, limit)
	return writeJSON(w, routePage{routes, next})
}

// shownRoutes are the routes with what they have at the moment.
func (a *App) shownRoutes() []shownRoute {
	use := a.useOfRoutes()
	all := make([]shownRoute, 0, len(a.handlers))
	for _, h := range a.handlers {
		u := use[routeKey{h.Name, h.appName}]
		shown := shownRoute{Name: h.Name, App: h.appName, Room: h.Room, Connections: u.connections, Rooms: len(u.rooms)}
		if !slices.Contains(all, shown) {
			all = append(all, shown)
		}
	}
	return all
}

// routeKey names a route as its connections know it.
type routeKey struct{ name, app string }

// routeUse is what a route has at the moment.
type routeUse struct {
	connections int
	rooms       map[*room.Room]bool
}

// useOfRoutes counts the connections of all routes and the rooms that they are in.
func (a *App) useOfRoutes() map[routeKey]routeUse {
	use := make(map[routeKey]routeUse)
	a.hub.EachMember(hub.Filter{}, func(m *room.Member) {
		key := routeKey{m.Route().Name, m.Route().AppName}
		u, ok := use[key]
		if !ok {
			u.rooms = make(map[*room.Room]bool)
		}
		u.connections++
		u.rooms[m.Room()] = true
		use[key] = u
	})
	return use
}
