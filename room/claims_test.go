package room_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/apps/appstest"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/room"
)

// alarmRoom is a room of an app with events, and a client that is told the text of all
// that is for everybody.
func alarmRoom(t *testing.T) *appstest.Room {
	t.Helper()
	return appstest.NewRoom(t, hubtest.NewAlarmApp())
}

// Each event reaches those that it is for: everybody, the sender, or those that have
// claimed a name, by an operation or when they came.
func TestEventsReachThoseTheyAreFor(t *testing.T) {
	r := alarmRoom(t)
	sender, press, both, other := r.Join(), r.Join(appstest.Claim("press")), r.Join(appstest.Claim("press", "hall")), r.Join()
	sender.Send("tell all fire")
	sender.Expect("1", "all fire")
	for _, c := range []*appstest.Client{press, both, other} {
		c.Expect("all fire", "1")
	}
	sender.Send("tell press stop")
	sender.Expect("2")
	press.Expect("press stop", "2")
	both.Expect("press stop", "2")
	other.Expect("2")
	sender.Send("tell me sorry")
	sender.Expect("3", "me sorry")
	press.Expect("3")
	other.Send("claim hall")
	other.Expect("3", "4")
	press.Expect("4")
	both.Expect("3", "4")
	other.Send("tell hall dark")
	other.Expect("5", "hall dark")
	both.Expect("hall dark", "5")
	press.Expect("5")
	sender.Expect("4", "5")
	press.Leave()
	r.Post("tell press again").Expect("6") // nobody is told but the other one
	both.Expect("press again", "6")
	sender.Expect("6")
	r.Post("tell me nothing").Expect("7") // which has no connection to be told by
	sender.Expect("7")
	both.Expect("7")
	both.ExpectNothing()
}

// In one commit each member is told its events in the order of the operations, the
// sender's own answers among them.
func TestEventsOfOneCommit(t *testing.T) {
	e, g := hubtest.NewEngine(), hubtest.NewGate()
	w := hubtest.New(t, e)
	e.OnSwap(g.Swap)
	rt := hubtest.Route(hubtest.NewAlarmApp())
	a, b, c := w.Enter(rt, room.Visitor{Room: "room", Claims: []string{"a"}}), w.Enter(rt, room.Visitor{Room: "room", Claims: []string{"b"}}), w.Join(rt)
	a.Send("op")
	<-g.Taken
	a.Send("tell b 1", "tell all 2", "tell me 3", "tell a 4", "op")
	size := int64(len("op" + "tell b 1" + "tell all 2" + "tell me 3" + "tell a 4" + "op"))
	waiting(t, w, size)
	b.Send("tell a 5", "tell me 6", "tell all 7")
	waiting(t, w, size+int64(len("tell a 5"+"tell me 6"+"tell all 7")))
	g.Pass <- nil
	<-g.Taken
	e.OnSwap(nil)
	g.Pass <- nil
	c.Expect("1", "all 2", "all 7", "9")
	// The operations of a and b are carried out in turns.
	a.Expect("1", "2", "a 5", "4", "all 2", "6", "me 3", "all 7", "8", "a 4", "9")
	b.Expect("b 1", "3", "all 2", "5", "me 6", "7", "all 7", "9")
}

// What goes on for a name is told to whoever claims it, once, and in place of what has
// happened in the same commit.
func TestAClaimIsToldWhatStands(t *testing.T) {
	r := alarmRoom(t)
	r.Post("raise press hot").Expect("1")
	r.Post("raise hall dark").Expect("2")
	c := r.Join(appstest.JSON, appstest.Claim("press"))
	c.ExpectEvent("alert", `{"to":"press","text":"hot","version":2}`)
	c.ExpectJSON(`{"type":"state","n":2}`)
	c.Send(`{"do":"claim press"}`)
	c.ExpectJSON(`{"type":"reply","n":3}`)
	c.Send(`{"do":"claim hall"}`)
	c.ExpectJSON(`{"type":"reply","n":4}`)
	c.ExpectEvent("alert", `{"to":"hall","version":4}`)
	c.Send(`{"do":"claim hall"}`)
	c.ExpectJSON(`{"type":"reply","n":5}`)
	c.Send(`{"do":"own mill loud"}`)
	c.ExpectJSON(`{"type":"reply","n":6}`)
	c.ExpectEvent("alert", `{"to":"mill","text":"loud","version":6}`)
	c.ExpectNothing()
	c.Send(`{"do":"own mill quiet"}`)
	c.ExpectJSON(`{"type":"reply","n":7}`)
	c.ExpectEvent("alert", `{"to":"mill","text":"quiet","version":7,"number":1}`)
	c.ExpectNothing()
}

// A state without standing events tells a new claim the events of its own commit.
func TestAClaimInARoomWhereNothingStands(t *testing.T) {
	r := appstest.NewRoom(t, momentary{hubtest.NewAlarmApp()})
	c := r.Join(appstest.Claim("hall"))
	c.Send("own press hot")
	c.Expect("1", "press hot")
	c.Send("tell hall dark")
	c.Expect("2", "hall dark")
}

// momentary is an alarm app whose events do not go on.
type momentary struct{ *hubtest.AlarmApp }

func (a momentary) NewState() apps.State { return moments{a.AlarmApp.NewState()} }

type moments struct{ apps.State }

// A member has at most so many names. That one more is not taken is in the log, once.
func TestTooManyClaims(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	w := hubtest.Over(t, hub.New(hubtest.Opens(new(memory.Engine)), hub.Limits{}, func() *zap.Logger { return zap.New(core) }))
	rt := hubtest.Route(hubtest.NewAlarmApp())
	names := make([]string, apps.MaxClaims-1)
	for i := range names {
		names[i] = fmt.Sprint("x", i)
	}
	c := w.Enter(rt, room.Visitor{Room: "room", Claims: names})
	for i, name := range []string{"last", "more", "more", "still.more", "last"} {
		c.Send("claim " + name)
		c.Expect(fmt.Sprint(i + 1))
	}
	c.Send("tell more lost", "tell last found")
	c.Expect("6", "7", "last found")
	if n := logs.FilterMessageSnippet("can claim no more names").Len(); n != 1 || logs.Len() != 1 {
		t.Errorf("%d of %d lines", n, logs.Len())
	}
}

func TestClaimsThatAreNone(t *testing.T) {
	r := alarmRoom(t)
	c := r.Join()
	for i, name := range []string{"ä", "a/b", strings.Repeat("x", 65)} {
		c.Send("claim " + name)
		c.Expect(fmt.Sprint(i + 1))
	}
	r.ExpectLogged("the app has claimed a name that cannot be claimed")
	c.Send("tell a/b nobody")
	c.Expect("4")
	for _, good := range []string{"a", "A-Z", "0.9_:", strings.Repeat("x", 64)} {
		if err := room.CheckClaims([]string{good}); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "a b", "é", "\n", strings.Repeat("x", 65)} {
		if room.CheckClaims([]string{"good", bad}) == nil {
			t.Errorf("%q can be claimed", bad)
		}
	}
	most := slices.Repeat([]string{"a"}, apps.MaxClaims)
	if err := room.CheckClaims(most); err != nil {
		t.Errorf("%d names: %v", len(most), err)
	}
	if room.CheckClaims(append(most, "a")) == nil {
		t.Errorf("%d names can be claimed", len(most)+1)
	}
}

// A repeat claims nothing, and neither does an operation that is refused or comes by POST.
func TestClaimsThatDoNotCount(t *testing.T) {
	r := alarmRoom(t)
	first, second := r.Join(appstest.JSON), r.Join(appstest.JSON)
	first.ExpectJSON(`{"type":"state"}`)
	second.ExpectJSON(`{"type":"state"}`)
	for range 2 {
		first.Send(`{"do":"own press hot","id":"a:1"}`)
	}
	first.ExpectJSON(`{"type":"reply","id":"a:1"}`)
	first.ExpectEvent("alert", `{}`)
	first.ExpectJSON(`{"type":"reply","id":"a:1","repeat":true}`)
	second.ExpectJSON(`{"type":"update"}`)
	second.Send(`{"do":"own press hot","id":"a:1"}`)
	second.ExpectJSON(`{"type":"reply","id":"a:1","repeat":true}`)
	r.Post("own press hot").Expect("2")
	first.ExpectEvent("alert", `{"version":2}`)
	first.ExpectJSON(`{"type":"update"}`)
	second.ExpectJSON(`{"type":"update"}`)
	second.ExpectNothing()
}

// The same claim with every message costs nothing beside the message.
func TestAClaimAgainAllocatesNothing(t *testing.T) {
	if testing.CoverMode() != "" || raceEnabled {
		t.Skip("allocations are other ones")
	}
	count := func(command string) float64 {
		w := hubtest.New(t, new(memory.Engine))
		c := w.Join(hubtest.Route(hubtest.NewAlarmApp()))
		c.Send(command)
		c.Expect("1")
		n := 1
		return testing.AllocsPerRun(100, func() {
			for range 10 {
				n++
				c.Send(command)
				c.Expect(fmt.Sprint(n))
			}
		})
	}
	if without, with := count("clain press"), count("claim press"); with > without+5 {
		t.Errorf("%v allocations with a claim, %v without", with, without)
	}
}
