package room_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/replica"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// touched runs a test with a member of a room, which has counted 1 and is forgotten after
// a day. What it returns has the room touched.
func touched(t *testing.T, test func(t *testing.T, e *hubtest.Engine, rt *route.Route, c *hubtest.Client, touch func())) {
	e := hubtest.NewEngine()
	hubtest.InBubble(t, e, hub.Limits{}, func(t *testing.T, h hubtest.Bubble) {
		rt := route.New("test", "test", route.Config{App: hubtest.NewCounterApp(), Named: true, Forget: 24 * time.Hour, Settings: *hubtest.Route(nil).Settings.Load()})
		c := h.Client(t, rt)
		c.Send("op")
		c.Expect("1")
		m, err := h.Join(context.Background(), rt, room.Visitor{Room: "room"})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Depart()
		time.Sleep(2 * time.Hour)
		test(t, e, rt, c, m.Room().Touch)
	})
}

// Members are told what another process has stored when the room finds it on being
// touched.
func TestATouchThatFindsAnotherState(t *testing.T) {
	touched(t, func(t *testing.T, e *hubtest.Engine, rt *route.Route, c *hubtest.Client, touch func()) {
		keys, err := e.List(t.Context(), engines.Key{}, 1)
		if err != nil || len(keys) != 1 {
			t.Fatal(keys, err)
		}
		rival := replica.New(keys[0], &replica.Store{Engine: e.Engine}, func(err error) { t.Error(err) })
		if err := rival.Load(t.Context(), hubtest.NewCounterApp(), "test"); err != nil {
			t.Fatal(err)
		}
		for _, res := range rival.Commit(t.Context(), make([]replica.Operation, 1)) {
			if res.Err != nil {
				t.Fatal(res.Err)
			}
		}
		touch()
		c.Expect("2")
	})
}

// A touch whose outcome is not known is settled without anybody sending an operation.
func TestATouchOfUnknownOutcomeIsSettled(t *testing.T) {
	touched(t, func(t *testing.T, e *hubtest.Engine, rt *route.Route, c *hubtest.Client, touch func()) {
		e.OnSwap(func(func() error) error { return errors.New("timeout") })
		touch()
		time.Sleep(time.Minute)
		e.OnSwap(nil)
		swaps := e.Swaps()
		time.Sleep(time.Minute)
		if n := e.Swaps() - swaps; n != 1 {
			t.Errorf("swapped %d times", n)
		}
		c.Send("op")
		c.Expect("2")
	})
}
