package caddyws

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/options"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("websocket", parseDirective)
	httpcaddyfile.RegisterDirectiveOrder("websocket", httpcaddyfile.Before, "reverse_proxy")
	httpcaddyfile.RegisterGlobalOption("websocket", parseGlobal)
}

const (
	appNamespace    = "http.websocket.apps"
	engineNamespace = "websocket.engines"
)

func parseDirective(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(Handler)
	return handler, handler.unmarshal(h)
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	websocket [<matcher>] [<app> [<args...>]] {
//		app <name> [<args...>] { ... }
//		name <label>
//		room <template>
//		origins <host|origin|*>...
//		write @name | /path | <matcher> <args...> | { <matchers> }
//		expires <placeholder> [optional]
//		http on|off|pass
//		page [{ title <text>; unit <text> } | { file <path> }]
//		compression [<level>] [takeover]
//		max_message_size <size>
//		message_rate <n>/s [<burst>]
//		max_queue <size>
//		ping <interval> [<timeout>] | off
//		write_timeout <duration> | off
//		max_age <duration>
//		max_connections_per_ip <n>
//		forget <duration>
//		history <n> [<age>|off] [<replay>|off]
//		presence [<grace>]
//		close_on_reload
//	}
//
// The app is named either behind the directive or by the option app, which
// takes the app's own options in a block.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return h.unmarshal(httpcaddyfile.Helper{Dispenser: d}) // which knows no named matchers
}

func (h *Handler) unmarshal(helper httpcaddyfile.Helper) error {
	d := helper.Dispenser
	d.Next() // directive name
	if err := h.parseShortApp(d); err != nil {
		return err
	}
	err := options.Set{
		"app":              h.parseApp,
		"name":             options.Text(&h.Name),
		"room":             options.Text(&h.Room),
		"origins":          options.Texts(&h.Origins),
		"write":            h.parseWrite(helper),
		"expires":          h.parseExpires,
		"http":             options.Word(&h.HTTP, httpOn, httpOff, httpPass),
		"page":             h.parsePage,
		"compression":      h.parseCompression,
		"max_message_size": options.Size(&h.MaxMessageSize),
		"message_rate":     h.parseMessageRate,
		"max_queue":        options.Size(&h.MaxQueue),
		"ping":             h.parsePing,
		"write_timeout":    options.DurationOrOff(&h.WriteTimeout),

		"max_age":                options.Duration(&h.MaxAge),
		"max_connections_per_ip": options.Count(&h.MaxConnectionsPerIP),
		"forget":                 options.Duration(&h.Forget),
		"history":                h.parseHistory,
		"presence":               h.parsePresence,
		"close_on_reload":        options.Flag(&h.CloseOnReload),
	}.Block(d, "websocket", "the options of an app go into app <name> { ... }, those of a page into page { ... }")
	if err == nil && h.AppRaw == nil {
		return d.Errf("websocket needs an app, one of %s", appNames())
	}
	return err
}

// parseShortApp reads the app named behind the directive, if there is one. The
// block that follows is the directive's.
func (h *Handler) parseShortApp(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return nil
	}
	line := append([]caddyfile.Token{d.Token()}, d.RemainingArgsAsTokens()...)
	app := caddyfile.NewDispenser(line)
	app.Next()
	err := h.loadAppTokens(app)
	if err != nil && slices.ContainsFunc(line[1:], likeMatcher) {
		return fmt.Errorf("%w; a matcher stands before the app", err)
	}
	return err
}

// likeMatcher reports whether an argument behind the app may be meant as the matcher
// of the directive: a path or a named one.
func likeMatcher(t caddyfile.Token) bool { return strings.IndexAny(t.Text, "/@") == 0 }

// parseApp reads the option app.
func (h *Handler) parseApp(d *caddyfile.Dispenser) error {
	if h.AppRaw != nil {
		return d.Errf("the app is named twice, behind websocket and by the option app: name one of %s", appNames())
	}
	if !d.NextArg() {
		return d.Errf("option \"app\" needs a name, one of %s", appNames())
	}
	return h.loadAppTokens(d)
}

// loadAppTokens reads the app whose name d stands on.
func (h *Handler) loadAppTokens(d *caddyfile.Dispenser) error {
	var err error
	h.AppRaw, err = unmarshalGuest(d, appNamespace, "app")
	return err
}

// unmarshalGuest reads the module whose name d stands on.
func unmarshalGuest(d *caddyfile.Dispenser, namespace, kind string) (json.RawMessage, error) {
	name := d.Val()
	if _, err := caddy.GetModule(namespace + "." + name); err != nil {
		return nil, d.Errf("there is no %s %q, expected one of %s", kind, name, moduleNames(namespace))
	}
	module, err := caddyfile.UnmarshalModule(d, namespace+"."+name)
	if err != nil {
		return nil, err
	}
	return caddyconfig.JSONModuleObject(module, "name", name, nil), nil
}

func appNames() string { return moduleNames(appNamespace) }

// moduleNames lists the modules of a namespace.
func moduleNames(namespace string) string {
	var names []string
	for _, module := range caddy.GetModules(namespace) {
		names = append(names, module.ID.Name())
	}
	return strings.Join(names, ", ")
}

// parsePing reads `ping <interval> [<timeout>]` or `ping off`.
func (h *Handler) parsePing(d *caddyfile.Dispenser) error {
	if err := options.DurationOrOff(&h.PingInterval)(d); err != nil {
		return err
	}
	if h.PingInterval == options.Off || d.CountRemainingArgs() == 0 {
		return nil
	}
	return options.Duration(&h.PingTimeout)(d)
}

// parseCompression reads `compression [<level>] [takeover]`.
func (h *Handler) parseCompression(d *caddyfile.Dispenser) error {
	h.CompressionLevel = frames.MinLevel
	if !d.NextArg() || h.takesOver(d) {
		return nil
	}
	var err error
	h.CompressionLevel, err = strconv.Atoi(d.Val())
	if err != nil || h.CompressionLevel < frames.MinLevel || h.CompressionLevel > frames.MaxLevel {
		return d.Errf("option \"compression\" needs a level from %d to %d or takeover, found %q", frames.MinLevel, frames.MaxLevel, d.Val())
	}
	if d.NextArg() && !h.takesOver(d) {
		return d.Errf("option \"compression\" has nothing but takeover behind the level, found %q", d.Val())
	}
	return nil
}

// takesOver reports whether d stands on the word takeover, and notes it.
func (h *Handler) takesOver(d *caddyfile.Dispenser) bool {
	h.CompressionTakeover = d.Val() == "takeover"
	return h.CompressionTakeover
}

// parseMessageRate reads `message_rate <n>/s [<burst>]`.
func (h *Handler) parseMessageRate(d *caddyfile.Dispenser) error {
	var text string
	if err := options.Text(&text)(d); err != nil {
		return err
	}
	number, perSecond := strings.CutSuffix(text, "/s")
	var err error
	h.MessageRate, err = strconv.ParseFloat(number, 64)
	if err != nil || !perSecond || !(h.MessageRate > 0 && h.MessageRate <= maxMessageRate) { // not Inf, which JSON lacks
		return options.Errf(d, "%q is not a rate such as 10/s", text)
	}
	if !d.NextArg() {
		return nil
	}
	h.MessageBurst, err = strconv.Atoi(d.Val())
	if err != nil || h.MessageBurst < 1 {
		return options.Errf(d, "burst %q is not a number from 1", d.Val())
	}
	return nil
}

func parseGlobal(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		d.Next() // for the line in the error
		return nil, d.Err("the global option websocket is given twice")
	}
	app := new(App)
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "websocket", Value: caddyconfig.JSON(app, nil)}, nil
}

// UnmarshalCaddyfile sets up the process-wide settings from Caddyfile tokens.
// Syntax:
//
//	websocket {
//		engine <name> [<args...>]
//		drain <duration> | off
//		max_connections <n>
//		max_rooms <n>
//		max_stored_rooms <n>
//	}
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return options.Set{
		"engine":           a.parseEngine,
		"drain":            options.DurationOrOff(&a.Drain),
		"max_connections":  options.Count(&a.MaxConnections),
		"max_rooms":        options.Count(&a.MaxRooms),
		"max_stored_rooms": options.Count(&a.MaxStoredRooms),
	}.App(d)
}

func (a *App) parseEngine(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.Errf("option \"engine\" needs a name, one of %s", moduleNames(engineNamespace))
	}
	var err error
	a.EngineRaw, err = unmarshalGuest(d, engineNamespace, "engine")
	return err
}

// Interface guards
var (
	_ caddyfile.Unmarshaler = (*Handler)(nil)
	_ caddyfile.Unmarshaler = (*App)(nil)
)
