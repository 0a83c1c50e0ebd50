package hub_test

import (
	"context"
	"testing"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

var theRoom = engines.Key{App: "test", Room: "room"}

// look returns the state that a reader is shown. The room leaves memory with it.
func look(t *testing.T, w *hubtest.World, route *route.Route) room.View {
	t.Helper()
	view, err := w.Hub.View(context.Background(), route, theRoom.Room)
	if err != nil {
		t.Fatal(err)
	}
	hubtest.Until(t, "the room to leave memory", func() bool { return w.Hub.Rooms() == 0 })
	return view
}

// apply has a visitor apply an operation, which is answered so.
func apply(t *testing.T, w *hubtest.World, route *route.Route, op, want string) {
	t.Helper()
	answer, err := w.Hub.Ask(context.Background(), route, room.Visitor{Room: theRoom.Room}, apps.Text(op), nil)
	if err != nil || string(answer.Data) != want {
		t.Fatalf("%q is answered with %q, %v, not %q", op, answer.Data, err, want)
	}
	hubtest.Until(t, "the room to leave memory", func() bool { return w.Hub.Rooms() == 0 })
}

// Everybody who looks at a room that is not stored sees the same epoch, whether or not
// it has left memory between them, and under it the room is stored.
func TestEpochBeforeTheRoomIsStored(t *testing.T) {
	w := hubtest.New(t, hubtest.NewEngine())
	route := hubtest.Route(hubtest.NewCounterApp())
	first := look(t, w, route)
	apply(t, w, route, "bad", "error: bad operation")
	if again := look(t, w, route); again.ID() != first.ID() || first.Version != 0 {
		t.Errorf("one reader is shown %s, another one %s", first.ID(), again.ID())
	}
	c := w.JoinJSON(route)
	if said, err := c.ReadSaid(); err != nil || said.Epoch != first.Epoch {
		t.Errorf("a member is shown %+v, %v", said, err)
	}
	c.Send("op")
	if said, err := c.ReadSaid(); err != nil || said.Epoch != first.Epoch || said.Version != 1 {
		t.Errorf("the first reply is %+v, %v", said, err)
	}
	c.Leave()
	hubtest.Until(t, "the room to leave memory", func() bool { return w.Hub.Rooms() == 0 })
	if stored := look(t, w, route); stored.Epoch != first.Epoch || stored.Version != 1 {
		t.Errorf("stored is %s", stored.ID())
	}
	next := hubtest.Route(hubtest.NewCounterApp()) // a reload
	w.Adopt(routes(route), routes(next), hub.Limits{})
	if stored := look(t, w, next); stored.Epoch != first.Epoch {
		t.Errorf("after a reload it is %s", stored.ID())
	}
	if other := look(t, hubtest.New(t, hubtest.NewEngine()), route); other.Epoch == first.Epoch {
		t.Error("another hub shows the same epoch")
	}
}

// A room that is deleted, by whomever, has another epoch, which is again the same for
// everybody: its versions begin anew.
func TestEpochAfterTheRoomIsDeleted(t *testing.T) {
	e := hubtest.NewEngine()
	w := hubtest.New(t, e)
	route := hubtest.Route(hubtest.NewCounterApp())
	seen := map[string]bool{}
	for range 3 {
		before := look(t, w, route)
		if seen[before.Epoch] || before.Version != 0 || look(t, w, route).Epoch != before.Epoch {
			t.Fatalf("the room begins with %s after %v", before.ID(), seen)
		}
		seen[before.Epoch] = true
		apply(t, w, route, "op", "1")
		apply(t, w, route, "op", "2")
		if now := look(t, w, route); now.Epoch != before.Epoch || now.Version != 2 {
			t.Fatalf("%s becomes %s", before.ID(), now.ID())
		}
		_, rev, err := e.Load(context.Background(), theRoom)
		if err == nil {
			err = e.Delete(context.Background(), theRoom, rev)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// What was certainly not stored spends no epoch.
func TestEpochAfterARefusedFirstCommit(t *testing.T) {
	e := hubtest.NewEngine()
	w := hubtest.New(t, e)
	route := hubtest.Route(hubtest.NewCounterApp())
	before := look(t, w, route)
	e.OnSwap(func(func() error) error { return engines.ErrRefused })
	apply(t, w, route, "op", "error: unavailable, try again later")
	e.OnSwap(nil)
	if after := look(t, w, route); after.ID() != before.ID() {
		t.Errorf("%s after %s", after.ID(), before.ID())
	}
	apply(t, w, route, "op", "1")
	if stored := look(t, w, route); stored.Epoch != before.Epoch {
		t.Errorf("stored is %s after %s", stored.ID(), before.ID())
	}
}
