package hub

import (
	"sync/atomic"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/socket"
)

// Route is one websocket directive as its connections know it. They hold it
// longer than the configuration that made it.
type Route struct {
	// Immutable after NewRoute.
	Name    string // in logs
	AppName string
	App     apps.App

	// Settings of its connections; replaced as a whole.
	Settings atomic.Pointer[socket.Settings]

	inline bool          // App.Receive may run where messages are read
	every  time.Duration // between the updates of a room
}

// NewRoute returns a route for an app.
func NewRoute(name, appName string, app apps.App, settings socket.Settings) *Route {
	_, inline := app.(apps.Inline)
	r := &Route{Name: name, AppName: appName, App: app, inline: inline}
	if paced, ok := app.(apps.Paced); ok {
		r.every = paced.Every()
	}
	r.Settings.Store(&settings)
	return r
}

// Visitor is a client at the door.
type Visitor struct {
	Room        string // its name
	ClientIP    string
	User        string
	Subprotocol string // JSON, or one that only the app knows
	LastEventID string // of an event stream: what the client has seen
	Handshake   apps.Handshake
}
