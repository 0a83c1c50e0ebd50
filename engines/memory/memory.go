// Package memory is the engine that keeps rooms as long as the process lives.
//
// Rooms live through configuration reloads, since the hub and its engine do,
// and are gone after a restart.
package memory

import (
	"context"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/options"
)

func init() { caddy.RegisterModule(new(Opener)) }

// Opener keeps the state of rooms in memory, until Caddy ends.
type Opener struct{}

// CaddyModule returns the Caddy module information.
func (*Opener) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "websocket.engines.memory",
		New: func() caddy.Module { return new(Opener) },
	}
}

// UnmarshalCaddyfile reads `memory`; the engine has no options.
func (*Opener) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return options.Set{}.App(d)
}

// Identity is empty: all configurations have the same rooms.
func (*Opener) Identity() string { return "" }

// Open returns an engine without rooms.
func (*Opener) Open(context.Context) (engines.Engine, error) { return new(Engine), nil }

// Interface guards
var (
	_ caddy.Module          = (*Opener)(nil)
	_ caddyfile.Unmarshaler = (*Opener)(nil)
	_ engines.Opener        = (*Opener)(nil)
)
