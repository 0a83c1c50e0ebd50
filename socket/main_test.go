package socket

import (
	"testing"

	"github.com/caddyws/caddy-websocket/leaktest"
)

// Every goroutine that a test of this package leads to has ended at its end, but
// for the loops, which the process keeps.
func TestMain(m *testing.M) {
	leaktest.Main(m, leaktest.IgnoreLoops())
}
