package hub

import (
	"testing"

	"github.com/caddyws/caddy-websocket/leaktest"
)

// Every goroutine that a test of this package leads to has ended at its end, but
// the loops of package socket, which last as long as the process.
func TestMain(m *testing.M) {
	leaktest.Main(m, leaktest.IgnoreLoops())
}
