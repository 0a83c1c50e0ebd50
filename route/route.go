package route

import (
	"fmt"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/socket"
	"github.com/caddyws/caddy-websocket/tally"
)

// Route is one websocket directive. What its fields tell never changes; what a
// reload may change is its [Config].
type Route struct {
	// Immutable.
	Name    string // in logs, and by which a reload finds it again
	AppName string
	Inline  bool // App.Receive may run where messages are read
	JSON    bool // the app has the subprotocol json
	Keeps   bool // messages that are published are kept
	Tally   *tally.Route

	named  bool   // by the configuration, not after its app
	source string // how it is configured; owned by Follow

	// Settings of its connections; replaced as a whole.
	Settings atomic.Pointer[socket.Settings]

	config     atomic.Pointer[Config]      // replaced by a reload
	ended      atomic.Pointer[CloseReason] // set when a reload has no such route any more
	superseded atomic.Bool                 // the configuration that made it has been followed by another

	clients atomic.Pointer[clients] // shared with its successor
}

// Config is what a reload may change of a route.
type Config struct {
	App      apps.App
	Settings socket.Settings

	MaxConnectionsPerIP int           // 0 for no limit
	Forget              time.Duration // after which an unused room is deleted; 0 for never
	History             History       // what is kept of messages; for apps without state
	CloseOnReload       bool          // connections from before a reload are closed with 1012

	Named  bool   // by the configuration: other routes of the name are the same
	Source string // the configuration as it was written: routes with the same are the same

	Tally *tally.Route // that of all routes with the name, also of other configurations; nil: one of its own
}

// History is which messages of a room are kept. The zero value is none.
type History struct {
	Messages int           // how many of the newest
	Age      time.Duration // how long; 0 for ever
	Replay   int           // how many of the newest somebody is sent that joins
}

// CloseReason is what members are told that are sent away.
type CloseReason struct {
	Code   frames.CloseCode
	Reason string
}

// New returns a route for an app.
func New(name, appName string, c Config) *Route {
	_, inline := c.App.(apps.Inline)
	r := &Route{Name: name, AppName: appName, Inline: inline, JSON: speaksJSON(c.App), Keeps: c.keeps(), Tally: c.Tally, named: c.Named, source: c.Source}
	if r.Tally == nil {
		r.Tally = tally.NewRoute()
	}
	r.clients.Store(newClients())
	r.configure(&c)
	return r
}

// keeps reports whether published messages are kept.
func (c *Config) keeps() bool {
	_, stateful := c.App.(apps.Stateful)
	return c.History.Messages > 0 && !stateful
}

// Stores reports whether rooms of the route keep something: a state, or messages.
func (r *Route) Stores() bool {
	_, stateful := r.App().(apps.Stateful)
	return stateful || r.Keeps
}

func speaksJSON(app apps.App) bool {
	p, ok := app.(apps.Protocols)
	return ok && slices.Contains(p.Subprotocols(), message.Subprotocol)
}

func (r *Route) configure(c *Config) {
	r.config.Store(c)
	r.Settings.Store(&c.Settings)
}

// Config is what the route is configured to be now. It is not to be changed.
func (r *Route) Config() *Config { return r.config.Load() }

// App is the instance of the newest configuration.
func (r *Route) App() apps.App { return r.config.Load().App }

// Follow makes the route what its successor is, when the configuration that made it
// has been followed by another.
func (r *Route) Follow(successor *Route) {
	r.superseded.Store(true)
	r.ended.Store(nil)
	r.shareClients(successor)
	r.source = successor.source
	r.configure(successor.config.Load())
}

// End lets nobody in any more; the members there are have to go.
func (r *Route) End(why *CloseReason) {
	r.superseded.Store(true)
	r.ended.Store(why)
}

// HasEnded reports whether the route is gone.
func (r *Route) HasEnded() bool { return r.ended.Load() != nil }

// CloseReason is what members of the route are told that must go, or nil.
func (r *Route) CloseReason() *CloseReason {
	switch why := r.ended.Load(); {
	case why != nil:
		return why
	case r.superseded.Load() && r.config.Load().CloseOnReload:
		return &CloseReason{frames.ServiceRestart, "configuration has changed"}
	}
	return nil
}

// Every is the least time between the updates of a room; 0 and an error if the app
// panics when it is asked.
func (c *Config) Every() (every time.Duration, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if paced, ok := c.App.(apps.Paced); ok {
		every = paced.Every()
	}
	return every, nil
}
