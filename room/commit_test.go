package room_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// probe has the member's room tell it something at once: what it reads before
// is all it was told before.
func probe(c *hubtest.Client) { c.Member.App().Send(apps.Text("probe")) }

// gated returns a world whose engine waits for the test.
func gated(t *testing.T) (*hubtest.World, *route.Route, *hubtest.Engine, *hubtest.Gate) {
	e, g := hubtest.NewEngine(), hubtest.NewGate()
	w := hubtest.New(t, e)
	e.OnSwap(g.Swap)
	return w, hubtest.Route(hubtest.NewCounterApp()), e, g
}

// waiting waits until so many operations of the room are held up behind the
// commit under way.
func waiting(t *testing.T, w *hubtest.World, bytes int64) {
	t.Helper()
	hubtest.Until(t, "operations to wait", func() bool { return w.Hub.WaitingBytes() == bytes })
}

// Nothing of an operation leaves before Swap has returned, whatever it waits
// for; a visitor that joins meanwhile is shown the last commit.
func TestNothingIsToldBeforeItIsStored(t *testing.T) {
	w, route, _, g := gated(t)
	sender, other := w.Join(route), w.Join(route)
	sender.Send("op")
	<-g.Taken
	late := w.JoinJSON(route)
	late.ExpectPrefix(`{"type":"state","epoch":"`)
	probe(sender)
	probe(other)
	g.Pass <- nil
	sender.Expect("probe", "1")
	other.Expect("probe", "1")
	late.ExpectPrefix(`{"type":"update","epoch":"`)
}

// What comes while a commit is under way is one commit, and each still gets its
// own result.
func TestOperationsGatherWhileACommitIsUnderWay(t *testing.T) {
	w, route, e, g := gated(t)
	a, b := w.Join(route), w.Join(route)
	watcher := w.Join(route)
	a.Send("op")
	<-g.Taken
	a.Send("op", "bad", "op")
	waiting(t, w, 2+7)
	b.Send("op")
	waiting(t, w, 2+9)
	g.Pass <- nil
	<-g.Taken
	g.Pass <- nil
	a.Expect("1", "2", "error: bad operation", "4") // in rotation with b
	b.Expect("3", "4")
	watcher.Expect("1", "4")
	if n := e.Swaps(); n != 2 {
		t.Errorf("%d commits", n)
	}
}

// A member whose operation waits is told no update before its reply; if that
// tells it nothing, since it is an error, the update comes behind it.
func TestAnUpdateThatWaitedForAReplyIsNotLost(t *testing.T) {
	w, route, _, g := gated(t)
	a, b := w.Join(route), w.JoinJSON(route)
	b.ExpectPrefix(`{"type":"state"`)
	a.Send("op")
	<-g.Taken
	b.Send("bad")
	waiting(t, w, 2+3)
	g.Pass <- nil
	a.Expect("1")
	b.Expect(`{"type":"error","error":"bad operation","code":"refused","retry":false}`)
	if s, err := b.ReadSaid(); err != nil || s.Type != "update" || s.Version != 1 || s.N != 1 {
		t.Errorf("read %+v, %v", s, err)
	}
	a.Send("op") // and only once
	<-g.Taken
	g.Pass <- nil
	if s, err := b.ReadSaid(); err != nil || s.Version != 2 {
		t.Errorf("read %+v, %v", s, err)
	}
}

// Events go to everybody, also to those who wait for an answer, and versions
// never fall: neither for a sender with several operations nor for anybody else.
func TestEventsReachEverybodyInOrder(t *testing.T) {
	w, route, engine, g := gated(t)
	a, b, c := w.JoinJSON(route), w.JoinJSON(route), w.JoinJSON(route)
	a.Send("op")
	<-g.Taken
	a.Send("event", "op", "event", "op")
	waiting(t, w, 2+14)
	g.Pass <- nil
	<-g.Taken
	b.Send("bad")
	waiting(t, w, 14+3)
	g.Pass <- nil
	expectSaid(t, a, "state0", "reply1", "reply2", "event2", "reply3", "reply4", "event4", "reply5")
	expectSaid(t, b, "state0", "update1", "event2", "event4", "error0", "update5")
	expectSaid(t, c, "state0", "update1", "event2", "event4", "update5")
	engine.OnSwap(nil) // how far the events were told is stored, too
}

// An empty body says nothing in either language.
func TestEmptyBodiesSayNothing(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	route := hubtest.Route(hubtest.NewCounterApp())
	text, json := w.Join(route), w.JoinJSON(route)
	json.ExpectPrefix(`{"type":"state"`)
	text.Send("silent", "quiet")
	text.Expect("2")
	json.Send("silent", "quiet")
	expectSaid(t, json, "reply4")
	text.Send("mute")
	expectSaid(t, json, "update5")
	text.Send("op")
	text.Expect("6")
	expectSaid(t, json, "update6")
}

// expectSaid reads messages and compares their types and versions.
func expectSaid(t *testing.T, c *hubtest.Client, wants ...string) {
	t.Helper()
	for _, want := range wants {
		s, err := c.ReadSaid()
		if got := fmt.Sprint(s.Type, s.Version); err != nil || got != want {
			t.Fatalf("read %s, %v; want %s", got, err, want)
		}
	}
}

// A state that is not stored is not there: the senders are told, and what comes
// next builds on what is stored.
func TestARefusedCommitIsUndone(t *testing.T) {
	e := hubtest.NewEngine()
	w := hubtest.New(t, e)
	route := hubtest.Route(hubtest.NewCounterApp())
	c, other := w.Join(route), w.Join(route)
	c.Send("op")
	c.Expect("1")
	e.OnSwap(func(func() error) error { return fmt.Errorf("disk: %w", engines.ErrRefused) })
	c.Send("op", "bad")
	c.Expect("error: unavailable, try again later", "error: bad operation")
	e.OnSwap(nil)
	c.Send("op")
	c.Expect("2")
	other.Expect("1", "2")
	if n := w.Logs.Len(); n != 1 {
		t.Errorf("%d log lines: %v", n, w.Logs.All())
	}
}

// A batch whose state is too big is divided until only the operations that
// exceed it are refused.
func TestOperationsThatAreTooBigAreRefusedOneByOne(t *testing.T) {
	e, g := hubtest.NewEngine(), hubtest.NewGate()
	e.Max = 2500
	w := hubtest.New(t, e)
	route := hubtest.Route(hubtest.NewCounterApp())
	c := w.Join(route)
	e.OnSwap(g.Swap)
	c.Send("op")
	<-g.Taken
	c.Send("big", "op", "big", "big", "op", "big", "op")
	waiting(t, w, 2+5*3+3*2-3)
	e.OnSwap(nil)
	g.Pass <- nil
	c.Expect("1", "2", "3", "4", "error: room is full", "5", "error: room is full", "6")
	state, _, err := e.Load(context.Background(), engines.Key{App: "test", Room: "room"})
	if err != nil || len(state) > e.Max {
		t.Errorf("%d bytes are stored, %v", len(state), err)
	}
}

// Bytes that cannot be read are never overwritten, and nobody gets in.
func TestDamagedStatesAreKept(t *testing.T) {
	key := engines.Key{App: "test", Room: "room"}
	for _, damaged := range []string{"", "\x01EPOCHEPO", "\x02EPOCHEPO\x01\x00rest", "\x01EPOCHEPO\x01\x02no counter"} {
		e := hubtest.NewEngine()
		w := hubtest.New(t, e)
		route := hubtest.Route(hubtest.NewCounterApp())
		if _, err := e.Engine.Swap(context.Background(), key, 0, engines.Value{State: []byte(damaged)}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Hub.Join(context.Background(), route, room.Visitor{Room: "room"}); !errors.Is(err, room.ErrUnavailable) {
			t.Errorf("joining %q: %v", damaged, err)
		}
		if state, _, err := e.Load(context.Background(), key); err != nil || string(state) != damaged {
			t.Errorf("%q was replaced by %q, %v", damaged, state, err)
		}
	}
}

// A room whose bytes were damaged while it was loaded goes on showing its last
// commit and refuses, until they are repaired.
func TestStateDamagedMeanwhileIsKept(t *testing.T) {
	key := engines.Key{App: "test", Room: "room"}
	ctx := context.Background()
	e := hubtest.NewEngine()
	w := hubtest.New(t, e)
	route := hubtest.Route(hubtest.NewCounterApp())
	c := w.Join(route)
	c.Send("op")
	c.Expect("1")
	good, rev, err := e.Load(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	if rev, err = e.Engine.Swap(ctx, key, rev, engines.Value{State: []byte("\x01EPOCHEPO\x09\x02damaged")}); err != nil {
		t.Fatal(err)
	}
	c.Send("op", "op") // a conflict first
	c.Expect("error: unavailable, try again later", "error: unavailable, try again later")
	c.Send("op")
	c.Expect("error: unavailable, try again later")
	if s, err := w.JoinJSON(route).ReadSaid(); err != nil || s.Version != 1 || s.N != 1 || s.Epoch == "EPOCHEPO" {
		t.Errorf("is shown %+v, %v", s, err)
	}
	if _, err = e.Engine.Swap(ctx, key, rev, engines.Value{State: good}); err != nil {
		t.Fatal(err)
	}
	c.Send("op")
	c.Expect("2")
}

// State outlives its room's time in memory.
func TestStateComesBackWithTheRoom(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	route := hubtest.Route(hubtest.NewCounterApp())
	c := w.JoinJSON(route)
	first, _ := c.ReadSaid()
	c.Send("op", "op")
	c.ExpectPrefix(`{"type":"reply"`)
	c.ExpectPrefix(`{"type":"reply"`)
	c.Leave()
	hubtest.Until(t, "the room to leave memory", func() bool { return w.Hub.Rooms() == 0 })
	again, err := w.JoinJSON(route).ReadSaid()
	if err != nil || again.N != 2 || again.Version != 2 || again.Epoch != first.Epoch {
		t.Errorf("%+v after %+v, %v", again, first, err)
	}
}
