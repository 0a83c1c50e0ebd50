package hub_test

import (
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/route"
)

// startNode starts a node. It is closed by the function that is returned.
func startNode(t *testing.T, n *node, limits hub.Limits, rt *route.Route) (h *hub.Hub, end func()) {
	t.Helper()
	h = hub.New(n, limits, zap.NewNop)
	if err := h.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.Begin([]*route.Route{rt})
	return h, func() {
		t.Helper()
		if err := h.Close(hubtest.Patience, frames.GoingAway, ""); err != nil {
			t.Error(err)
		}
	}
}

// A room is forgotten over an engine that other nodes use, too: by the node that has used it,
// and, if that is gone, by another one.
func TestRoomsOfNodesAreForgotten(t *testing.T) {
	for name, dies := range map[string]bool{"by its node": false, "by another": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCommon()
				ra, rb := forgetsAfter("test", time.Hour), forgetsAfter("test", time.Hour)
				a, endA := startNode(t, c.node(), hub.Limits{}, ra)
				hubtest.Post(t, a, ra, "room", "op", "1")
				if dies {
					endA()
					var endB func()
					_, endB = startNode(t, c.node(), hub.Limits{}, rb)
					defer endB()
				} else {
					defer endA()
				}
				time.Sleep(59 * time.Minute)
				if n := stored(t, c); n != 1 {
					t.Errorf("%d rooms are stored before the time", n)
				}
				time.Sleep(20 * time.Minute)
				if n := stored(t, c); n != 0 {
					t.Errorf("%d rooms are stored after it", n)
				}
			})
		})
	}
}

// A room with a member on another node is not forgotten, however short the time, and is once
// the member has gone.
func TestRoomInUseOnAnotherNodeIsNotForgotten(t *testing.T) {
	for _, forget := range []time.Duration{10 * time.Millisecond, 30 * time.Second, 90 * time.Second, 10 * time.Minute} {
		for _, later := range []time.Duration{0, 7 * time.Second, 59 * time.Second} {
			synctest.Test(t, func(t *testing.T) {
				c := newCommon()
				ra, rb := forgetsAfter("test", forget), forgetsAfter("test", forget)
				a, endA := startNode(t, c.node(), hub.Limits{}, ra)
				defer endA()
				b, endB := startNode(t, c.node(), hub.Limits{}, rb)
				defer endB()
				time.Sleep(later)
				m := hubtest.Bubble{Hub: b}.Client(t, rb)
				hubtest.Post(t, a, ra, "room", "op", "1")
				for range 100 {
					time.Sleep(forget + 7*time.Second)
					if n := stored(t, c); n != 1 {
						t.Fatalf("with forget %v: %d rooms are stored", forget, n)
					}
				}
				if err := m.Close(); err != nil {
					t.Error(err)
				}
				time.Sleep(2*forget + 5*time.Minute)
				if n := stored(t, c); n != 0 {
					t.Errorf("with forget %v: %d rooms are stored without a member", forget, n)
				}
			})
		}
	}
}
