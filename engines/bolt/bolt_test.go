package bolt

import (
	"path/filepath"
	"testing"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/enginestest"
)

func TestContract(t *testing.T) {
	enginestest.Run(t, func(t *testing.T) engines.Opener {
		return &Opener{Path: filepath.Join(t.TempDir(), "folder", "rooms.db")}
	})
}
