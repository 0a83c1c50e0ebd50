package caddyws

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/options"
)

func init() {
	caddy.RegisterModule(new(panicApp))
	caddy.RegisterModule(new(inlinePanicApp))
	caddy.RegisterModule(new(reportApp))
	caddy.RegisterModule(new(notAnApp))
	caddy.RegisterModule(new(muteApp))
	caddy.RegisterModule(new(namelessApp))
	caddy.RegisterModule(new(pageApp))
	caddy.RegisterModule(new(forgetfulEngine))
	caddy.RegisterModule(new(failingHandler))
	httpcaddyfile.RegisterHandlerDirective("test_failing", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return new(failingHandler), nil
	})
	httpcaddyfile.RegisterDirectiveOrder("test_failing", httpcaddyfile.After, "respond")
	caddy.RegisterModule(new(hidingHandler))
	httpcaddyfile.RegisterHandlerDirective("test_hiding", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return new(hidingHandler), nil
	})
	httpcaddyfile.RegisterDirectiveOrder("test_hiding", httpcaddyfile.Before, "respond")
}

// panicApp is an echo that panics when it is told to.
type panicApp struct{}

func (*panicApp) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.websocket.apps.test_panic", New: func() caddy.Module { return new(panicApp) }}
}

func (*panicApp) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return options.Set{}.App(d) }

func (*panicApp) Receive(c apps.Conn, m apps.Message) error {
	switch string(m.Data) {
	case "panic":
		panic("the app's\nown fault")
	case "error":
		return errors.New("the app's\nown error")
	}
	c.Room().Publish(m)
	return nil
}

// Join panics or refuses when the query says so.
func (*panicApp) Join(_ apps.Conn, h apps.Handshake) error {
	switch {
	case h.Query.Has("panic"):
		panic("at the door")
	case h.Query.Has("refuse"):
		return errors.New("a secret reason")
	}
	return nil
}

// inlinePanicApp is the same on the connection's own loop.
type inlinePanicApp struct{ panicApp }

func (*inlinePanicApp) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.websocket.apps.test_panic_inline", New: func() caddy.Module { return new(inlinePanicApp) }}
}

func (*inlinePanicApp) Inline() {}

// reportApp says what it knows of a client.
type reportApp struct{}

// report is what reportApp says.
type report struct{ Room, ClientIP, User, Subprotocol, Query, Header string }

func (*reportApp) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.websocket.apps.test_report", New: func() caddy.Module { return new(reportApp) }}
}

func (*reportApp) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return options.Set{}.App(d) }

func (*reportApp) Join(c apps.Conn, h apps.Handshake) error {
	text, err := json.Marshal(report{c.Room().Name(), c.ClientIP(), c.User(), c.Subprotocol(), h.Query.Get("q"), h.Header.Get("X-Test")})
	c.Send(apps.Message{Data: text})
	return err
}

func (*reportApp) Receive(apps.Conn, apps.Message) error { return nil }
func (*reportApp) Subprotocols() []string                { return []string{"v2.test", "v1.test"} }

// notAnApp stands in the apps' namespace and is none.
type notAnApp struct{}

func (*notAnApp) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.websocket.apps.test_not_an_app", New: func() caddy.Module { return new(notAnApp) }}
}

// muteApp cannot say what it speaks.
type muteApp struct{ reportApp }

func (*muteApp) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.websocket.apps.test_mute", New: func() caddy.Module { return new(muteApp) }}
}

func (*muteApp) Subprotocols() []string { panic("speechless") }

// namelessApp cannot say which alerts it has.
type namelessApp struct{ reportApp }

func (*namelessApp) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.websocket.apps.test_nameless", New: func() caddy.Module { return new(namelessApp) }}
}

func (*namelessApp) AlertNames() []string { panic("nameless") }

// failingHandler is somebody else's, and cannot be provisioned.
type failingHandler struct{}

func (*failingHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_failing", New: func() caddy.Module { return new(failingHandler) }}
}

func (*failingHandler) Provision(caddy.Context) error { return errors.New("somebody else's failure") }

func (*failingHandler) ServeHTTP(http.ResponseWriter, *http.Request, caddyhttp.Handler) error {
	return nil
}

// hidingHandler wraps the ResponseWriter in one that cannot be unwrapped.
type hidingHandler struct{}

func (*hidingHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_hiding", New: func() caddy.Module { return new(hidingHandler) }}
}

func (*hidingHandler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return next.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
}

// pageApp brings a page of its own.
type pageApp struct {
	reportApp
	HTML *string `json:"html,omitempty"`
}

func (*pageApp) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.websocket.apps.test_page", New: func() caddy.Module { return new(pageApp) }}
}

func (a *pageApp) Page() []byte {
	switch {
	case a.HTML == nil:
		return []byte("<p>The app's own")
	case *a.HTML == "panic":
		panic("no page")
	}
	return []byte(*a.HTML)
}

// forgetfulEngine keeps states, but no messages.
type forgetfulEngine struct{}

func (*forgetfulEngine) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "websocket.engines.test_forgetful", New: func() caddy.Module { return new(forgetfulEngine) }}
}

func (*forgetfulEngine) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // its name
	return nil
}

func (*forgetfulEngine) Identity() string { return "" }

func (*forgetfulEngine) Open(context.Context) (engines.Engine, error) {
	return struct{ engines.Engine }{new(memory.Engine)}, nil
}
