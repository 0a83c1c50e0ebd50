package hub_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// Members whose server ends are sent back after a while, spread over a time, event streams
// last. If the hub closes before, that is what they are told.
func TestSendBack(t *testing.T) {
	hubtest.InBubble(t, new(memory.Engine), hub.Limits{Drain: time.Hour}, func(t *testing.T, b hubtest.Bubble) {
		rt := hubtest.Route(hubtest.NewCounterApp())
		clients := []*hubtest.Client{b.Client(t, rt), b.Client(t, rt), b.Client(t, rt)}
		stream := stay(t, b.Hub, rt, room.Visitor{Room: "room", Events: true})
		members := func() (all []*room.Member) {
			all = append(all, stream.Member)
			for _, c := range clients {
				all = append(all, c.Member)
			}
			return all
		}
		begun := time.Now()
		b.SendBack(members, 5*time.Second, 12*time.Millisecond)
		for i, c := range clients {
			c.ExpectClose(frames.ServiceRestart)
			if waited, want := time.Since(begun), 5*time.Second+time.Duration(i)*3*time.Millisecond; waited != want {
				t.Errorf("closed after %v, want %v", waited, want)
			}
			c.Close()
		}
		synctest.Wait()
		clients = []*hubtest.Client{b.Client(t, rt)}
		b.SendBack(members, time.Hour, 0)
		stream.Abandon()
		b.End()
		clients[0].ExpectClose(frames.GoingAway)
		clients[0].Close()
	})
}

// Routes that a reload has changed and that cannot be told apart are warned of once, and
// their members come back.
func TestRoutesThatCannotBeToldApart(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	log := zap.New(core)
	w := hubtest.Over(t, hub.New(hubtest.Opens(new(memory.Engine)), hub.Limits{}, func() *zap.Logger { return log }))
	twin := func(source string) *route.Route {
		c := *hubtest.Route(hubtest.NewCounterApp()).Config()
		c.Source = source
		return route.New("twin", "test", c)
	}
	before := routes(twin("a"), twin("b"))
	w.Begin(before)
	clients := []*hubtest.Client{w.Join(before[0]), w.Join(before[1])}
	w.Adopt(before, routes(twin("c"), twin("d")), hub.Limits{})
	for _, c := range clients {
		c.ExpectClose(frames.ServiceRestart)
	}
	if n := logs.FilterMessageSnippet("cannot be told apart").Len(); n != 1 {
		t.Errorf("%d lines", n)
	}
}

// Routes of a configuration that has come to nothing let nobody in, and send back who is.
func TestRoutesThatAreWithdrawn(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	withdrawn, stays := named("a", hubtest.NewCounterApp()), named("b", hubtest.NewCounterApp())
	c, other := w.Join(withdrawn), w.Enter(stays, room.Visitor{Room: "other"})
	w.Withdraw(routes(withdrawn))
	c.ExpectClose(frames.ServiceRestart)
	if _, err := w.Hub.Join(t.Context(), withdrawn, room.Visitor{Room: "room"}); !errors.Is(err, hub.ErrClosed) {
		t.Error(err)
	}
	other.Send("op")
	other.Expect("1")
}
