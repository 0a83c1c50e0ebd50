package caddyws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/options"
	"github.com/caddyws/caddy-websocket/socket"

	// The apps and engines that come with the module.
	_ "github.com/caddyws/caddy-websocket/apps/broadcast"
	_ "github.com/caddyws/caddy-websocket/apps/echo"
	_ "github.com/caddyws/caddy-websocket/apps/lowercase"
	_ "github.com/caddyws/caddy-websocket/apps/sum"
	_ "github.com/caddyws/caddy-websocket/engines/memory"
)

func init() {
	caddy.RegisterModule(App{})
	caddy.RegisterModule(Handler{})
}

// App is what all websocket routes of the process share. It need not be
// configured.
type App struct {
	// Where the state of rooms is kept. Default: memory.
	EngineRaw json.RawMessage `json:"engine,omitempty" caddy:"namespace=websocket.engines inline_key=name"`

	hub     *sharedHub
	poolKey string // what Cleanup has to give back; empty if nothing was taken
}

// CaddyModule returns the Caddy module information.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "websocket",
		New: func() caddy.Module { return new(App) },
	}
}

// Provision takes the hub that runs over the engine: the one of the
// configuration before, if the engine is the same.
func (a *App) Provision(ctx caddy.Context) error {
	if a.EngineRaw == nil {
		a.EngineRaw = json.RawMessage(`{"name":"memory"}`)
	}
	module, err := ctx.LoadModule(a, "EngineRaw")
	if err != nil {
		return fmt.Errorf("loading engine: %w", err)
	}
	engine, ok := module.(engines.Engine)
	if !ok {
		return fmt.Errorf("loading engine: %T is not an engine", module)
	}
	key := string(module.(caddy.Module).CaddyModule().ID)
	shared, _, err := hubs.LoadOrNew(key, func() (caddy.Destructor, error) {
		return &sharedHub{Hub: hub.New(engine, logger)}, nil
	})
	if err != nil {
		return fmt.Errorf("opening engine: %w", err)
	}
	a.hub, a.poolKey = shared.(*sharedHub), key
	return a.followEvents(ctx)
}

// followEvents has Handle called before the configuration stops.
func (a *App) followEvents(ctx caddy.Context) error {
	events, err := ctx.App("events")
	if err != nil {
		return fmt.Errorf("loading the events app: %w", err)
	}
	return events.(*caddyevents.App).On("stopping", a)
}

// Handle closes the hub when Caddy is about to end: the servers wait for streams
// that are still open, some of an earlier configuration, before Cleanup is
// called. A configuration that only makes way for the next one closes nothing.
func (a *App) Handle(context.Context, caddy.Event) error {
	if caddy.Exiting() {
		return a.hub.Destruct()
	}
	return nil
}

// Start does nothing: the first request does what there is to do.
func (*App) Start() error { return nil }

// Stop does nothing: connections outlive a configuration.
func (*App) Stop() error { return nil }

// Cleanup gives back the hub, which ends with the last configuration that has
// it.
func (a *App) Cleanup() error {
	if a.poolKey == "" {
		return nil
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

// closeTimeout bounds the end of a hub: systemd's default for Caddy is 5 s.
const closeTimeout = 3 * time.Second

// Destruct closes the hub when no configuration uses it any more, or Caddy ends.
func (h *sharedHub) Destruct() (err error) {
	h.closing.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		if err = h.Close(ctx); errors.Is(err, context.DeadlineExceeded) {
			logger().Warn("clients did not finish the close handshake in time")
			err = nil
		}
	})
	return err
}

// logger returns the logger of the configuration that is running now.
func logger() *zap.Logger { return caddy.Log().Named("http.handlers.websocket") }

// Handler makes a route a live endpoint: it upgrades WebSocket requests and
// hands their messages to an app. Everybody on one URL is in one room and
// shares what the app keeps there.
type Handler struct {
	// The app that messages are handed to, such as {"name": "echo"}. Required.
	AppRaw json.RawMessage `json:"app,omitempty" caddy:"namespace=http.websocket.apps inline_key=name"`

	// What the route is called in logs. Default: the app's name and the room
	// template.
	Name string `json:"name,omitempty"`

	// Names the room, with placeholders. Default: the room is the URL, that is
	// host, port and path as the client asked for them, without the query.
	Room string `json:"room,omitempty"`

	// Web origins that may connect beside the site's own: hosts such as
	// example.com, origins such as https://example.com, or * for any. Clients
	// that are not browsers send no origin and are let in. Default: none.
	Origins []string `json:"origins,omitempty"`

	// What becomes of requests that ask for no WebSocket: "on" answers them from
	// the same room (GET, POST, Server-Sent Events), "off" with 426, and "pass"
	// hands them to the next handler. Default: on.
	HTTP string `json:"http,omitempty"`

	// Show a live page to browsers that open the URL. Default: false.
	Page bool `json:"page,omitempty"`

	// Compress messages of 256 bytes and more for clients that offer
	// permessage-deflate, at a level from 1 (fastest) to 9 (smallest). Each
	// message is compressed by itself, and once for all who are sent it.
	// Default: 0, no compression.
	CompressionLevel int `json:"compression_level,omitempty"`

	// The largest message in bytes, once decompressed, that a client may send; a larger one closes
	// the connection with 1009. Default: 65536.
	MaxMessageSize int `json:"max_message_size,omitempty"`

	// How many messages a client may send in a second; a connection that sends
	// more is closed with 1008, a plain request answered with 429 (counted for
	// each user or, without users, each client IP). Default: 0, no limit.
	MessageRate float64 `json:"message_rate,omitempty"`

	// How many messages may come at once within message_rate. Default: the
	// messages of a second, at least 1.
	MessageBurst int `json:"message_burst,omitempty"`

	// How many bytes may wait for a client that reads too slowly; beyond that
	// it is closed with 1013. While more than half of it waits, nothing is read
	// from that client. Default: 1048576.
	MaxQueue int `json:"max_queue,omitempty"`

	// How long a client may be silent before it is sent a ping. -1 switches
	// pings off. Default: 25s.
	PingInterval caddy.Duration `json:"ping_interval,omitempty"`

	// How long to wait for any sign of life after a ping before the connection
	// is cut. Default: 10s.
	PingTimeout caddy.Duration `json:"ping_timeout,omitempty"`

	// How long a client may take nothing of what is being sent to it before the
	// connection is cut. -1 switches this off. Default: 10s.
	WriteTimeout caddy.Duration `json:"write_timeout,omitempty"`

	app          apps.App
	route        *hub.Route
	hub          *sharedHub
	origins      origins
	rates        *rates
	subprotocols []string
}

// The values of Handler.HTTP.
const (
	httpOn   = "on"
	httpOff  = "off"
	httpPass = "pass"
)

// Defaults of the handler's options.
const (
	defaultMaxMessageSize = 64 << 10
	defaultMaxQueue       = 1 << 20
	defaultPingInterval   = caddy.Duration(25 * time.Second)
	defaultPingTimeout    = caddy.Duration(10 * time.Second)
	defaultWriteTimeout   = caddy.Duration(10 * time.Second)
)

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.websocket",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision loads the app and finds the hub.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.setDefaults()
	h.rates = newRates(h.MessageRate, h.MessageBurst)
	if err := h.loadApp(ctx); err != nil {
		return err
	}
	if err := h.findHub(ctx); err != nil {
		return err
	}
	var err error
	h.origins, err = parseOrigins(h.Origins)
	return err
}

func (h *Handler) setDefaults() {
	setDefault(&h.HTTP, httpOn)
	setDefault(&h.MaxMessageSize, defaultMaxMessageSize)
	setDefault(&h.MessageBurst, defaultBurst(h.MessageRate))
	setDefault(&h.MaxQueue, defaultMaxQueue)
	setDefault(&h.PingInterval, defaultPingInterval)
	setDefault(&h.PingTimeout, defaultPingTimeout)
	setDefault(&h.WriteTimeout, defaultWriteTimeout)
}

func setDefault[T comparable](option *T, value T) {
	var unset T
	if *option == unset {
		*option = value
	}
}

func (h *Handler) loadApp(ctx caddy.Context) error {
	if h.AppRaw == nil {
		return fmt.Errorf("no app is given, expected one of %s", appNames())
	}
	module, err := ctx.LoadModule(h, "AppRaw")
	if err != nil {
		return fmt.Errorf("loading app: %w", err)
	}
	app, ok := module.(apps.App)
	if !ok {
		return fmt.Errorf("loading app: %T is not an app", module)
	}
	h.app = app
	if p, ok := app.(apps.Protocols); ok {
		h.subprotocols = p.Subprotocols()
	}
	name := module.(caddy.Module).CaddyModule().ID.Name()
	setDefault(&h.Name, joinName(name, h.Room))
	h.route = hub.NewRoute(h.Name, name, app, h.settings())
	return nil
}

// joinName is the default name of a route.
func joinName(app, room string) string {
	if room == "" {
		return app
	}
	return app + " " + room
}

func (h *Handler) findHub(ctx caddy.Context) error {
	app, err := ctx.App("websocket")
	if err != nil {
		return fmt.Errorf("loading the websocket app: %w", err)
	}
	h.hub = app.(*App).hub
	return nil
}

func (h *Handler) settings() socket.Settings {
	return socket.Settings{
		MaxMessageSize: h.MaxMessageSize,
		MaxQueue:       h.MaxQueue,
		PingInterval:   time.Duration(h.PingInterval),
		PingTimeout:    time.Duration(h.PingTimeout),
		WriteTimeout:   time.Duration(h.WriteTimeout),

		MessageRate:  h.MessageRate,
		MessageBurst: h.MessageBurst,

		CompressionLevel: h.CompressionLevel,
	}
}

// Bounds of the options.
const (
	maxMessageRate = 1000000
	minMessageSize = 1
	maxMessageSize = 1 << 30
	minQueue       = 1 << 10
	maxQueue       = 1 << 30
	minPeriod      = caddy.Duration(10 * time.Millisecond)
	maxPeriod      = caddy.Duration(24 * time.Hour)
)

// Validate tells everything that is wrong with the options at once.
func (h *Handler) Validate() error {
	return errors.Join(
		h.checkPage(),
		oneOf("http", h.HTTP, httpOn, httpOff, httpPass),
		inRange("compression_level", h.CompressionLevel, 0, frames.MaxLevel, ""),
		inRange("max_message_size", h.MaxMessageSize, minMessageSize, maxMessageSize, " bytes"),
		messageRate(h.MessageRate),
		inRange("message_burst", h.MessageBurst, 1, maxMessageRate, ""),
		inRange("max_queue", h.MaxQueue, minQueue, maxQueue, " bytes"),
		periodOrOff("ping_interval", h.PingInterval),
		period("ping_timeout", h.PingTimeout),
		periodOrOff("write_timeout", h.WriteTimeout),
	)
}

// checkPage refuses a page that would never be shown.
func (h *Handler) checkPage() error {
	if h.Page && h.HTTP != httpOn {
		return fmt.Errorf("page is of no use with http %s", h.HTTP)
	}
	return nil
}

func oneOf(option, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("%s is %q, expected %s", option, value, strings.Join(allowed, ", "))
}

func inRange(option string, value, low, high int, unit string) error {
	if value < low || value > high {
		return fmt.Errorf("%s is %d, expected %d to %d%s", option, value, low, high, unit)
	}
	return nil
}

func messageRate(perSecond float64) error {
	if !(perSecond >= 0 && perSecond <= maxMessageRate) {
		return fmt.Errorf("message_rate is %v, expected more than 0 up to %d a second", perSecond, maxMessageRate)
	}
	return nil
}

func periodOrOff(option string, value caddy.Duration) error {
	if value == options.Off {
		return nil
	}
	return period(option, value)
}

func period(option string, value caddy.Duration) error {
	if value < minPeriod || value > maxPeriod {
		return fmt.Errorf("%s is %v, expected 10ms to 24h", option, time.Duration(value))
	}
	return nil
}

// Interface guards
var (
	_ caddy.App                   = (*App)(nil)
	_ caddy.Provisioner           = (*App)(nil)
	_ caddy.CleanerUpper          = (*App)(nil)
	_ caddyevents.Handler         = (*App)(nil)
	_ caddy.Destructor            = (*sharedHub)(nil)
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
