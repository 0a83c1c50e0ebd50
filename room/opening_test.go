package room_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/apps/appstest"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
	"github.com/caddyws/caddy-websocket/socket"
)

// opener is an app that keeps the rooms that it was told of.
type opener struct {
	*hubtest.OpenApp
	mu    sync.Mutex
	rooms []apps.OpenRoom
}

func newOpener(on func(apps.OpenRoom)) *opener {
	o := new(opener)
	o.OpenApp = &hubtest.OpenApp{AlarmApp: hubtest.NewAlarmApp(), OnOpen: func(r apps.OpenRoom) {
		o.mu.Lock()
		o.rooms = append(o.rooms, r)
		o.mu.Unlock()
		if on != nil {
			on(r)
		}
	}}
	return o
}

// opened returns the rooms there were.
func (o *opener) opened() []apps.OpenRoom {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]apps.OpenRoom(nil), o.rooms...)
}

func isClosed(r apps.OpenRoom) bool {
	select {
	case <-r.Closed():
		return true
	default:
		return false
	}
}

// A room is opened once, before anybody is in it, as long as somebody is; then anew.
func TestARoomIsOpenedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var before []int
		app := newOpener(func(r apps.OpenRoom) {
			before = append(before, r.Len())
			if r.Name() != "test.example/room" {
				t.Errorf("it is called %s", r.Name())
			}
		})
		r := appstest.NewRoom(t, app)
		a, b := r.Join(), r.Join()
		r.Post("op").Expect("1")
		a.Leave()
		synctest.Wait()
		if rooms := app.opened(); len(rooms) != 1 || isClosed(rooms[0]) || rooms[0].Len() != 1 {
			t.Fatalf("%d rooms", len(rooms))
		}
		b.Leave()
		synctest.Wait()
		first := app.opened()[0]
		if !isClosed(first) {
			t.Error("it is still open")
		}
		c := r.Join()
		if rooms := app.opened(); len(rooms) != 2 || isClosed(rooms[1]) || before[0] != 0 || before[1] != 0 {
			t.Errorf("%d rooms, with %v members", len(rooms), before)
		}
		first.Publish(apps.Text("late"))
		first.Apply(nil, []byte("op"))
		c.ExpectNothing()
		r.ExpectState("1")
	})
}

// All that come at the same time find the room open.
func TestAllFindTheRoomOpen(t *testing.T) {
	var ready, early atomic.Bool
	var begun, all sync.WaitGroup
	app := newOpener(func(apps.OpenRoom) {
		begun.Wait() // as an app must not
		ready.Store(true)
	})
	w := hubtest.New(t, new(memory.Engine))
	rt := hubtest.Route(app)
	begun.Add(20)
	for range 20 {
		all.Go(func() {
			begun.Done()
			m, err := w.Hub.Join(context.Background(), rt, room.Visitor{Room: "room"})
			if err != nil {
				t.Error(err)
				return
			}
			if !ready.Load() {
				early.Store(true)
			}
			m.Abandon()
		})
	}
	all.Wait()
	if early.Load() {
		t.Error("a visitor has come in before the room was open")
	}
}

// What the app does without a connection is told like anything else, but to no sender. What
// it does in Open comes first.
func TestAnAppActsByItself(t *testing.T) {
	app := newOpener(func(r apps.OpenRoom) { r.Apply(nil, []byte("own press hot")) })
	w := hubtest.New(t, new(memory.Engine))
	rt := hubtest.Route(app)
	a, b := w.Join(rt), w.Enter(rt, room.Visitor{Room: "room", Claims: []string{"press"}})
	b.Expect("press hot")
	r := app.opened()[0]
	r.Apply(nil, []byte("tell all hello"))
	a.Expect("all hello", "2")
	b.Expect("all hello", "2")
	r.Apply(nil, []byte("tell me nothing"))
	a.Expect("3")
	r.Apply(a.Member.App(), []byte("tell me something"))
	a.Expect("4", "me something")
	r.Publish(apps.Text("to all but b"), b.Member.App())
	a.Expect("to all but b")
	b.Expect("3", "4")
	r.Publish(apps.Text("to all"))
	b.Expect("to all")
	defer func() {
		if recover() == nil {
			t.Error("a connection of another room was taken")
		}
	}()
	other := w.Enter(rt, room.Visitor{Room: "other"})
	r.Apply(other.Member.App(), []byte("op"))
}

// An operation that is refused is no fault of a connection.
func TestAnOperationOfTheAppIsRefused(t *testing.T) {
	r := appstest.NewRoom(t, newOpener(nil))
	w := r.Join()
	w.Send("op")
	w.Expect("1")
	counter := &openCounter{CounterApp: hubtest.NewCounterApp()}
	other := appstest.NewRoom(t, counter)
	c := other.Join()
	for _, op := range []string{"bad", "boom", "op"} {
		counter.room.Apply(nil, []byte(op))
	}
	c.Expect("1")
	other.ExpectLogged("boom")
	c.ExpectNothing()
}

type openCounter struct {
	*hubtest.CounterApp
	room apps.OpenRoom
}

func (o *openCounter) Open(r apps.OpenRoom) { o.room = r }

func TestAPanicOnOpening(t *testing.T) {
	app := newOpener(func(apps.OpenRoom) { panic("at the opening") })
	r := appstest.NewRoom(t, app)
	a, b := r.Join(), r.Join()
	r.ExpectLogged("at the opening")
	a.Send("tell all hello")
	a.Expect("1", "all hello")
	b.Expect("all hello", "1")
	if n := len(app.opened()); n != 1 {
		t.Errorf("opened %d times", n)
	}
}

// After a reload the new instance of the app has the room, and the one before has it no
// more.
func TestAReloadOpensARoomAnew(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	before := newOpener(nil)
	rt := named(before)
	w.Begin([]*route.Route{rt})
	c := w.Join(rt)
	for range 2 {
		now := newOpener(func(r apps.OpenRoom) {
			if rooms := before.opened(); !isClosed(rooms[len(rooms)-1]) {
				t.Error("two instances have the room")
			}
			r.Apply(nil, []byte("tell all new"))
		})
		next := named(now)
		w.Adopt([]*route.Route{rt}, []*route.Route{next}, hub.Limits{})
		c.ExpectPrefix("all new")
		if _, err := c.ReadText(); err != nil {
			t.Fatal(err)
		}
		before.opened()[0].Apply(nil, []byte("tell all old"))
		before.opened()[0].Publish(apps.Text("old"))
		if isClosed(now.opened()[0]) {
			t.Error("it is not open")
		}
		before = now
		rt = next
	}
	c.Send("tell all end")
	c.Expect("3", "all end")
}

func named(app apps.App) *route.Route {
	return route.New("named", "test", route.Config{App: app, Named: true, Settings: socket.Settings{MaxMessageSize: 1000, MaxQueue: 64 << 10}})
}
