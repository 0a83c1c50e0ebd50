package caddyws

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/options"
	"github.com/caddyws/caddy-websocket/socket"

	// The apps and engines that come with the module.
	_ "github.com/caddyws/caddy-websocket/apps/broadcast"
	_ "github.com/caddyws/caddy-websocket/apps/echo"
	_ "github.com/caddyws/caddy-websocket/apps/lowercase"
	_ "github.com/caddyws/caddy-websocket/apps/meter"
	_ "github.com/caddyws/caddy-websocket/apps/sum"
	_ "github.com/caddyws/caddy-websocket/engines/bolt"
	_ "github.com/caddyws/caddy-websocket/engines/memory"
	_ "github.com/caddyws/caddy-websocket/engines/nats"
	"github.com/caddyws/caddy-websocket/route"
)

func init() { caddy.RegisterModule(Handler{}) }

// Handler makes a route a live endpoint: it upgrades WebSocket requests and
// hands their messages to an app. Everybody on one URL is in one room and
// shares what the app keeps there.
type Handler struct {
	// The app that messages are handed to, such as {"name": "echo"}. Required.
	AppRaw json.RawMessage `json:"app,omitempty" caddy:"namespace=http.websocket.apps inline_key=name"`

	// What the route is called in logs, and by which a reload of the configuration
	// finds it again: its connections then follow the new settings. Default: the
	// app's name and the room template.
	Name string `json:"name,omitempty"`

	// Names the room, with placeholders. Default: the room is the URL, that is
	// host, port and path as the client asked for them, without the query.
	Room string `json:"room,omitempty"`

	// Origins that may connect beside the site's own: hosts such as example.com,
	// origins such as https://example.com, what clients send that are no web
	// pages, such as file:// or null, or * for any request. A request without an
	// origin is let in, unless a browser says that another site's page has made
	// it. Default: none.
	Origins []string `json:"origins,omitempty"`

	// Which clients may send messages: those whose handshake or POST one of these
	// sets of matchers matches. To others each message is answered with an error.
	// Matchers of the method or of the headers of an upgrade do not fit, as a
	// handshake over HTTP/2 and 3 is a CONNECT. Default: all that may connect.
	WriteRaw caddyhttp.RawMatcherSets `json:"write,omitempty" caddy:"namespace=http.matchers"`

	// When a client's permission ends: one placeholder, whose value is a time as
	// seconds since 1970 or by RFC 3339. The connection is then closed with 3000.
	// Requests later than that, and those without a value that can be read, are
	// answered with 401. Default: it does not end.
	Expires string `json:"expires,omitempty"`

	// Have the permission of clients not end for whom expires has no value.
	// Default: false, they are refused.
	ExpiresOptional bool `json:"expires_optional,omitempty"`

	// What becomes of requests that ask for no WebSocket: "on" answers them from
	// the same room (GET, POST, Server-Sent Events), "off" with 426, and "pass"
	// hands them to the next handler. Default: on.
	HTTP string `json:"http,omitempty"`

	// Show a live page to browsers that open the URL; {} is the one of this module.
	// Default: no page.
	Page *Page `json:"page,omitempty"`

	// Compress messages of 256 bytes and more for clients that offer
	// permessage-deflate, at a level from 1 (fastest) to 9 (smallest). Each
	// message is compressed by itself, and once for all that are sent it.
	// Default: 0, no compression.
	CompressionLevel int `json:"compression_level,omitempty"`

	// Let each message refer to those before it on its connection (context
	// takeover), in both directions, unless the client does not want that. Small
	// messages that resemble each other, from 32 bytes on, become several times
	// smaller. Each connection then takes up to 16 KiB more, or 40 if its client
	// cannot be told to use a smaller window, and what is sent to many is
	// compressed for each of them. Needs a compression_level; those below 7 then
	// do as 7. Default: false.
	CompressionTakeover bool `json:"compression_takeover,omitempty"`

	// The largest message in bytes, once decompressed, that a client may send; a larger one closes
	// the connection with 1009. Default: 65536.
	MaxMessageSize int `json:"max_message_size,omitempty"`

	// How many messages a client may send in a second; a connection that sends
	// more is closed with 1008, a plain request answered with 429 (counted for
	// each user or, without users, each client IP, before its body is read and
	// whatever comes of it). Default: 0, no limit.
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

	// How long a connection may last; then, or up to a tenth of it earlier, it is
	// closed with 1001. Default: 0, for ever.
	MaxAge caddy.Duration `json:"max_age,omitempty"`

	// How many connections one client IP may have to this route, counted for
	// IPv6 by networks of 64 bits; more are answered with 429. Default: 0, no
	// limit.
	MaxConnectionsPerIP int `json:"max_connections_per_ip,omitempty"`

	// Delete the state of a room that nobody has used for this long. Default: 0,
	// never.
	Forget caddy.Duration `json:"forget,omitempty"`

	// Keep so many of the newest messages of a room, on disk or wherever the engine
	// keeps rooms, for those who join and those who come back: 1 to 10000, and at
	// most 16 MiB a room. For apps that publish, such as broadcast. Default: 0,
	// messages are not kept.
	History int `json:"history,omitempty"`

	// How long messages are kept. Default: 0, for ever.
	HistoryAge caddy.Duration `json:"history_age,omitempty"`

	// How many of the newest messages a client is sent that joins and does not say
	// what it has seen; -1 for none. Default: 50, or history if that is less.
	HistoryReplay int `json:"history_replay,omitempty"`

	// Close the connections with 1012 when the configuration is reloaded.
	// Default: false, they live on.
	CloseOnReload bool `json:"close_on_reload,omitempty"`

	app          apps.App
	write        caddyhttp.MatcherSets // nil without the option
	page         pageSource            // nil without a page
	named        bool                  // by the configuration
	source       string                // the configuration, with defaults
	appSource    string
	appName      string
	route        *route.Route
	shared       *App
	hub          *sharedHub
	refusals     *refusals
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
	if err := h.setDefaults(); err != nil {
		return err
	}
	h.rates = newRates(h.MessageRate, h.MessageBurst)
	if err := h.loadApp(ctx); err != nil {
		return err
	}
	if err := h.loadWrite(ctx); err != nil {
		return err
	}
	var err error
	if h.page, err = h.findPage(); err != nil {
		return h.fault(err)
	}
	if h.origins, err = parseOrigins(h.Origins); err != nil {
		return h.fault(err)
	}
	return h.findHub(ctx)
}

func (h *Handler) setDefaults() error {
	setDefault(&h.HTTP, httpOn)
	setDefault(&h.MaxMessageSize, defaultMaxMessageSize)
	setDefault(&h.MessageBurst, defaultBurst(h.MessageRate))
	setDefault(&h.MaxQueue, defaultMaxQueue)
	setDefault(&h.PingInterval, defaultPingInterval)
	setDefault(&h.PingTimeout, defaultPingTimeout)
	setDefault(&h.WriteTimeout, defaultWriteTimeout)
	h.setHistoryDefault()
	h.named, h.appSource = h.Name != "", string(h.AppRaw)
	source, err := json.Marshal(h)
	h.source = string(source)
	return err
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
	if h.subprotocols, err = subprotocols(app); err != nil {
		return err
	}
	alerts, err := alertNames(app)
	if err != nil {
		return err
	}
	h.appName = module.(caddy.Module).CaddyModule().ID.Name()
	setDefault(&h.Name, joinName(h.appName, h.Room))
	h.route = route.New(h.Name, h.appName, h.config())
	h.route.Tally.HasAlerts(alerts)
	return nil
}

// subprotocols asks an app what it speaks. A panic of it refuses the
// configuration.
func subprotocols(app apps.App) (names []string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("asking the app for its subprotocols: panic: %v", p)
		}
	}()
	if p, ok := app.(apps.Protocols); ok {
		names = p.Subprotocols()
	}
	return names, nil
}

// alertNames asks an app which alerts it has. A panic of it refuses the configuration.
func alertNames(app apps.App) (names []string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("asking the app for its alerts: panic: %v", p)
		}
	}()
	if a, ok := app.(apps.Alerter); ok {
		names = a.AlertNames()
	}
	return names, nil
}

// contradicts tells what two routes of a configuration cannot both be.
func (h *Handler) contradicts(other *Handler) error {
	switch {
	case (h.named || other.named) && h.Name == other.Name && h.source != other.source:
		return fmt.Errorf("two routes that differ have the name %q", h.Name)
	case !h.leadsWhere(other):
		return nil
	case h.appSource != other.appSource:
		return fmt.Errorf("two routes lead to the rooms %q of the app %s, with different options of the app", h.Room, h.appName)
	case h.history() != other.history():
		return fmt.Errorf("two routes lead to the rooms %q of the app %s, with different options history", h.Room, h.appName)
	}
	return nil
}

// leadsWhere reports whether the configuration names the rooms of two routes alike.
func (h *Handler) leadsWhere(other *Handler) bool {
	return h.Room != "" && h.Room == other.Room && h.appName == other.appName
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
	h.shared = app.(*App)
	h.hub, h.refusals = h.shared.hub, h.shared.refusals
	return h.shared.add(h)
}

func (h *Handler) config() route.Config {
	return route.Config{
		App:                 h.app,
		Settings:            h.settings(),
		MaxConnectionsPerIP: h.MaxConnectionsPerIP,
		Forget:              time.Duration(h.Forget),
		History:             h.history(),
		CloseOnReload:       h.CloseOnReload,
		Named:               h.named,
		Source:              h.source,
		Tally:               tallies.Route(h.Name),
	}
}

func (h *Handler) settings() socket.Settings {
	return socket.Settings{
		MaxMessageSize: h.MaxMessageSize,
		MaxQueue:       h.MaxQueue,
		PingInterval:   time.Duration(h.PingInterval),
		PingTimeout:    time.Duration(h.PingTimeout),
		WriteTimeout:   time.Duration(h.WriteTimeout),
		MaxAge:         time.Duration(h.MaxAge),

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
	maxSpan        = caddy.Duration(366 * 24 * time.Hour)
)

// Validate tells everything that is wrong with the options at once, and of which route.
func (h *Handler) Validate() error {
	if err := h.check(); err != nil {
		return h.fault(err)
	}
	return nil
}

// fault is what is wrong with the options, with the name of the route.
func (h *Handler) fault(err error) error { return fmt.Errorf("route %q: %w", h.Name, err) }

func (h *Handler) check() error {
	return errors.Join(
		h.checkExpires(),
		h.checkPage(),
		oneOf("http", h.HTTP, httpOn, httpOff, httpPass),
		inRange("compression_level", h.CompressionLevel, 0, frames.MaxLevel, ""),
		h.checkTakeover(),
		inRange("max_message_size", h.MaxMessageSize, minMessageSize, maxMessageSize, " bytes"),
		messageRate(h.MessageRate),
		inRange("message_burst", h.MessageBurst, 1, maxMessageRate, ""),
		inRange("max_queue", h.MaxQueue, minQueue, maxQueue, " bytes"),
		durationOrOff("ping_interval", h.PingInterval, maxPeriod),
		duration("ping_timeout", h.PingTimeout, maxPeriod),
		durationOrOff("write_timeout", h.WriteTimeout, maxPeriod),
		durationOrNone("max_age", h.MaxAge, maxSpan),
		inRange("max_connections_per_ip", h.MaxConnectionsPerIP, 0, options.MaxCount, ""),
		durationOrNone("forget", h.Forget, maxSpan),
		h.checkHistory(),
	)
}

// checkTakeover refuses context takeover of no compression.
func (h *Handler) checkTakeover() error {
	if h.CompressionTakeover && h.CompressionLevel == 0 {
		return errors.New("compression_takeover needs a compression_level from 1 to 9")
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
		return fmt.Errorf("message_rate is %v, expected 0 for no limit or up to %d a second", perSecond, maxMessageRate)
	}
	return nil
}

func durationOrOff(option string, value, high caddy.Duration) error {
	if value == options.Off {
		return nil
	}
	return duration(option, value, high)
}

func durationOrNone(option string, value, high caddy.Duration) error {
	if err := duration(option, value, high); value != 0 && err != nil {
		return fmt.Errorf("%w, or 0 for none", err)
	}
	return nil
}

// duration judges an option whose least value is minPeriod.
func duration(option string, value, high caddy.Duration) error {
	if value < minPeriod || value > high {
		return fmt.Errorf("%s is %v, expected 10ms to %v", option, time.Duration(value), readable(high))
	}
	return nil
}

// readable is a duration without zeros.
func readable(d caddy.Duration) string {
	return fmt.Sprintf("%.0fh", time.Duration(d).Hours())
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
