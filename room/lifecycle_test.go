package room_test

import (
	"context"
	"errors"
	"testing"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/room"
)

// What is done on behalf of a member that has left does not bring back a room
// that has left memory, beside which there may be another of its name.
func TestNothingIsDoneInARoomThatLeftMemory(t *testing.T) {
	e := hubtest.NewEngine()
	w := hubtest.New(t, e)
	route := hubtest.Route(hubtest.NewCounterApp())
	c := w.Join(route)
	c.Send("op")
	c.Expect("1")
	gone := c.Member.App()
	c.Leave()
	hubtest.Until(t, "the room to leave memory", func() bool { return w.Hub.Rooms() == 0 })
	again := w.Join(route)
	gone.Room().Apply(gone, []byte("op"))
	gone.Room().Publish(apps.Text("from the dead"))
	again.Send("op")
	again.Expect("2")
	if n := e.Swaps(); n != 2 {
		t.Errorf("%d commits", n)
	}
	hubtest.Until(t, "nothing to wait", func() bool { return w.Hub.WaitingBytes() == 0 })
}

// A room with a commit under way stays in memory, and its next member finds the
// commit's state.
func TestARoomStaysWhileACommitIsUnderWay(t *testing.T) {
	w, route, _, g := gated(t)
	c := w.Join(route)
	c.Send("op")
	<-g.Taken
	c.Cut()
	if n := w.Hub.Rooms(); n != 1 {
		t.Errorf("%d rooms", n)
	}
	next := w.JoinJSON(route)
	expectSaid(t, next, "state0")
	g.Pass <- nil
	expectSaid(t, next, "update1")
}

// What an app does in Join comes first, in its order; the state is shown once it
// is answered, so that versions do not fall.
func TestWhatJoinDoesComesFirst(t *testing.T) {
	w, _, _, g := gated(t)
	app := hubtest.NewCounterApp()
	app.OnJoin = func(c apps.Conn) error {
		c.Send(apps.Text(`{"type":"hello"}`))
		c.Room().Apply(c, []byte("op"))
		<-g.Taken
		c.Room().Apply(c, []byte("op"))
		return nil
	}
	c := w.JoinJSON(hubtest.Route(app))
	expectSaid(t, c, "hello0")
	g.Pass <- nil
	expectSaid(t, c, "reply1")
	<-g.Taken
	g.Pass <- nil
	expectSaid(t, c, "reply2", "state2")
}

// A Join that is refused, or taken back, leaves nothing behind.
func TestRefusedAndAbandonedJoinsLeaveNothing(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	app := hubtest.NewCounterApp()
	route := hubtest.Route(app)
	m, err := w.Hub.Join(context.Background(), route, room.Visitor{Room: "room"})
	if err != nil {
		t.Fatal(err)
	}
	if n := m.Member.App().Room().Len(); n != 1 {
		t.Errorf("%d members before the handshake is answered", n)
	}
	m.Abandon()
	app.OnJoin = func(apps.Conn) error { return errors.New("no") }
	if _, err := w.Hub.Join(context.Background(), route, room.Visitor{Room: "room"}); !errors.Is(err, room.ErrForbidden) {
		t.Error(err)
	}
	if n := w.Hub.Rooms(); n != 0 {
		t.Errorf("%d rooms are left", n)
	}
}

// An app may close in Join: what it sent before arrives, then the close frame.
func TestCloseInJoinArrives(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	app := hubtest.NewCounterApp()
	app.OnJoin = func(c apps.Conn) error {
		c.Send(apps.Text("bye"))
		c.Close(4000, "")
		return nil
	}
	c := w.Join(hubtest.Route(app))
	c.Expect("bye")
	c.ExpectClose(4000)
}

// Rooms don't wait for each other: one whose engine hangs holds up no other.
func TestRoomsDoNotWaitForEachOther(t *testing.T) {
	w, route, e, g := gated(t)
	stuck := w.Join(route)
	stuck.Send("op")
	<-g.Taken
	e.OnSwap(nil)
	other := w.Enter(route, room.Visitor{Room: "another"})
	other.Send("op")
	other.Expect("1")
	g.Pass <- nil
	stuck.Expect("1")
}

// The room of a member is there for as long as its Leave runs, also the last
// one's.
func TestWhatLeaveDoesCounts(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	app := hubtest.NewCounterApp()
	app.OnLeave = func(c apps.Conn) { c.Room().Apply(c, []byte("op")) }
	route := hubtest.Route(app)
	w.Join(route).Leave()
	hubtest.Until(t, "the room to leave memory", func() bool { return w.Hub.Rooms() == 0 })
	if view, err := w.Hub.View(context.Background(), route, "room"); err != nil || view.Version != 1 || string(view.Text) != "1" {
		t.Errorf("the room shows %+v, %v", view, err)
	}
}
