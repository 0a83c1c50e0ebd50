package hub_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
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
	"github.com/caddyws/caddy-websocket/socket"
)

// bubble is a hub in a world in which time passes only when everybody waits.
type bubble struct {
	*hub.Hub
	end func() // begins to close it, once
}

func inBubble(t *testing.T, engine engines.Engine, limits hub.Limits, test func(t *testing.T, h bubble)) {
	synctest.Test(t, func(t *testing.T) {
		h, ended := hub.New(engine, limits, zap.NewNop), make(chan error)
		end := sync.OnceFunc(func() {
			go func() { ended <- h.Close(hubtest.Patience, frames.GoingAway, "") }()
		})
		test(t, bubble{h, end})
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// forgetting is a route that deletes rooms an hour after their last use.
func forgetting(app apps.App) *hub.Route {
	return hub.NewRoute("test", "test", hub.Config{App: app, Settings: socket.Settings{MaxMessageSize: 100, MaxQueue: 1 << 20}, Forget: time.Hour})
}

// says posts an operation, which must be answered so.
func says(t *testing.T, h *hub.Hub, route *hub.Route, room, op, want string) {
	t.Helper()
	a, err := h.Ask(context.Background(), route, hub.Visitor{Room: room}, apps.Text(op))
	if err != nil || string(a.Data) != want {
		t.Errorf("%s in %s: %d %q, %v, want %q", op, room, a.Status, a.Data, err, want)
	}
}

// Rooms that nobody is in, but in which an app still works, for a plain request or
// for a member who has left, take no place of one with members.
func TestOnlyRoomsWithMembersCount(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine), hub.Limits{MaxRooms: 2})
	app := newSlowApp()
	route := hubtest.Route(app)
	var asked sync.WaitGroup
	for i := range 200 {
		asked.Go(func() {
			a, err := w.Hub.Ask(context.Background(), route, hub.Visitor{Room: strconv.Itoa(i)}, apps.Text("wait"))
			if err != nil || string(a.Data) != "wait" {
				t.Errorf("%+v, %v", a, err)
			}
		})
	}
	working := func(n int64) {
		t.Helper()
		hubtest.Until(t, "the app to work", func() bool { return app.calls.Load() == n })
	}
	working(200)
	full := func(room string) {
		t.Helper()
		if _, err := w.Hub.Join(context.Background(), route, hub.Visitor{Room: room}); !errors.Is(err, hub.ErrTooManyRooms) {
			t.Errorf("joining %s: %v", room, err)
		}
	}
	one, two := w.Enter(route, hub.Visitor{Room: "0"}), w.Enter(route, hub.Visitor{Room: "other"})
	full("1")
	full("another")
	again := w.Enter(route, hub.Visitor{Room: "other"})
	two.Send("wait")
	working(201)
	two.Leave()
	full("1")
	again.Leave()
	hubtest.Until(t, "a place", func() bool {
		m, err := w.Hub.Join(context.Background(), route, hub.Visitor{Room: "1"})
		if err == nil {
			w.Serve(m)
		}
		return err == nil
	})
	full("other")
	close(app.pass)
	asked.Wait()
	one.Send("here")
	one.Expect("here")
}

// A visitor who does not get in takes no place, whatever stood in his way.
func TestWhoIsNotLetInTakesNoPlace(t *testing.T) {
	e := &unreadable{Engine: new(memory.Engine)}
	w := hubtest.New(t, e, hub.Limits{MaxRooms: 1})
	app := newCounterApp()
	route := hubtest.Route(app)
	refused := func(why string) {
		t.Helper()
		for room := range 3 {
			if _, err := w.Hub.Join(context.Background(), route, hub.Visitor{Room: strconv.Itoa(room)}); err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("joining %d: %v, want %s", room, err, why)
			}
		}
	}
	app.onJoin = func(apps.Conn) error { return errors.New("no") }
	refused("no")
	app.onJoin, app.greets = nil, func() bool { panic("greets panics") }
	refused("greets panics")
	app.greets = nil
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
	inBubble(t, e, hub.Limits{}, func(t *testing.T, h bubble) {
		route := forgetting(newCounterApp())
		for name, use := range map[string]func(){
			"look":    func() { _, _ = h.View(context.Background(), route, "look") },
			"refusal": func() { says(t, h.Hub, route, "refusal", "bad", "error: bad operation") },
			"member":  func() { stays(t, h.Hub, route, "member", 10*time.Hour) },
		} {
			says(t, h.Hub, route, name, "op", "1")
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
			says(t, h.Hub, route, name, "op", "1")
			time.Sleep(2 * time.Hour)
		}
	})
}

// stays is a member for some time.
func stays(t *testing.T, h *hub.Hub, route *hub.Route, room string, d time.Duration) {
	t.Helper()
	m, err := h.Join(context.Background(), route, hub.Visitor{Room: room})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(d)
	m.Abandon()
}

// A room is forgotten by what the configuration says when its time has come.
func TestReloadChangesForget(t *testing.T) {
	e := new(memory.Engine)
	inBubble(t, e, hub.Limits{}, func(t *testing.T, h bubble) {
		app := newCounterApp()
		first, second := forgetting(app), forgetting(app)
		never := hub.NewRoute("test", "test", hub.Config{App: app})
		says(t, h.Hub, first, "room", "op", "1")
		h.Adopt([]*hub.Route{first}, []*hub.Route{second}, hub.Limits{})
		h.Adopt([]*hub.Route{second}, []*hub.Route{never}, hub.Limits{})
		time.Sleep(2 * time.Hour)
		if stored(t, e) != 1 {
			t.Error("the room is forgotten, though nothing is to be")
		}
	})
}

// Rooms that were at rest already are forgotten, too, once a reload says so, and
// so are those whose route was gone for a while.
func TestReloadFindsRoomsAtRest(t *testing.T) {
	app := newCounterApp()
	never := hub.NewRoute("test", "test", hub.Config{App: app})
	for name, reload := range map[string]func(h *hub.Hub){
		"forget is new": func(h *hub.Hub) { h.Adopt(routes(never), routes(forgetting(app)), hub.Limits{}) },
		"the route was gone": func(h *hub.Hub) {
			h.Adopt(routes(never), nil, hub.Limits{})
			h.Adopt(nil, routes(forgetting(app)), hub.Limits{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := new(memory.Engine)
			inBubble(t, e, hub.Limits{}, func(t *testing.T, h bubble) {
				says(t, h.Hub, never, "room", "op", "1")
				reload(h.Hub)
				time.Sleep(2 * time.Hour)
				if stored(t, e) != 0 {
					t.Error("the room is not forgotten")
				}
			})
			never = hub.NewRoute("test", "test", hub.Config{App: app})
		})
	}
}

// A room that cannot be read when its time has come is forgotten later.
func TestForgetAfterAFailedLoad(t *testing.T) {
	e := &unreadable{Engine: new(memory.Engine)}
	inBubble(t, e, hub.Limits{}, func(t *testing.T, h bubble) {
		says(t, h.Hub, forgetting(newCounterApp()), "room", "op", "1")
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
		inBubble(t, e, hub.Limits{}, func(t *testing.T, h bubble) {
			route := hub.NewRoute("test", "test", hub.Config{App: newCounterApp(), Forget: forget})
			says(t, h.Hub, route, "room", "op", "1")
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
	inBubble(t, e, hub.Limits{}, func(t *testing.T, h bubble) {
		route := forgetting(newCounterApp())
		says(t, h.Hub, route, "room", "op", "1")
		time.Sleep(time.Minute)
		e.fails.Store(true)
		if _, err := h.View(context.Background(), route, "room"); !errors.Is(err, hub.ErrUnavailable) {
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

// Who comes while a room is being deleted waits, and finds a new one.
func TestForgetAndAVisitor(t *testing.T) {
	e := &slowDelete{Engine: new(memory.Engine), begun: make(chan struct{}), pass: make(chan error)}
	w := hubtest.New(t, e)
	app := newCounterApp()
	route := hub.NewRoute("test", "test", hub.Config{App: app, Forget: time.Millisecond})
	says(t, w.Hub, route, "room", "op", "1")
	<-e.begun
	came := make(chan hub.View)
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
	app := newCounterApp()
	route := hub.NewRoute("test", "test", hub.Config{App: app, Forget: time.Millisecond})
	says(t, w.Hub, route, "room", "op", "1")
	<-e.begun
	e.pass <- errors.New("timeout")
	kept := hub.NewRoute("kept", "test", hub.Config{App: app})
	hubtest.Until(t, "a place", func() bool {
		select {
		case <-e.begun: // it is tried again
			e.pass <- nil
		default:
		}
		a, err := w.Hub.Ask(context.Background(), kept, hub.Visitor{Room: "other"}, apps.Text("op"))
		return err == nil && string(a.Data) == "1"
	})
}

// What is stored in spite of an error counts, what is not does not.
func TestStockAfterAnUnknownSwap(t *testing.T) {
	for _, isStored := range []bool{true, false} {
		e := newEngine()
		w := hubtest.New(t, e, hub.Limits{MaxStoredRooms: 2})
		route := hubtest.Route(newCounterApp())
		says(t, w.Hub, route, "a", "op", "1")
		e.set(func(do func() error) error {
			if isStored {
				return errors.Join(do(), errors.New("timeout"))
			}
			return errors.New("timeout")
		})
		says(t, w.Hub, route, "b", "op", "error: outcome unknown")
		e.set(nil)
		want := map[bool]string{true: "error: no more rooms can be stored", false: "1"}[isStored]
		says(t, w.Hub, route, "c", "op", want)
		says(t, w.Hub, route, "a", "op", "2")
		if n := stored(t, e.Engine); n != 2 {
			t.Errorf("%d rooms are stored", n)
		}
	}
}

// Rooms of earlier processes count.
func TestStockCountsWhatIsThere(t *testing.T) {
	e := newEngine()
	for i := range 100 {
		if _, err := e.Engine.Swap(context.Background(), engines.Key{App: "test", Room: strings.Repeat("x", i)}, 0, engines.Value{}); err != nil {
			t.Fatal(err)
		}
	}
	w := hubtest.New(t, e, hub.Limits{MaxStoredRooms: 101})
	route := hubtest.Route(newCounterApp())
	says(t, w.Hub, route, "new", "op", "1")
	says(t, w.Hub, route, "one more", "op", "error: no more rooms can be stored")
}

// A plain request does not wait for an app that blocks when the hub closes.
func TestCloseDoesNotWaitForARequest(t *testing.T) {
	app := newSlowApp()
	h := hub.New(new(memory.Engine), hub.Limits{}, zap.NewNop)
	answered := make(chan hub.Answer)
	go func() {
		a, err := h.Ask(context.Background(), hubtest.Route(app), hub.Visitor{Room: "room"}, apps.Text("wait"))
		if err != nil {
			t.Error(err)
		}
		answered <- a
	}()
	hubtest.Until(t, "the app to be stuck", func() bool { return app.calls.Load() == 1 })
	if err := h.Close(0, frames.GoingAway, ""); !errors.Is(err, hub.ErrUnfinished) {
		t.Error(err)
	}
	select {
	case a := <-answered:
		if a.Status != 503 {
			t.Errorf("answered with %d", a.Status)
		}
	case <-time.After(hubtest.Patience):
		t.Error("the request waits on")
	}
	close(app.pass)
	hubtest.Until(t, "the app to end", func() bool { return app.left.Load() })
}
