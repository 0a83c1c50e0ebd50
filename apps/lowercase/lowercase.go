// Package lowercase is the app that answers a text with its lower case.
package lowercase

import (
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/options"
)

func init() { caddy.RegisterModule(App{}) }

// App answers every text message with its Unicode lower case. A binary message
// closes the connection with 1003.
type App struct{}

// CaddyModule returns the Caddy module information.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.websocket.apps.lowercase",
		New: func() caddy.Module { return new(App) },
	}
}

// UnmarshalCaddyfile reads `lowercase`; the app has no options.
func (*App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return options.Set{}.App(d)
}

// Receive answers m.
func (*App) Receive(c apps.Conn, m apps.Message) error {
	if m.Binary {
		return &apps.CloseError{Code: 1003, Reason: "lowercase takes text only"}
	}
	c.Send(apps.Text(strings.ToLower(string(m.Data))))
	return nil
}

// Pure tells that Receive only answers.
func (*App) Pure() {}

// Inline tells that Receive never blocks.
func (*App) Inline() {}

// Interface guards
var (
	_ caddy.Module          = (*App)(nil)
	_ caddyfile.Unmarshaler = (*App)(nil)
	_ apps.App              = (*App)(nil)
	_ apps.Pure             = (*App)(nil)
	_ apps.Inline           = (*App)(nil)
)
