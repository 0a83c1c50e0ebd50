// Package echo is the app that sends back what came.
package echo

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/options"
)

func init() { caddy.RegisterModule(App{}) }

// App sends every message back to its sender, text as text and binary as
// binary.
type App struct {
	// Close the connection with 1000 after the first reply. Default: false.
	Once bool `json:"once,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.websocket.apps.echo",
		New: func() caddy.Module { return new(App) },
	}
}

// UnmarshalCaddyfile sets up the app from Caddyfile tokens. Syntax:
//
//	echo {
//		once
//	}
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return options.Set{"once": options.Flag(&a.Once)}.App(d)
}

// Receive sends m back.
func (a *App) Receive(c apps.Conn, m apps.Message) error {
	c.Send(m)
	if a.Once {
		c.Close(1000, "")
	}
	return nil
}

// Pure reports that Receive only answers.
func (*App) Pure() {}

// Inline reports that Receive never blocks.
func (*App) Inline() {}

// Interface guards
var (
	_ caddy.Module          = (*App)(nil)
	_ caddyfile.Unmarshaler = (*App)(nil)
	_ apps.App              = (*App)(nil)
	_ apps.Pure             = (*App)(nil)
	_ apps.Inline           = (*App)(nil)
)
