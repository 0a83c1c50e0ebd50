package hubtest

import (
	"context"
	"testing"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// Post sends a text by a plain request, which must be answered with want.
func Post(t testing.TB, h *hub.Hub, rt *route.Route, name, text, want string) {
	t.Helper()
	a, err := h.Ask(context.Background(), rt, room.Visitor{Room: name}, apps.Text(text), nil)
	if err != nil || string(a.Data) != want {
		t.Errorf("%s in %s: %q, %v, want %q", text, name, a.Data, err, want)
	}
}
