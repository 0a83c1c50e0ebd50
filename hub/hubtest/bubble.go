package hubtest

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// Bubble is a hub in a world in which time passes only when everybody waits.
type Bubble struct {
	*hub.Hub
	End func() // begins to close it, once
}

// Client lets a client into the room "room".
func (b Bubble) Client(t *testing.T, rt *route.Route) *Client {
	t.Helper()
	c, err := Dial(t, b.Hub, rt, room.Visitor{Room: "room"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Dial lets a visitor in over a connection that keeps nothing.
func Dial(t testing.TB, h *hub.Hub, rt *route.Route, v room.Visitor) (*Client, error) {
	t.Helper()
	m, err := h.Join(context.Background(), rt, v)
	if err != nil {
		return nil, err
	}
	server, client := net.Pipe()
	return start(t, m, server, client), nil
}

// InBubble runs a test in a bubble, and closes the hub afterwards.
func InBubble(t *testing.T, engine engines.Engine, limits hub.Limits, test func(t *testing.T, b Bubble)) {
	synctest.Test(t, func(t *testing.T) {
		h, ended := hub.New(Opens(engine), limits, zap.NewNop), make(chan error)
		end := sync.OnceFunc(func() {
			go func() { ended <- h.Close(Patience, frames.GoingAway, "") }()
		})
		test(t, Bubble{h, end})
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
