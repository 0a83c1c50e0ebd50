package hub_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
)

// Members are sent away with 1001, also who was still on his way in, and Close
// waits for them all.
func TestCloseSendsEverybodyAway(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	route := hubtest.Route(newCounterApp())
	in := w.Join(route)
	onTheWay, err := w.Hub.Join(context.Background(), route, hub.Visitor{Room: "room"})
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() { closed <- w.CloseHub() }()
	in.ExpectClose(frames.GoingAway)
	if _, err := w.Hub.Join(context.Background(), route, hub.Visitor{Room: "room"}); !errors.Is(err, hub.ErrClosed) {
		t.Errorf("joining a closed hub: %v", err)
	}
	in.Close()
	select {
	case err := <-closed:
		t.Fatalf("Close returned %v before the last member was gone", err)
	default:
	}
	late := w.Serve(onTheWay)
	late.ExpectClose(frames.GoingAway)
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// Who is in the app's Join when the hub closes is waited for: the engine is
// closed after him.
func TestCloseWaitsForWhoIsJoining(t *testing.T) {
	e := &closable{engine: newEngine(), closed: make(chan struct{})}
	w := hubtest.New(t, e)
	app := newCounterApp()
	joining, pass := make(chan struct{}), make(chan struct{})
	app.onJoin = func(apps.Conn) error {
		close(joining)
		<-pass
		select {
		case <-e.closed:
			t.Error("the engine is closed")
		default:
		}
		return errors.New("no")
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := w.Hub.Join(context.Background(), hubtest.Route(app), hub.Visitor{Room: "room"})
		if !errors.Is(err, hub.ErrForbidden) {
			t.Error(err)
		}
	})
	<-joining
	wg.Go(func() {
		if err := w.CloseHub(); err != nil {
			t.Error(err)
		}
	})
	hubtest.Until(t, "the hub to let nobody in", func() bool {
		_, err := w.Hub.View(context.Background(), hubtest.Route(app), "other")
		return errors.Is(err, hub.ErrClosed)
	})
	close(pass)
	wg.Wait()
	<-e.closed
}

// closable is an engine that tells when it is closed.
type closable struct {
	*engine
	closed chan struct{}
}

func (e *closable) Close() error {
	close(e.closed)
	return e.engine.Close()
}

// What is done on behalf of a member that has left does not bring back a room
// that has left memory, beside which there may be another of its name.
func TestNothingIsDoneInARoomThatLeftMemory(t *testing.T) {
	e := newEngine()
	w := hubtest.New(t, e)
	route := hubtest.Route(newCounterApp())
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
	if n := e.count(); n != 2 {
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
	<-g.taken
	c.Leave()
	if n := w.Hub.Rooms(); n != 1 {
		t.Errorf("%d rooms", n)
	}
	next := w.JoinJSON(route)
	expectSaid(t, next, "state0")
	g.pass <- nil
	expectSaid(t, next, "update1")
}

// What an app does in Join comes first, in its order; the state is shown once it
// is answered, so that versions do not fall.
func TestWhatJoinDoesComesFirst(t *testing.T) {
	w, _, _, g := gated(t)
	app := newCounterApp()
	app.onJoin = func(c apps.Conn) error {
		c.Send(apps.Text(`{"type":"hello"}`))
		c.Room().Apply(c, []byte("op"))
		<-g.taken
		c.Room().Apply(c, []byte("op"))
		return nil
	}
	c := w.JoinJSON(hubtest.Route(app))
	expectSaid(t, c, "hello0")
	g.pass <- nil
	expectSaid(t, c, "reply1")
	<-g.taken
	g.pass <- nil
	expectSaid(t, c, "reply2", "state2")
}

// A Join that is refused, or taken back, leaves nothing behind.
func TestRefusedAndAbandonedJoinsLeaveNothing(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	app := newCounterApp()
	route := hubtest.Route(app)
	m, err := w.Hub.Join(context.Background(), route, hub.Visitor{Room: "room"})
	if err != nil {
		t.Fatal(err)
	}
	if n := m.Member.App().Room().Len(); n != 1 {
		t.Errorf("%d members before the handshake is answered", n)
	}
	m.Abandon()
	app.onJoin = func(apps.Conn) error { return errors.New("no") }
	if _, err := w.Hub.Join(context.Background(), route, hub.Visitor{Room: "room"}); !errors.Is(err, hub.ErrForbidden) {
		t.Error(err)
	}
	if n := w.Hub.Rooms(); n != 0 {
		t.Errorf("%d rooms are left", n)
	}
}

// An app may close in Join: what it sent before arrives, then the close frame.
func TestCloseInJoinArrives(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	app := newCounterApp()
	app.onJoin = func(c apps.Conn) error {
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
	<-g.taken
	e.set(nil)
	other := w.Enter(route, hub.Visitor{Room: "another"})
	other.Send("op")
	other.Expect("1")
	g.pass <- nil
	stuck.Expect("1")
}

// The room of a member is there for as long as its Leave runs, also the last
// one's.
func TestWhatLeaveDoesCounts(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	app := newCounterApp()
	app.leave = func(c apps.Conn) { c.Room().Apply(c, []byte("op")) }
	route := hubtest.Route(app)
	w.Join(route).Leave()
	hubtest.Until(t, "the room to leave memory", func() bool { return w.Hub.Rooms() == 0 })
	if view, err := w.Hub.View(context.Background(), route, "room"); err != nil || view.Version != 1 || string(view.Text) != "1" {
		t.Errorf("the room shows %+v, %v", view, err)
	}
}
