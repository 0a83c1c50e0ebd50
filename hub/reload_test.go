package hub_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
	"github.com/caddyws/caddy-websocket/socket"
)

// named is a route with a name.
func named(name string, app apps.App) *route.Route {
	return route.New(name, "test", route.Config{App: app, Settings: socket.Settings{MaxMessageSize: 1 << 10, MaxQueue: 1 << 20}})
}

func routes(all ...*route.Route) []*route.Route { return all }

// A visitor that joins while configurations follow each other is in the room and stays, or
// is told that the route is gone, by a refusal or by 1001.
func TestAdoptWhileMembersJoin(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	now := named("a", hubtest.NewCounterApp())
	var mu sync.Mutex // of now
	current := func() *route.Route {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	var joining sync.WaitGroup
	for range 4 {
		joining.Go(func() {
			for range 50 {
				m, err := w.Hub.Join(context.Background(), current(), room.Visitor{Room: "room"})
				if err != nil {
					t.Error(err)
					return
				}
				m.Member.App().Room().Apply(m.Member.App(), []byte("op"))
				m.Abandon()
			}
		})
	}
	stays := w.Join(current())
	for range 20 {
		before, next := current(), named("a", hubtest.NewCounterApp())
		w.Hub.Adopt(routes(before), routes(next), hub.Limits{})
		mu.Lock()
		now = next
		mu.Unlock()
	}
	joining.Wait()
	w.Hub.Adopt(routes(current()), nil, hub.Limits{})
	for {
		op, p, err := stays.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if op == frames.Close {
			if code, _, _ := frames.ParseClose(p); code != frames.GoingAway {
				t.Errorf("closed with %d", code)
			}
			return
		}
	}
}

// A route that is gone lets nobody in, and closes who was on his way.
func TestARouteThatIsGoneRefusesLateJoins(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	app := hubtest.NewCounterApp()
	route, other := named("a", app), named("b", app)
	joining, pass := make(chan struct{}), make(chan struct{})
	app.OnJoin = func(apps.Conn) error {
		joining <- struct{}{}
		<-pass
		return nil
	}
	joined := make(chan *hub.Connection)
	go func() {
		m, err := w.Hub.Join(context.Background(), route, room.Visitor{Room: "room"})
		if err != nil {
			t.Error(err)
		}
		joined <- m
	}()
	<-joining
	w.Hub.Adopt(routes(route, other), routes(other), hub.Limits{})
	close(pass)
	w.Serve(<-joined).ExpectClose(frames.GoingAway)
	app.OnJoin = nil
	if _, err := w.Hub.Join(context.Background(), route, room.Visitor{Room: "room"}); !errors.Is(err, hub.ErrClosed) {
		t.Errorf("joining: %v", err)
	}
	if _, err := w.Hub.View(context.Background(), route, "room"); !errors.Is(err, hub.ErrClosed) {
		t.Errorf("looking: %v", err)
	}
	if _, err := w.Hub.Ask(context.Background(), route, room.Visitor{Room: "room"}, apps.Text("op"), nil); !errors.Is(err, hub.ErrClosed) {
		t.Errorf("asking: %v", err)
	}
	w.Join(other).Send("op")
}

// Of two routes that lead to one room one goes, be it the room's own: the members
// of the other stay, and the room follows that one's configuration from then on.
func TestOneOfTwoRoutesToARoomGoes(t *testing.T) {
	for i := range 2 {
		w := hubtest.New(t, new(memory.Engine))
		two := routes(named("a", hubtest.NewCounterApp()), named("b", hubtest.NewCounterApp()))
		clients := []*hubtest.Client{w.Join(two[0]), w.Join(two[1])}
		clients[0].Send("op")
		clients[0].Expect("1")
		clients[1].Expect("1")
		stays := clients[1-i]
		next := named(two[1-i].Name, &offsetApp{hubtest.NewCounterApp(), 100})
		w.Hub.Adopt(two, routes(next), hub.Limits{})
		clients[i].ExpectClose(frames.GoingAway)
		stays.Send("op")
		stays.Expect("102")
	}
}

// offsetApp is a counter that shows more than it has counted.
type offsetApp struct {
	*hubtest.CounterApp
	offset int
}

func (a *offsetApp) NewState() apps.State {
	return &offset{hubtest.Counter{Faults: a.Faults}, a.offset}
}

type offset struct {
	hubtest.Counter
	by int
}

func (o *offset) Apply(op apps.Op) (apps.Outcome, error) {
	_, err := o.Counter.Apply(op)
	text := apps.Body{Text: fmt.Append(nil, o.N+o.by)}
	return apps.Outcome{Reply: text, Update: text}, err
}

// strictApp cannot read the states of others.
type strictApp struct{ *hubtest.CounterApp }

func (strictApp) NewState() apps.State { return new(strict) }

type strict struct{ hubtest.Counter }

func (*strict) UnmarshalBinary([]byte) error { return errors.New("written by another version") }

// A state that the new app cannot read is kept for one that can. Meanwhile
// members see what they saw, nothing is done, and a room out of memory is not
// available.
func TestAStateThatTheNewAppCannotReadIsKept(t *testing.T) {
	const unavailable = "error: unavailable, try again later"
	e := hubtest.NewEngine()
	w := hubtest.New(t, e)
	good, bad, again := named("a", hubtest.NewCounterApp()), named("a", strictApp{hubtest.NewCounterApp()}), named("a", hubtest.NewCounterApp())
	c := w.Join(good)
	c.Send("op", "op")
	c.Expect("1", "2")
	key := engines.Key{App: "test", Room: "room"}
	before, rev, err := e.Load(context.Background(), key)
	if err != nil {
		t.Fatal(err)
	}
	hubtest.Post(t, w.Hub, good, "asleep", "op", "1")
	hubtest.Until(t, "the room to leave memory", func() bool { return w.Hub.Rooms() == 1 })
	w.Hub.Adopt(routes(good), routes(bad), hub.Limits{})
	c.Send("op", "op")
	c.Expect(unavailable, unavailable)
	hubtest.Post(t, w.Hub, bad, "room", "op", unavailable)
	if view, err := w.Hub.View(context.Background(), bad, "room"); err != nil || string(view.Text) != "2" {
		t.Errorf("the room shows %q, %v", view.Text, err)
	}
	if _, err := w.Hub.Join(context.Background(), bad, room.Visitor{Room: "asleep"}); !errors.Is(err, room.ErrUnavailable) {
		t.Errorf("joining: %v", err)
	}
	if after, now, err := e.Load(context.Background(), key); err != nil || now != rev || string(after) != string(before) {
		t.Errorf("%q was replaced by %q, %v", before, after, err)
	}
	w.Hub.Adopt(routes(bad), routes(again), hub.Limits{})
	c.Send("op")
	c.Expect("3")
	hubtest.Post(t, w.Hub, again, "asleep", "op", "2")
}

// departures has so many members leave and returns when each was told, from the
// beginning on.
func departures(t *testing.T, h *hub.Hub, route *route.Route, n int, leave func()) (all []time.Duration) {
	t.Helper()
	told := make(chan time.Time, n)
	for range n {
		m, err := h.Join(context.Background(), route, room.Visitor{Room: "room"})
		if err != nil {
			t.Fatal(err)
		}
		server, client := net.Pipe()
		m.Start(socket.Transport{Conn: server})
		go func() {
			var p [64]byte
			if _, err := client.Read(p[:]); err != nil || p[0] != 0x88 {
				t.Errorf("read %q, %v", p, err)
			}
			told <- time.Now()
			client.Close()
		}()
	}
	synctest.Wait()
	start := time.Now()
	leave()
	for range n {
		all = append(all, (<-told).Sub(start))
	}
	return all
}

// Members are sent away evenly over the drain, few of them faster, whether a
// reload or the end is the reason.
func TestDismissalIsSpread(t *testing.T) {
	for _, test := range []struct {
		members int
		drain   time.Duration
		pause   time.Duration
	}{
		{1000, 3 * time.Second, 3 * time.Millisecond},
		{20, time.Hour, 10 * time.Millisecond},
		{20, 0, 0},
	} {
		for name, leave := range map[string]func(h hubtest.Bubble, route *route.Route){
			"reload": func(h hubtest.Bubble, route *route.Route) { h.Adopt(routes(route), nil, hub.Limits{Drain: test.drain}) },
			"close":  func(h hubtest.Bubble, _ *route.Route) { h.End() },
		} {
			hubtest.InBubble(t, new(memory.Engine), hub.Limits{Drain: test.drain}, func(t *testing.T, h hubtest.Bubble) {
				route := named("a", hubtest.NewCounterApp())
				all := departures(t, h.Hub, route, test.members, func() { leave(h, route) })
				for i, at := range all {
					if want := time.Duration(i) * test.pause; at != want {
						t.Fatalf("%s of %d over %v: the %d-th is told after %v, not %v", name, test.members, test.drain, i, at, want)
					}
				}
			})
		}
	}
}

// A hub that closes while a reload still sends members away ends when its own
// drain does, with everybody told once.
func TestCloseDuringADismissal(t *testing.T) {
	hubtest.InBubble(t, new(memory.Engine), hub.Limits{Drain: time.Second}, func(t *testing.T, h hubtest.Bubble) {
		route := named("a", hubtest.NewCounterApp())
		all := departures(t, h.Hub, route, 500, func() {
			h.Adopt(routes(route), nil, hub.Limits{Drain: time.Hour})
			go func() {
				time.Sleep(time.Second) // 100 of 500 are gone
				h.End()
			}()
		})
		if last := all[len(all)-1]; last < 2*time.Second || last > 5*time.Second {
			t.Errorf("the last is told after %v", last)
		}
	})
}

// A room that is made while routes follow each other has the new app, too.
func TestAdoptFindsARoomMadeMeanwhile(t *testing.T) {
	var (
		h     *hub.Hub
		late  *hub.Connection
		named = route.New("a", "test", route.Config{App: hubtest.NewCounterApp(), Source: "1"})
		enter sync.Once
	)
	h = hub.New(hubtest.Opens(new(memory.Engine)), hub.Limits{}, func() *zap.Logger { // is asked when there is something to log
		enter.Do(func() {
			var err error
			if late, err = h.Join(context.Background(), named, room.Visitor{Room: "late"}); err != nil {
				t.Error(err)
			}
		})
		return zap.NewNop()
	})
	doubtful := route.New("b", "test", route.Config{App: hubtest.NewCounterApp(), Source: "2"})
	h.Adopt(routes(named, doubtful), routes(
		route.New("a", "test", route.Config{App: &offsetApp{hubtest.NewCounterApp(), 100}, Source: "3"}),
		route.New("b", "test", route.Config{App: hubtest.NewCounterApp(), Source: "4"}),
		route.New("b", "test", route.Config{App: hubtest.NewCounterApp(), Source: "5"}),
	), hub.Limits{})
	if late == nil {
		t.Fatal("nothing was logged")
	}
	hubtest.Post(t, h, named, "late", "op", "101")
	late.Abandon()
	if err := h.Close(hubtest.Patience, frames.GoingAway, ""); err != nil {
		t.Error(err)
	}
}

// A handshake that was begun under the configuration before does not escape
// close_on_reload.
func TestCloseOnReloadFindsAHandshake(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	app := hubtest.NewCounterApp()
	config := route.Config{App: app, CloseOnReload: true, Settings: socket.Settings{MaxMessageSize: 100, MaxQueue: 1 << 20}}
	before, now := route.New("a", "test", config), route.New("a", "test", config)
	joining, pass := make(chan struct{}), make(chan struct{})
	app.OnJoin = func(apps.Conn) error {
		close(joining)
		<-pass
		return nil
	}
	joined := make(chan *hub.Connection)
	go func() {
		m, err := w.Hub.Join(context.Background(), before, room.Visitor{Room: "room"})
		if err != nil {
			t.Error(err)
		}
		joined <- m
	}()
	<-joining
	w.Hub.Adopt(routes(before), routes(now), hub.Limits{})
	close(pass)
	w.Serve(<-joined).ExpectClose(frames.ServiceRestart)
}
