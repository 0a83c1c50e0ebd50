package hub_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
)

// lossy is an engine that may lose what was stored last.
type lossy struct {
	engines.Engine
	old atomic.Pointer[memory.Engine] // what rooms are kept in now; nil: the engine itself
}

// lossyNode is a node over an engine that may lose what was stored last.
func lossyNode(c *common) (*node, *lossy) {
	n := c.node()
	l := &lossy{Engine: n.Engine}
	n.Engine = l
	return n, l
}

// lose leaves a room, and nothing else.
func (l *lossy) lose(t *testing.T, key engines.Key, left []byte) {
	t.Helper()
	old := new(memory.Engine)
	if _, err := old.Swap(t.Context(), key, 0, engines.Value{State: left, Used: time.Now()}); err != nil {
		t.Fatal(err)
	}
	l.old.Store(old)
}

func (l *lossy) now() engines.Engine {
	if old := l.old.Load(); old != nil {
		return old
	}
	return l.Engine
}

func (l *lossy) Load(ctx context.Context, key engines.Key) ([]byte, uint64, error) {
	return l.now().Load(ctx, key)
}

func (l *lossy) Swap(ctx context.Context, key engines.Key, rev uint64, v engines.Value) (uint64, error) {
	return l.now().Swap(ctx, key, rev, v)
}

// A room whose last changes the servers have lost goes on with what they still have, which its
// members are told.
func TestMembersAreToldWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCommon()
		rt := hubtest.Route(hubtest.NewCounterApp())
		n, engine := lossyNode(c)
		h, end := startNode(t, n, hub.Limits{}, rt)
		defer end()
		m := hubtest.Bubble{Hub: h}.Client(t, rt)
		m.Send("1")
		m.Expect("1")
		left, _, err := c.Load(t.Context(), engines.Key{App: rt.AppName, Room: "room"})
		if err != nil {
			t.Fatal(err)
		}
		m.Send("1")
		m.Expect("2")
		m.Send("1")
		m.Expect("3")
		synctest.Wait()
		engine.lose(t, engines.Key{App: rt.AppName, Room: "room"}, left)
		hubtest.Post(t, h, rt, "room", "1", "error: unavailable, try again later")
		if view, err := h.View(t.Context(), rt, "room"); err != nil || view.Version != 1 {
			t.Fatalf("%+v, %v", view, err)
		}
		m.Expect("1")
		hubtest.Post(t, h, rt, "room", "1", "2")
		m.Expect("2")
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Events behind those that are lost are told outside, though they have the same numbers.
func TestEventsBehindALossAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCommon()
		n, engine := lossyNode(c)
		a := startAlarmNodeOver(t, n)
		defer a.end()
		m := a.Client(t, a.route)
		a.post("room", "tell all 1", "1")
		a.expect(t, "all 1")
		time.Sleep(time.Minute)
		key := engines.Key{App: a.route.AppName, Room: "room"}
		left, _, err := c.Load(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		a.post("room", "tell all 2", "2")
		a.post("room", "tell all 3", "3")
		a.expect(t, "all 2", "all 3")
		time.Sleep(time.Minute)
		engine.lose(t, key, left)
		a.post("room", "op", "error: unavailable, try again later")
		a.post("room", "tell all 2 anew", "2")
		a.expect(t, "all 2 anew")
		time.Sleep(time.Minute)
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		a.post("room", "op", "3") // it can be loaded
		a.expect(t)
	})
}
