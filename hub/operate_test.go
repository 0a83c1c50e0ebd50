package hub_test

import (
	"context"
	"errors"
	"testing"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

var key = engines.Key{App: "test", Room: "room"}

// left lets a client change a room and leave it, and waits until it is out of memory.
func left(t *testing.T, w *hubtest.World, c *hubtest.Client) {
	t.Helper()
	c.Leave()
	hubtest.Until(t, "the room to leave memory", func() bool { return w.Hub.Rooms() == 0 })
}

// deletes deletes the room "room", and wants so many members closed or an error.
func deletes(t *testing.T, h *hub.Hub, closed int, want error) {
	t.Helper()
	if n, err := h.DeleteRoom(context.Background(), key); n != closed || !errors.Is(err, want) {
		t.Errorf("deleting the room: %d closed, %v; want %d, %v", n, err, closed, want)
	}
}

// A room that is deleted begins anew, whether it is in use or not.
func TestDeleteRoom(t *testing.T) {
	for name, engine := range map[string]engines.Engine{"inline": new(memory.Engine), "in its turn": hubtest.NewEngine()} {
		t.Run(name, func(t *testing.T) {
			w := hubtest.New(t, engine, hub.Limits{MaxStoredRooms: 1})
			rt := hubtest.Route(hubtest.NewCounterApp())
			w.Hub.Begin([]*route.Route{rt})
			deletes(t, w.Hub, 0, hub.ErrNoRoom)
			c, other := w.Join(rt), w.Join(rt)
			c.Send("op", "op")
			c.Expect("1", "2")
			before, _ := w.Hub.View(context.Background(), rt, "room")
			deletes(t, w.Hub, 2, nil)
			c.ExpectClose(frames.GoingAway)
			other.Expect("2")
			other.ExpectClose(frames.GoingAway)
			if n := stored(t, engine); n != 0 {
				t.Errorf("%d rooms are stored", n)
			}
			after, err := w.Hub.View(context.Background(), rt, "room")
			if err != nil || after.Version != 0 || after.Epoch == before.Epoch || string(after.Text) != "0" {
				t.Errorf("was %+v, is %+v, %v", before, after, err)
			}
			again := w.Join(rt)
			again.Send("op")
			again.Expect("1") // and it has its place in the limit
			left(t, w, again)
			deletes(t, w.Hub, 0, nil)
			if n := stored(t, engine); n != 0 {
				t.Errorf("%d rooms are stored", n)
			}
			deletes(t, w.Hub, 0, hub.ErrNoRoom)
		})
	}
}

// A deletion waits for the commit that is under way, whose answer is sent.
func TestDeletionDuringACommit(t *testing.T) {
	e, g := hubtest.NewEngine(), hubtest.NewGate()
	w := hubtest.New(t, e)
	e.OnSwap(g.Swap)
	rt := hubtest.Route(hubtest.NewCounterApp())
	w.Hub.Begin([]*route.Route{rt})
	c := w.Join(rt)
	c.Send("op")
	<-g.Taken
	deleted := make(chan error)
	go func() {
		_, err := w.Hub.DeleteRoom(context.Background(), key)
		deleted <- err
	}()
	g.Pass <- nil
	if err := <-deleted; err != nil {
		t.Error(err)
	}
	c.Expect("1")
	c.ExpectClose(frames.GoingAway)
	if n := stored(t, e); n != 0 {
		t.Errorf("%d rooms are stored", n)
	}
}

// sharedEngine is one of two processes' ends of an engine.
type sharedEngine struct{ engines.Engine }

func (sharedEngine) Close() error { return nil }

// What another process has written, and nobody here has seen, is not deleted: neither in
// a room that is in use nor when it is asked again too early.
func TestDeletionOfWhatAnotherProcessHasChanged(t *testing.T) {
	e := sharedEngine{new(memory.Engine)}
	here, there := hubtest.New(t, e), hubtest.New(t, e)
	rt := hubtest.Route(hubtest.NewCounterApp())
	here.Hub.Begin([]*route.Route{rt})
	c, other := here.Join(rt), there.Join(hubtest.Route(hubtest.NewCounterApp()))
	c.Send("op")
	c.Expect("1")
	left(t, there, other)
	other = there.Join(hubtest.Route(hubtest.NewCounterApp()))
	other.Send("op")
	other.Expect("2")
	deletes(t, here.Hub, 0, engines.ErrConflict)
	c.Expect("2") // it is told what the other process has done
	c.Send("op")
	c.Expect("3")
	other.Send("op")
	other.Expect("4")
	left(t, there, other)
	deletes(t, here.Hub, 0, engines.ErrConflict)
	c.Expect("4")
	deletes(t, here.Hub, 1, nil)
	c.ExpectClose(frames.GoingAway)
}

// A state that its app cannot read, and one whose app has no route, can be deleted.
func TestDeletionOfWhatCannotBeRead(t *testing.T) {
	e := new(memory.Engine)
	w := hubtest.New(t, e)
	rt := hubtest.Route(hubtest.NewCounterApp())
	if err := w.Hub.Open(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, k := range []engines.Key{key, {App: "gone", Room: "room"}} {
		if _, err := e.Swap(context.Background(), k, 0, engines.Value{State: []byte("damaged")}); err != nil {
			t.Fatal(err)
		}
	}
	w.Hub.Begin([]*route.Route{rt})
	if _, err := w.Hub.Join(context.Background(), rt, room.Visitor{Room: "room"}); !errors.Is(err, room.ErrUnavailable) {
		t.Fatal(err)
	}
	deletes(t, w.Hub, 0, nil)
	if _, err := w.Hub.DeleteRoom(context.Background(), engines.Key{App: "gone", Room: "room"}); err != nil {
		t.Error(err)
	}
	if n := stored(t, e); n != 0 || w.Hub.Rooms() != 0 {
		t.Errorf("%d rooms are stored, %d in memory", n, w.Hub.Rooms())
	}
	c := w.Join(rt)
	c.Send("op")
	c.Expect("1")
}

// failsToDelete is an engine that fails to delete.
type failsToDelete struct {
	engines.Engine
	fails error
}

func (e *failsToDelete) Delete(ctx context.Context, key engines.Key, rev uint64) error {
	if e.fails != nil {
		return e.fails
	}
	return e.Engine.Delete(ctx, key, rev)
}

// If the engine fails nobody is closed, and the room goes on as it was.
func TestDeletionThatFails(t *testing.T) {
	e := &failsToDelete{Engine: new(memory.Engine), fails: errors.New("disk fails")}
	w := hubtest.New(t, e)
	rt := hubtest.Route(hubtest.NewCounterApp())
	w.Hub.Begin([]*route.Route{rt})
	c := w.Join(rt)
	c.Send("op")
	c.Expect("1")
	deletes(t, w.Hub, 0, e.fails)
	c.Send("op")
	c.Expect("2")
	e.fails = nil
	deletes(t, w.Hub, 1, nil)
	c.ExpectClose(frames.GoingAway)
}

// An operator's message reaches every member, and nobody elsewhere.
func TestPublish(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	rt := hubtest.Route(hubtest.NewCounterApp())
	a, b, other := w.Join(rt), w.Join(rt), w.Enter(rt, room.Visitor{Room: "other"})
	if n, err := w.Hub.Publish(t.Context(), key, apps.Text("hello")); n != 2 || err != nil {
		t.Errorf("%d members", n)
	}
	a.Expect("hello")
	b.Expect("hello")
	if n, err := w.Hub.Publish(t.Context(), engines.Key{App: "test", Room: "none"}, apps.Text("hello")); n != 0 || err != nil || w.Hub.Rooms() != 2 {
		t.Errorf("%d members, %d rooms", n, w.Hub.Rooms())
	}
	other.Send("op")
	other.Expect("1")
}

// A room is shown by the route that has stored it, and else by the first of its app.
func TestRouteTo(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	named := func(name, app string) *route.Route {
		return route.New(name, app, route.Config{App: hubtest.NewCounterApp()})
	}
	other, first, second := named("second", "other"), named("first", "test"), named("second", "test")
	w.Hub.Begin([]*route.Route{other, first, second})
	for _, test := range []struct {
		app, name string
		want      *route.Route
	}{
		{"test", "second", second}, {"test", "first", first}, {"test", "gone", first}, {"test", "", first}, {"other", "first", other}, {"none", "first", nil},
	} {
		if got := w.Hub.RouteTo(test.app, test.name); got != test.want {
			t.Errorf("%s %s: %v", test.app, test.name, got)
		}
	}
}
