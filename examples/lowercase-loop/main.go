// Command lowercase-loop is Caddy with an app that is a loop: it waits for a
// message, answers it, and waits for the next one.
package main

import (
	"context"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddyws/caddy-websocket"
	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/options"
)

func main() { caddycmd.Main() }

// lowerCase is the app. It runs once for each client.
func lowerCase(_ context.Context, s *apps.Session) error {
	for m := range s.Messages() {
		s.Send(apps.Text(strings.ToLower(string(m.Data))))
	}
	return nil
}

func init() { caddy.RegisterModule(App{}) }

// App is lowerCase as the Caddy module http.websocket.apps.lower_case.
type App struct {
	apps.Loop `json:"-"`
}

// CaddyModule returns the Caddy module information.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.websocket.apps.lower_case",
		New: func() caddy.Module { return &App{Loop: lowerCase} },
	}
}

// UnmarshalCaddyfile reads `lower_case`; the app has no options.
func (*App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return options.Set{}.App(d) }

// Pure reports that the app only answers: GET ?message= is allowed.
func (*App) Pure() {}
