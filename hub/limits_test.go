package hub_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/replica"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
	"github.com/caddyws/caddy-websocket/socket"
)

// forgetting is a route that deletes rooms an hour after their last use.
func forgetting(app apps.App) *route.Route {
	return route.New("test", "test", route.Config{App: app, Settings: socket.Settings{MaxMessageSize: 100, MaxQueue: 1 << 20}, Forget: time.Hour})
}

// Rooms that nobody is in, but in which an app still works, for a plain request or
// for a member who has left, take no place of one with members.
func TestOnlyRoomsWithMembersCount(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine), hub.Limits{MaxRooms: 2})
	app := hubtest.NewSlowApp()
	route := hubtest.Route(app)
	var asked sync.WaitGroup
	for i := range 200 {
		asked.Go(func() {
			a, err := w.Hub.Ask(context.Background(), route, room.Visitor{Room: strconv.Itoa(i)}, apps.Text("wait"), nil)
			if err != nil || string(a.Data) != "wait" {
				t.Errorf("%+v, %v", a, err)
			}
		})
	}
	working := func(n int64) {
		t.Helper()
		hubtest.Until(t, "the app to work", func() bool { return app.Calls.Load() == n })
	}
	working(200)
	full := func(name string) {
		t.Helper()
		if _, err := w.Hub.Join(context.Background(), route, room.Visitor{Room: name}); !errors.Is(err, hub.ErrTooManyRooms) {
			t.Errorf("joining %s: %v", name, err)
		}
	}
	one, two := w.Enter(route, room.Visitor{Room: "0"}), w.Enter(route, room.Visitor{Room: "other"})
	full("1")
	full("another")
	again := w.Enter(route, room.Visitor{Room: "other"})
	two.Send("wait")
	working(201)
	two.Cut()
	full("1")
	again.Leave()
	hubtest.Until(t, "a place", func() bool {
		m, err := w.Hub.Join(context.Background(), route, room.Visitor{Room: "1"})
		if err == nil {
			w.Serve(m)
		}
		return err == nil
	})
	full("other")
	close(app.Pass)
	asked.Wait()
	one.Send("here")
	one.Expect("here")
}

// A visitor who does not get in takes no place, whatever stood in his way.
func TestWhoIsNotLetInTakesNoPlace(t *testing.T) {
	e := &unreadable{Engine: new(memory.Engine)}
	w := hubtest.New(t, e, hub.Limits{MaxRooms: 1})
	app := hubtest.NewCounterApp()
	route := hubtest.Route(app)
	refused := func(why string) {
		t.Helper()
		for n := range 3 {
			if _, err := w.Hub.Join(context.Background(), route, room.Visitor{Room: strconv.Itoa(n)}); err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("joining %d: %v, want %s", n, err, why)
			}
		}
	}
	app.OnJoin = func(apps.Conn) error { return errors.New("no") }
	refused("no")
	app.OnJoin, app.Shown = nil, func() bool { panic("greets panics") }
	refused("greets panics")
	app.Shown = nil
	e.fails.Store(true)
	refused("away")
	e.fails.Store(false)
	w.Join(route).Send("op")
	refused("max_rooms is reached")
}

// stored tells how many rooms an engine keeps.
func stored(t *testing.T, e engines.Engine) int {
	t.Helper()
	keys, err := e.List(context.Background(), engines.Key{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	return len(keys)
}

// Every use puts off the end of a room: a look, a member for as long as he is
// there, an operation that is refused.
func TestUseKeepsARoom(t *testing.T) {
	e := new(memory.Engine)
	hubtest.InBubble(t, e, hub.Limits{}, func(t *testing.T, h hubtest.Bubble) {
		route := forgetting(hubtest.NewCounterApp())
		for name, use := range map[string]func(){
			"look":    func() { _, _ = h.View(context.Background(), route, "look") },
			"refusal": func() { hubtest.Post(t, h.Hub, route, "refusal", "bad", "error: bad operation") },
			"member":  func() { stays(t, h.Hub, route, "member", 10*time.Hour) },
		} {
			hubtest.Post(t, h.Hub, route, name, "op", "1")
			time.Sleep(time.Hour - time.Second)
			use()
			time.Sleep(time.Hour - time.Second)
			if stored(t, e) != 1 {
				t.Errorf("the room is gone in spite of a %s", name)
			}
			time.Sleep(2 * time.Second)
			if stored(t, e) != 0 || h.Rooms() != 0 {
				t.Errorf("after a %s the room is not forgotten", name)
			}
			hubtest.Post(t, h.Hub, route, name, "op", "1")
			time.Sleep(2 * time.Hour)
		}
	})
}

// stays is a member for some time.
func stays(t *testing.T, h *hub.Hub, rt *route.Route, name string, d time.Duration) {
	t.Helper()
	m, err := h.Join(context.Background(), rt, room.Visitor{Room: name})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(d)
	m.Abandon()
}

// A room is forgotten by what the configuration says when its time has come.
func TestReloadChangesForget(t *testing.T) {
	e := new(memory.Engine)
	hubtest.InBubble(t, e, hub.Limits{}, func(t *testing.T, h hubtest.Bubble) {
		app := hubtest.NewCounterApp()
		first, second := forgetting(app), forgetting(app)
		never := route.New("test", "test", route.Config{App: app})
		hubtest.Post(t, h.Hub, first, "room", "op", "1")
		h.Adopt([]*route.Route{first}, []*route.Route{second}, hub.Limits{})
		h.Adopt([]*route.Route{second}, []*route.Route{never}, hub.Limits{})
		time.Sleep(2 * time.Hour)
		if stored(t, e) != 1 {
			t.Error("the room is forgotten, though nothing is to be")
		}
	})
}

// Rooms that were at rest already are forgotten, too, once a reload says so, and
// so are those whose route was gone for a while.
func TestReloadFindsRoomsAtRest(t *testing.T) {
	app := hubtest.NewCounterApp()
	never := route.New("test", "test", route.Config{App: app})
	for name, reload := range map[string]func(h *hub.Hub){
		"forget is new": func(h *hub.Hub) { h.Adopt(routes(never), routes(forgetting(app)), hub.Limits{}) },
		"the route was gone": func(h *hub.Hub) {
			h.Adopt(routes(never), nil, hub.Limits{})
			h.Adopt(nil, routes(forgetting(app)), hub.Limits{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := new(memory.Engine)
			hubtest.InBubble(t, e, hub.Limits{}, func(t *testing.T, h hubtest.Bubble) {
				hubtest.Post(t, h.Hub, never, "room", "op", "1")
				reload(h.Hub)
				time.Sleep(2 * time.Hour)
				if stored(t, e) != 0 {
					t.Error("the room is not forgotten")
				}
			})
			never = route.New("test", "test", route.Config{App: app})
		})
	}
}

// A room that cannot be read when its time has come is forgotten later.
func TestForgetAfterAFailedLoad(t *testing.T) {
	e := &unreadable{Engine: new(memory.Engine)}
	hubtest.InBubble(t, e, hub.Limits{}, func(t *testing.T, h hubtest.Bubble) {
		hubtest.Post(t, h.Hub, forgetting(hubtest.NewCounterApp()), "room", "op", "1")
		time.Sleep(time.Minute)
		e.fails.Store(true)
		time.Sleep(time.Hour)
		e.fails.Store(false)
		time.Sleep(time.Hour)
		if stored(t, e) != 0 {
			t.Error("the room is not forgotten")
		}
	})
}

// A room that cannot be deleted is tried again after a minute, however long it is
// kept otherwise.
func TestForgetAfterAFailedDelete(t *testing.T) {
	for _, forget := range []time.Duration{50 * time.Millisecond, 366 * 24 * time.Hour} {
		e := &undeletable{Engine: new(memory.Engine)}
		hubtest.InBubble(t, e, hub.Limits{}, func(t *testing.T, h hubtest.Bubble) {
			route := route.New("test", "test", route.Config{App: hubtest.NewCounterApp(), Forget: forget})
			hubtest.Post(t, h.Hub, route, "room", "op", "1")
			time.Sleep(forget + time.Second)
			for tries := range int64(3) {
				if n := e.tries.Load(); n != 1+tries {
					t.Fatalf("forget %v: after %d minutes %d tries", forget, tries, n)
				}
				time.Sleep(time.Minute)
			}
			e.works.Store(true)
			time.Sleep(time.Minute)
			if stored(t, e) != 0 || h.Rooms() != 0 {
				t.Error("the room is not forgotten")
			}
			time.Sleep(2 * forget)
			if n := e.tries.Load(); n != 5 {
				t.Errorf("%d tries in the end", n)
			}
		})
	}
}

// undeletable is an engine that deletes nothing until it works.
type undeletable struct {
	engines.Engine
	tries atomic.Int64
	works atomic.Bool
}

func (e *undeletable) Delete(ctx context.Context, key engines.Key, rev uint64) error {
	e.tries.Add(1)
	if !e.works.Load() {
		return errors.New("away")
	}
	return e.Engine.Delete(ctx, key, rev)
}

// Whoever looks at a room at rest while it cannot be read does not have it kept for
// ever, but for as long as any use does.
func TestForgetAfterAVisitThatFailed(t *testing.T) {
	e := &unreadable{Engine: new(memory.Engine)}
	hubtest.InBubble(t, e, hub.Limits{}, func(t *testing.T, h hubtest.Bubble) {
		route := forgetting(hubtest.NewCounterApp())
		hubtest.Post(t, h.Hub, route, "room", "op", "1")
		time.Sleep(time.Minute)
		e.fails.Store(true)
		if _, err := h.View(context.Background(), route, "room"); !errors.Is(err, room.ErrUnavailable) {
			t.Error(err)
		}
		e.fails.Store(false)
		time.Sleep(time.Hour - time.Second)
		if stored(t, e) != 1 {
			t.Error("the room is forgotten in spite of the visit")
		}
		time.Sleep(2 * time.Second)
		if stored(t, e) != 0 {
			t.Error("the room is not forgotten")
		}
	})
}

// unreadable is an engine whose Load may fail.
type unreadable struct {
	engines.Engine
	fails atomic.Bool
}

func (e *unreadable) Load(ctx context.Context, key engines.Key) ([]byte, uint64, error) {
	if e.fails.Load() {
		return nil, 0, errors.New("away")
	}
	return e.Engine.Load(ctx, key)
}

// A visitor that comes while a room is being deleted waits, and finds a new one.
func TestForgetAndAVisitor(t *testing.T) {
	e := &slowDelete{Engine: new(memory.Engine), begun: make(chan struct{}), pass: make(chan error)}
	w := hubtest.New(t, e)
	app := hubtest.NewCounterApp()
	route := route.New("test", "test", route.Config{App: app, Forget: time.Millisecond})
	hubtest.Post(t, w.Hub, route, "room", "op", "1")
	<-e.begun
	came := make(chan room.View)
	go func() {
		view, err := w.Hub.View(context.Background(), route, "room")
		if err != nil {
			t.Error(err)
		}
		came <- view
	}()
	e.pass <- nil
	if view := <-came; view.Version != 0 || string(view.Text) != "0" {
		t.Errorf("the visitor sees %+v", view)
	}
}

// slowDelete is an engine that waits before it deletes, and fails if told to.
type slowDelete struct {
	engines.Engine
	begun chan struct{}
	pass  chan error
}

func (e *slowDelete) Delete(ctx context.Context, key engines.Key, rev uint64) error {
	e.begun <- struct{}{}
	if err := <-e.pass; err != nil {
		return errors.Join(err, e.Engine.Delete(ctx, key, rev))
	}
	return e.Engine.Delete(ctx, key, rev)
}

// A room of which it is not known whether it is deleted does not take the place
// of another for ever.
func TestStockAfterAnUnknownDelete(t *testing.T) {
	e := &slowDelete{Engine: new(memory.Engine), begun: make(chan struct{}), pass: make(chan error)}
	w := hubtest.New(t, e, hub.Limits{MaxStoredRooms: 1})
	app := hubtest.NewCounterApp()
	forgetful := route.New("test", "test", route.Config{App: app, Forget: time.Millisecond})
	hubtest.Post(t, w.Hub, forgetful, "room", "op", "1")
	<-e.begun
	e.pass <- errors.New("timeout")
	kept := route.New("kept", "test", route.Config{App: app})
	hubtest.Until(t, "a place", func() bool {
		select {
		case <-e.begun: // it is tried again
			e.pass <- nil
		default:
		}
		a, err := w.Hub.Ask(context.Background(), kept, room.Visitor{Room: "other"}, apps.Text("op"), nil)
		return err == nil && string(a.Data) == "1"
	})
}

// A room counts once, whether or not it was stored in spite of an error at first.
func TestStockAfterAnUnknownSwap(t *testing.T) {
	for _, isStored := range []bool{true, false} {
		e := hubtest.NewEngine()
		w := hubtest.New(t, e, hub.Limits{MaxStoredRooms: 2})
		route := hubtest.Route(hubtest.NewCounterApp())
		hubtest.Post(t, w.Hub, route, "a", "op", "1")
		failed := false
		e.OnSwap(func(do func() error) error {
			if failed {
				return do()
			}
			failed = true
			if isStored {
				return errors.Join(do(), errors.New("timeout"))
			}
			return errors.New("timeout")
		})
		hubtest.Post(t, w.Hub, route, "b", "op", "1")
		hubtest.Post(t, w.Hub, route, "c", "op", "error: no more rooms can be stored")
		hubtest.Post(t, w.Hub, route, "a", "op", "2")
		if n := stored(t, e.Engine); n != 2 {
			t.Errorf("%d rooms are stored", n)
		}
	}
}

// Rooms of earlier processes count.
func TestStockCountsWhatIsThere(t *testing.T) {
	e := hubtest.NewEngine()
	for i := range 100 {
		if _, err := e.Engine.Swap(context.Background(), engines.Key{App: "test", Room: strings.Repeat("x", i)}, 0, engines.Value{}); err != nil {
			t.Fatal(err)
		}
	}
	w := hubtest.New(t, e, hub.Limits{MaxStoredRooms: 101})
	route := hubtest.Route(hubtest.NewCounterApp())
	hubtest.Post(t, w.Hub, route, "new", "op", "1")
	hubtest.Post(t, w.Hub, route, "one more", "op", "error: no more rooms can be stored")
}

// A plain request does not wait for an app that blocks when the hub closes.
func TestCloseDoesNotWaitForARequest(t *testing.T) {
	app := hubtest.NewSlowApp()
	h := hub.New(hubtest.Opens(new(memory.Engine)), hub.Limits{}, zap.NewNop)
	answered := make(chan room.Answer)
	go func() {
		a, err := h.Ask(context.Background(), hubtest.Route(app), room.Visitor{Room: "room"}, apps.Text("wait"), nil)
		if err != nil {
			t.Error(err)
		}
		answered <- a
	}()
	hubtest.Until(t, "the app to be stuck", func() bool { return app.Calls.Load() == 1 })
	if err := h.Close(0, frames.GoingAway, ""); !errors.Is(err, hub.ErrUnfinished) {
		t.Error(err)
	}
	select {
	case a := <-answered:
		if a.Code != frames.GoingAway {
			t.Errorf("answered with %+v", a)
		}
	case <-time.After(hubtest.Patience):
		t.Error("the request waits on")
	}
	close(app.Pass)
	hubtest.Until(t, "the app to end", func() bool { return app.Left.Load() })
}

// A plain request whose operation waits for the engine is not told that the operation
// did not count: neither when it has waited for long,
func TestWhatIsWaitedForTooLongMayHaveCounted(t *testing.T) {
	e := hubtest.NewEngine()
	hubtest.InBubble(t, e, hub.Limits{}, func(t *testing.T, b hubtest.Bubble) {
		g := hubtest.NewGate()
		e.OnSwap(g.Swap)
		expectUnknown := askTwo(t, b.Hub, g)
		time.Sleep(time.Minute)
		expectUnknown()
	})
}

// nor when the hub closes.
func TestWhatAClosingHubLeavesMayHaveCounted(t *testing.T) {
	e, g := hubtest.NewEngine(), hubtest.NewGate()
	e.OnSwap(g.Swap)
	h := hub.New(hubtest.Opens(e), hub.Limits{}, zap.NewNop)
	expectUnknown := askTwo(t, h, g)
	if err := h.Close(0, frames.GoingAway, ""); !errors.Is(err, hub.ErrUnfinished) {
		t.Error(err)
	}
	expectUnknown()
}

// askTwo sends two operations by plain requests that take JSON, one with an id, and
// returns what expects the answers, and then lets the engine go on. Until then it is
// at work on both.
func askTwo(t *testing.T, h *hub.Hub, g *hubtest.Gate) (expectUnknown func()) {
	rt := hubtest.Route(hubtest.NewCounterApp())
	ask := func(name string, once *room.OperationID) <-chan room.Answer {
		answered := make(chan room.Answer, 1)
		go func() {
			a, err := h.Ask(context.Background(), rt, room.Visitor{Room: name, Subprotocol: "json"}, apps.Text("op"), once)
			if err != nil {
				t.Error(err)
			}
			answered <- a
		}()
		<-g.Taken
		return answered
	}
	withID := ask("one", &room.OperationID{ID: replica.ID{Name: "client", N: 1}})
	without := ask("another", nil)
	return func() {
		for _, asked := range []struct {
			answer room.Answer
			retry  string
		}{{<-withID, `"retry":true`}, {<-without, `"retry":false`}} {
			if a := asked.answer; !errors.Is(a.Err, replica.ErrUnknown) || !strings.Contains(string(a.Data), `"code":"unknown",`+asked.retry) {
				t.Errorf("answered with %v %s, want %s", a.Err, a.Data, asked.retry)
			}
			g.Pass <- nil
		}
	}
}
