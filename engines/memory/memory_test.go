package memory_test

import (
	"testing"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/enginestest"
	"github.com/caddyws/caddy-websocket/engines/memory"
)

func TestContract(t *testing.T) {
	enginestest.Run(t, func() engines.Engine { return new(memory.Engine) })
}
