package hub

import (
	"sync/atomic"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/socket"
)

// Route is one websocket directive as its connections know it. They hold it
// longer than the configuration that made it: a reload gives it what the new
// configuration says under its name ([Hub.Adopt]).
type Route struct {
	// Immutable after NewRoute.
	Name    string // in logs, and by which a reload finds it again
	AppName string
	named   bool // by the configuration, not after its app
	inline  bool // App.Receive may run where messages are read

	source string // how it is configured; owned by Adopt

	// Settings of its connections; replaced as a whole.
	Settings atomic.Pointer[socket.Settings]

	config atomic.Pointer[Config]      // replaced by a reload
	ended  atomic.Pointer[closeReason] // set when a reload has no such route any more

	superseded atomic.Bool    // the configuration that made it has been followed by another
	counts     *addressCounts // guarded by connectionLimits.mu
}

// Config is what a reload may change of a route.
type Config struct {
	App      apps.App
	Settings socket.Settings

	MaxConnectionsPerIP int           // 0 for no limit
	Forget              time.Duration // after which an unused room is deleted; 0 for never
	CloseOnReload       bool          // connections from before a reload are closed with 1012

	Named  bool   // by the configuration: other routes of the name are the same
	Source string // the configuration as it was written: routes with the same are the same
}

// closeReason is what members are told that are sent away.
type closeReason struct {
	code   frames.CloseCode
	reason string
}

// NewRoute returns a route for an app.
func NewRoute(name, appName string, c Config) *Route {
	_, inline := c.App.(apps.Inline)
	r := &Route{Name: name, AppName: appName, named: c.Named, inline: inline, source: c.Source, counts: newAddressCounts()}
	r.configure(&c)
	return r
}

func (r *Route) configure(c *Config) {
	r.config.Store(c)
	r.Settings.Store(&c.Settings)
}

// closeReason is what members of the route are told that must go, or nil.
func (r *Route) closeReason() *closeReason {
	switch f := r.ended.Load(); {
	case f != nil:
		return f
	case r.superseded.Load() && r.config.Load().CloseOnReload:
		return &closeReason{frames.ServiceRestart, "configuration has changed"}
	}
	return nil
}

// app is the instance of the newest configuration.
func (r *Route) app() apps.App { return r.config.Load().App }

// every is the least time between the updates of a room; 0 if the app fails to
// say.
func (c *Config) every() (every time.Duration, err error) {
	defer recovered(&err)
	if paced, ok := c.App.(apps.Paced); ok {
		every = paced.Every()
	}
	return every, nil
}

// Visitor is a client at the door.
type Visitor struct {
	Room        string // its name, which begins with what names it
	ClientIP    string
	User        string
	Subprotocol string // JSON, or one that only the app knows
	Events      bool   // it only listens, to Server-Sent Events
	LastEventID string // what a client that listens says it has seen
	Handshake   apps.Handshake
}
