package caddyws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/options"
	"github.com/caddyws/caddy-websocket/route"
)

func init() { caddy.RegisterModule(new(App)) }

// App is what all websocket routes of the process share. It need not be
// configured.
type App struct {
	// Where the state of rooms is kept. Default: bolt, a file in Caddy's data directory.
	EngineRaw json.RawMessage `json:"engine,omitempty" caddy:"namespace=websocket.engines inline_key=name"`

	// Where many connections have to be closed, because Caddy stops or its
	// configuration changes, this is done one after another over this time, so
	// that their clients do not all come back at once; few are closed faster, 100 a
	// second. When Caddy stops, connections that have not ended a moment later are cut. A service manager must wait that long: systemd's unit for
	// Caddy kills after 5 s. From 10ms to 1h, -1 closes all at once. Default: 3s.
	Drain caddy.Duration `json:"drain,omitempty"`

	// How many connections there may be, WebSockets and event streams together;
	// more are answered with 503. Default: 0, no limit.
	MaxConnections int `json:"max_connections,omitempty"`

	// How many rooms may have members at the same time; a visitor who would need
	// one more is answered with 503. Rooms in which the option presence waits for
	// users to come back count too, and give way: the grace that has lasted longest
	// ends. Default: 10000.
	MaxRooms int `json:"max_rooms,omitempty"`

	// How many rooms may have a state that is kept. Further ones can be visited,
	// but what would change them is refused, plain requests with 507. Default:
	// 100000.
	MaxStoredRooms int `json:"max_stored_rooms,omitempty"`

	ctx      caddy.Context
	events   *caddyevents.App
	hub      *sharedHub
	poolKey  string // what Cleanup has to give back; empty if nothing was taken
	handlers []*Handler
	refusals *refusals
	engine   string // its name
	required bool   // it is
	sharing  bool   // other nodes are reached by the engine
	served   bool   // it has been the running configuration, and has been stopped
}

// Defaults and bounds of the app's options.
const (
	defaultDrain          = caddy.Duration(3 * time.Second)
	defaultMaxRooms       = 10000
	defaultMaxStoredRooms = 100000

	maxDrain = caddy.Duration(time.Hour)
)

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "websocket",
		New: func() caddy.Module { return new(App) },
	}
}

// Provision takes the hub that runs over the engine: the one of the
// configuration before, if the engine is the same.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx = ctx
	a.setDefaults()
	a.refusals = newRefusals()
	module, err := ctx.LoadModule(a, "EngineRaw")
	if err != nil {
		return fmt.Errorf("loading engine: %w", err)
	}
	opener, ok := module.(engines.Opener)
	if !ok {
		return fmt.Errorf("loading engine: %T is not an engine", module)
	}
	if essential, ok := module.(engines.Essential); ok {
		a.required = essential.IsRequired()
	}
	if sharing, ok := module.(engines.Sharing); ok {
		a.sharing = sharing.IsShared()
	}
	a.engine = module.(caddy.Module).CaddyModule().ID.Name()
	key := identity(module.(caddy.Module), opener)
	shared, _, err := hubs.LoadOrNew(key, func() (caddy.Destructor, error) {
		h := hub.New(opener, a.limits(), logger)
		h.Watch(emit)
		h.CountIn(tallies, a.engine)
		return &sharedHub{Hub: h}, nil
	})
	if err != nil {
		return err
	}
	a.hub, a.poolKey = shared.(*sharedHub), key
	if err := a.registerMetrics(ctx); err != nil {
		return err
	}
	return a.followEvents(ctx)
}

func (a *App) setDefaults() {
	if a.EngineRaw == nil {
		a.EngineRaw = json.RawMessage(`{"name":"bolt"}`)
	}
	setDefault(&a.Drain, defaultDrain)
	setDefault(&a.MaxRooms, defaultMaxRooms)
	setDefault(&a.MaxStoredRooms, defaultMaxStoredRooms)
}

// Validate tells everything that is wrong with the options at once.
func (a *App) Validate() error {
	return errors.Join(
		durationOrOff("drain", a.Drain, maxDrain),
		inRange("max_connections", a.MaxConnections, 0, options.MaxCount, ""),
		inRange("max_rooms", a.MaxRooms, 1, options.MaxCount, ""),
		inRange("max_stored_rooms", a.MaxStoredRooms, 1, options.MaxCount, ""),
	)
}

func (a *App) limits() hub.Limits {
	return hub.Limits{
		Drain:          time.Duration(max(a.Drain, 0)),
		MaxConnections: a.MaxConnections,
		MaxRooms:       a.MaxRooms,
		MaxStoredRooms: a.MaxStoredRooms,
	}
}

// identity tells which engines keep the same rooms.
func identity(module caddy.Module, opener engines.Opener) string {
	key := string(module.CaddyModule().ID)
	if place := opener.Identity(); place != "" {
		key += " " + place
	}
	return key
}

// add takes a handler into the configuration, unless it contradicts another.
func (a *App) add(h *Handler) error {
	for _, other := range a.handlers {
		if err := h.contradicts(other); err != nil {
			return err
		}
	}
	a.handlers = append(a.handlers, h)
	return nil
}

func (a *App) routes() (routes []*route.Route) {
	for _, h := range a.handlers {
		routes = append(routes, h.route)
	}
	return routes
}

// followEvents has Handle called when the configuration has started and before
// it stops.
func (a *App) followEvents(ctx caddy.Context) error {
	events, err := ctx.App("events")
	if err != nil {
		return fmt.Errorf("loading the events app: %w", err)
	}
	a.events = events.(*caddyevents.App)
	return a.events.Subscribe(&caddyevents.Subscription{
		Events:   []string{"started", "stopping"},
		Handlers: []caddyevents.Handler{a},
	})
}

// started is the app of the configuration that has started last. It may still
// fail: only when the one before it stops it is sure that it has come to stay.
var started atomic.Pointer[App]

// Handle closes the hub when Caddy is about to end: the servers wait for streams
// that are still open, some of an earlier configuration, before Cleanup is
// called. A configuration that makes way for another hands over to it.
func (a *App) Handle(_ context.Context, event caddy.Event) error {
	switch {
	case event.Origin() != nil: // a module has an event of that name, too
	case event.Name() == "started":
		started.Store(a)
		a.hub.Begin(a.routes())
	default:
		a.served = true
		adminTraces.endAll()
		return a.leave()
	}
	return nil
}

// leave makes way: for the end of Caddy, or for the next configuration.
func (a *App) leave() error {
	if caddy.Exiting() {
		adminBackups.endAll()
		defer streams.closeServers(closeTimeout)
		return a.hub.Destruct()
	}
	a.handOver(started.Load())
	a.sendBackStreams()
	return nil
}

// handOver leaves the connections to the next configuration. One with another
// engine has a hub of its own, and this one's closes in the end.
func (a *App) handOver(next *App) {
	if next != nil && next != a && next.hub == a.hub {
		a.hub.Adopt(a.routes(), next.routes(), next.limits())
	}
}

// Start opens the engine if a route keeps something, or other nodes are reached by it, unless
// it is open already. An engine that cannot be reached is opened later, unless it is required.
func (a *App) Start() error {
	if !a.needsEngine() {
		return nil
	}
	switch err := a.hub.Open(a.ctx); {
	case errors.Is(err, engines.ErrUnavailable) && !a.required:
		logger().Warn("rooms that keep something are answered with 503 until their engine can be reached", zap.Error(err))
	case err != nil:
		return fmt.Errorf("opening engine: %w", err)
	}
	return a.checkHistories()
}

// checkHistories refuses the option history over an engine that is open and keeps no messages.
func (a *App) checkHistories() error {
	if a.hub.KeepsMessages() {
		return nil
	}
	for _, h := range a.handlers {
		if h.route.Keeps {
			return fmt.Errorf("the engine %s keeps no messages: the option history of the route %q needs one that does", a.engine, h.route.Name)
		}
	}
	return nil
}

// needsEngine reports whether a route has an app with state, keeps messages, or has rooms that
// are shared.
func (a *App) needsEngine() bool {
	for _, h := range a.handlers {
		if a.sharing || h.route.Stores() {
			return true
		}
	}
	return false
}

// Stop does nothing: connections outlive a configuration.
func (*App) Stop() error { return nil }

// Cleanup gives back the hub, which ends with the last configuration that has
// it.
func (a *App) Cleanup() error {
	started.CompareAndSwap(a, nil)
	if a.poolKey == "" {
		return nil
	}
	if !a.served {
		a.hub.Withdraw(a.routes())
	}
	_, err := hubs.Delete(a.poolKey)
	return err
}

// hubs holds the hubs that are running, by engine. Configurations that follow
// each other share one, so that connections and totals live through a reload.
var hubs = caddy.NewUsagePool()

// sharedHub is a hub in the pool.
type sharedHub struct {
	*hub.Hub
	closing sync.Once
}

// closeTimeout is how long clients are waited for once all have been told to go.
// Caddy's HTTP/2 server takes another second to end a connection that was cut,
// and all together must be less than systemd's 5 s.
const closeTimeout = 400 * time.Millisecond

// Destruct closes the hub when no configuration uses it any more, or Caddy ends.
func (h *sharedHub) Destruct() (err error) {
	h.closing.Do(func() {
		code, reason := frames.GoingAway, "server is going away"
		if next := started.Load(); next != nil && next.hub != h {
			code, reason = frames.ServiceRestart, "rooms are kept elsewhere now"
		}
		if err = h.Close(closeTimeout, code, reason); errors.Is(err, hub.ErrUnfinished) {
			logger().Warn(err.Error())
			err = nil
		}
	})
	return err
}

// logger returns the logger of the configuration that is running now.
func logger() *zap.Logger { return caddy.Log().Named("http.handlers.websocket") }

// Interface guards
var (
	_ caddy.App           = (*App)(nil)
	_ caddy.Provisioner   = (*App)(nil)
	_ caddy.Validator     = (*App)(nil)
	_ caddy.CleanerUpper  = (*App)(nil)
	_ caddyevents.Handler = (*App)(nil)
	_ caddy.Destructor    = (*sharedHub)(nil)
)
