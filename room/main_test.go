package room

import (
	"testing"

	"go.uber.org/goleak"
)

// Every goroutine that a test of this package leads to has ended at its end, but
// the loops of package socket, which last as long as the process.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/caddyws/caddy-websocket/socket.(*loop).run"))
}
