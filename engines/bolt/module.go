package bolt

import (
	"context"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/options"
)

func init() { caddy.RegisterModule(new(Opener)) }

// Opener keeps the state of rooms in a file. What is acknowledged is on disk.
type Opener struct {
	// The file. It is created with mode 0600, its folder with mode 0700; an empty one
	// is as good as none, and keeps its owner. A file of the same name with ".lock"
	// added stands beside it. One process at a time can
	// use it. Default: websocket/rooms.db in Caddy's data directory.
	Path string `json:"path,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*Opener) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "websocket.engines.bolt",
		New: func() caddy.Module { return new(Opener) },
	}
}

// UnmarshalCaddyfile reads `bolt [<path>]`.
func (o *Opener) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		if o.Path = d.Val(); o.Path == "" {
			return d.Err("the path of the engine bolt is empty")
		}
	}
	if d.NextArg() {
		return d.Errf("unexpected argument %q behind the path of the engine bolt", d.Val())
	}
	return options.Set{}.Block(d, "bolt")
}

// Identity is the file's absolute path with symbolic links resolved.
func (o *Opener) Identity() string {
	path := o.Path
	if path == "" {
		path = filepath.Join(caddy.AppDataDir(), "websocket", "rooms.db")
	}
	return resolve(path)
}

// Open opens the file, which is created if there is none. A file of which more than half
// is free is made smaller, for which Open takes up to five seconds.
func (o *Opener) Open(ctx context.Context) (engines.Engine, error) {
	e, err := open(ctx, o.Identity())
	if err != nil {
		return nil, err
	}
	return e, nil
}

// logger returns the logger of the configuration that is running now.
func logger() *zap.Logger { return caddy.Log().Named("websocket.engines.bolt") }

// Interface guards
var (
	_ caddy.Module          = (*Opener)(nil)
	_ caddyfile.Unmarshaler = (*Opener)(nil)
	_ engines.Opener        = (*Opener)(nil)
)
