package room_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/apps/appstest"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/room"
)

func TestParseSeen(t *testing.T) {
	for _, good := range []string{"ABCDEFGH-0", "E-18446744073709551615", "E-1-1", "E-0-2147483647"} {
		if _, err := room.ParseSeen(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "E", "E-", "-1", "E-1-", "E-1-0", "E-1-2-3", "E-+1", "E- 1", "E-1.0", "E--1", "E-18446744073709551616", "E-01", "E-1-01", "E-1-2147483648"} {
		if _, err := room.ParseSeen(bad); err == nil {
			t.Errorf("%s is a point", bad)
		}
	}
}

// A client that comes back is told what has happened since that is for it, in order, each
// once, and before the state; over event streams, too.
func TestComingBackAfterAPoint(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	rt := hubtest.Route(hubtest.NewAlarmApp())
	sender := w.Join(rt)
	for i, command := range []string{"tell all 1", "tell press 2", "tell me 3", "tell hall 4", "tell all 5", "op"} {
		sender.Send(command)
		sender.Expect(fmt.Sprint(i + 1))
		if to, text, _ := strings.Cut(strings.TrimPrefix(command, "tell "), " "); to == "all" || to == "me" {
			sender.Expect(to + " " + text)
		}
	}
	view, err := w.Hub.View(context.Background(), rt, "room")
	if err != nil {
		t.Fatal(err)
	}
	e := view.Epoch
	for _, test := range []struct {
		after  string
		claims []string
		want   string // numbers of events
	}{
		{"-0", nil, "15"},
		{"-0", []string{"press", "hall"}, "1245"},
		{"-1", []string{"hall", "press"}, "245"},
		{"-1-1", []string{"press"}, "25"},
		{"-2", []string{"press"}, "5"},
		{"-2-1", []string{"press"}, "5"},
		{"-5-1", []string{"press"}, ""},
		{"-5", nil, ""},
		{"-6", []string{"press", "hall"}, ""},
	} {
		seen, err := room.ParseSeen(e + test.after)
		if err != nil {
			t.Fatal(err)
		}
		v := room.Visitor{Room: "room", Seen: seen, Claims: test.claims}
		var texts, streamed []string
		for _, n := range test.want {
			to := map[rune]string{'1': "all", '2': "press", '4': "hall", '5': "all"}[n]
			texts = append(texts, fmt.Sprintf("%s %c", to, n))
			streamed = append(streamed, fmt.Sprintf("id: %s-%c-1|event: event|data: %s %c", e, n, to, n))
		}
		text := w.Enter(rt, v)
		text.Expect(texts...)
		v.Subprotocol = message.Subprotocol
		json := w.Enter(rt, v)
		for range texts {
			json.ExpectPrefix(`{"type":"event","event":"alert","epoch":"` + e + `"`)
		}
		json.ExpectPrefix(`{"type":"state","epoch":"` + e + `","version":6`)
		v.Subprotocol = ""
		if test.after != "-6" { // else there is nothing that is not seen
			streamed = append(streamed, "id: "+e+"-6|data: 6")
		}
		w.FollowAs(rt, v).Expect(streamed...)
		text.Leave()
		json.Leave()
	}
}

// A client is told that there is a gap if what it asks for is not kept any more, or is of
// another life of the room; then what is kept, and what stands for its claims beside it.
func TestAGap(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	rt := hubtest.Route(hubtest.NewAlarmApp())
	sender := w.Join(rt)
	sender.Send("raise press hot", "raise hall dark")
	sender.Expect("1", "2")
	for i := range 62 {
		sender.Send("tell all x")
		sender.Expect(fmt.Sprint(i+3), "all x")
	}
	view, err := w.Hub.View(context.Background(), rt, "room")
	if err != nil {
		t.Fatal(err)
	}
	e := view.Epoch
	come := func(after string) *hubtest.Client {
		seen, _ := room.ParseSeen(after)
		return w.Enter(rt, room.Visitor{Room: "room", Seen: seen, Claims: []string{"press", "hall"}, Subprotocol: message.Subprotocol})
	}
	alarm := func(to, text string, at string) string {
		return fmt.Sprintf(`{"type":"event","event":"alert",%s,"to":%q,"text":%q}`, at, to, text)
	}
	expectFields(t, come(e+"-0"), alarm("press", "hot", `"version":1,"number":1`), alarm("hall", "dark", `"version":2,"number":1`))
	elsewhere := come("OTHER-5")
	expectFields(t, elsewhere, `{"type":"gap","oldest":1}`, alarm("press", "hot", `"version":1,"number":1`))
	for range 63 { // whatever version it had seen there
		elsewhere.ExpectPrefix(`{"type":"event"`)
	}
	elsewhere.ExpectPrefix(`{"type":"state"`)
	expectFields(t, come(e+"-65"), `{"type":"gap","oldest":1}`) // there is no such version yet

	sender.Send("op", "tell all y", "tell all z") // press is not kept any more, hall neither
	sender.Expect("65", "66", "all y", "67", "all z")
	late := come(e + "-1")
	expectFields(t, late, `{"type":"gap","oldest":3}`,
		alarm("press", "hot", `"version":2,"number":1`), alarm("hall", "dark", `"version":2,"number":1`),
		alarm("all", "x", `"version":3,"number":1`))
	for range 61 + 2 {
		late.ExpectPrefix(`{"type":"event"`)
	}
	late.ExpectPrefix(`{"type":"state"`)
	intime := come(e + "-2")
	expectFields(t, intime, alarm("all", "x", `"version":3,"number":1`))

	seen, _ := room.ParseSeen(e + "-1")
	w.FollowAs(rt, room.Visitor{Room: "room", Seen: seen}).Expect(
		"event: gap|data: gap: what happened before "+e+"-3 is not known any more",
		"id: "+e+"-3-1|event: event|data: all x")
}

// Of what has not been kept, that which stands is told beside what is kept: not twice.
func TestAGapTellsNothingTwice(t *testing.T) {
	r := alarmRoom(t)
	r.Post("raise press hot").Expect("1")
	back := r.Join(appstest.JSON, appstest.Claim("press"), appstest.After("elsewhere"))
	back.ExpectGap()
	back.ExpectEvent("alert", `{"to":"press","version":1,"number":1}`)
	back.ExpectJSON(`{"type":"state"}`)
	back.ExpectNothing()
}

// In a room that never had an event nobody is told of a gap.
func TestNoGapWithoutEvents(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	rt := hubtest.Route(hubtest.NewAlarmApp())
	w.Join(rt).Send("op")
	seen, _ := room.ParseSeen("elsewhere")
	c := w.Enter(rt, room.Visitor{Room: "room", Seen: seen, Claims: []string{"press"}, Subprotocol: message.Subprotocol})
	c.ExpectPrefix(`{"type":"state"`)
}

// A member that comes while a commit is under way is told each event once: of the commit,
// or before.
func TestComingDuringACommit(t *testing.T) {
	e, g := hubtest.NewEngine(), hubtest.NewGate()
	w := hubtest.New(t, e)
	rt := hubtest.Route(hubtest.NewAlarmApp())
	sender := w.JoinJSON(rt)
	sender.ExpectPrefix(`{"type":"state"`)
	sender.Send(`{"do":"tell all first"}`)
	sender.ExpectPrefix(`{"type":"reply"`)
	first, err := sender.ReadSaid()
	if err != nil {
		t.Fatal(err)
	}
	e.OnSwap(g.Swap)
	sender.Send("raise press hot")
	<-g.Taken
	var visitors []*hubtest.Client
	for _, after := range []string{"", "-0"} {
		v := room.Visitor{Room: "room", Claims: []string{"press"}, Subprotocol: message.Subprotocol}
		if after != "" {
			v.Seen, _ = room.ParseSeen(first.Epoch + after)
		}
		visitors = append(visitors, w.Enter(rt, v))
	}
	sender.Send("raise press cold")
	waiting(t, w, int64(len("raise press hot"+"raise press cold")))
	g.Pass <- nil
	<-g.Taken
	e.OnSwap(nil)
	g.Pass <- nil
	expectFields(t, visitors[0],
		`{"type":"event","event":"alert","version":2,"to":"press","text":"hot"}`,
		`{"type":"state","version":2,"n":2}`,
		`{"type":"event","event":"alert","version":3,"number":1,"to":"press","text":"cold"}`,
		`{"type":"update","version":3,"n":3}`)
	expectFields(t, visitors[1],
		`{"type":"event","event":"alert","version":1,"number":1,"to":"all","text":"first"}`,
		`{"type":"event","event":"alert","version":2,"number":1,"to":"press","text":"hot"}`,
		`{"type":"state","version":2,"n":2}`,
		`{"type":"event","event":"alert","version":3,"number":1,"to":"press","text":"cold"}`,
		`{"type":"update","version":3,"n":3}`)
}

// joiner is an alarm app that applies what the URL of a visitor says.
type joiner struct{ *hubtest.AlarmApp }

func (joiner) Join(c apps.Conn, h apps.Handshake) error {
	for _, command := range h.Query["do"] {
		c.Room().Apply(c, []byte(command))
	}
	return nil
}

// What an app does for a client before that is in the room is told it once.
func TestClaimsOnJoining(t *testing.T) {
	r := appstest.NewRoom(t, joiner{hubtest.NewAlarmApp()})
	c := r.Join(appstest.JSON, appstest.Query("do", "own press hot"), appstest.Query("do", "tell me hello"))
	c.ExpectJSON(`{"type":"reply","n":1}`)
	c.ExpectJSON(`{"type":"reply","n":2}`)
	c.ExpectEvent("alert", `{"text":"hello"}`)
	c.ExpectEvent("alert", `{"text":"hot","version":2}`)
	c.ExpectJSON(`{"type":"state","n":2}`)
	r.Post("tell press more").Expect("3")
	c.ExpectEvent("alert", `{"text":"more"}`)
	c.ExpectJSON(`{"type":"update","n":3}`)
	c.ExpectNothing()
}

// A client that comes back and claims, by an operation of its joining, a name that it did not
// have is told what stands for that, though it has happened before what it says it has seen.
func TestComingBackWithANewClaim(t *testing.T) {
	r := appstest.NewRoom(t, joiner{hubtest.NewAlarmApp()})
	r.Post("raise press hot").Expect("1")
	first := r.Join(appstest.JSON)
	first.ExpectJSON(`{"type":"state","n":1}`)
	c := r.Join(appstest.JSON, appstest.After(first.Seen()), appstest.Query("do", "claim press"), appstest.Query("do", "tell all hello"), appstest.Query("do", "own hall dark"))
	c.ExpectJSON(`{"type":"reply","n":2}`)
	c.ExpectJSON(`{"type":"reply","n":3}`)
	c.ExpectJSON(`{"type":"reply","n":4}`)
	c.ExpectEvent("alert", `{"to":"all","text":"hello","version":3,"number":1}`)
	c.ExpectEvent("alert", `{"to":"hall","text":"dark","version":4,"number":1}`)
	c.ExpectEvent("alert", `{"to":"press","text":"hot","version":4}`)
	c.ExpectJSON(`{"type":"state","n":4}`)
	r.Post("tell press more").Expect("5")
	c.ExpectEvent("alert", `{"text":"more"}`)
	c.ExpectJSON(`{"type":"update","n":5}`)
	c.ExpectNothing()
}

// The same, when the operation is being stored as the client comes into the room.
func TestComingBackWhileAClaimIsStored(t *testing.T) {
	e, g := hubtest.NewEngine(), hubtest.NewGate()
	w := hubtest.New(t, e)
	rt := hubtest.Route(patientJoiner{joiner{hubtest.NewAlarmApp()}, g.Taken})
	sender := w.Join(rt)
	sender.Send("raise press hot")
	sender.Expect("1")
	view, err := w.Hub.View(context.Background(), rt, "room")
	if err != nil {
		t.Fatal(err)
	}
	e.OnSwap(g.Swap)
	seen, _ := room.ParseSeen(view.ID())
	v := room.Visitor{Room: "room", Seen: seen, Subprotocol: message.Subprotocol}
	v.Handshake.Query = url.Values{"do": {"claim press"}}
	c := w.Enter(rt, v)
	e.OnSwap(nil)
	g.Pass <- nil
	expectFields(t, c,
		`{"type":"reply","version":2,"n":2}`,
		`{"type":"event","event":"alert","version":2,"to":"press","text":"hot"}`,
		`{"type":"state","version":2,"n":2}`)
}

// patientJoiner is a joiner that waits for what it applies to be taken by the engine.
type patientJoiner struct {
	joiner
	taken <-chan struct{}
}

func (a patientJoiner) Join(c apps.Conn, h apps.Handshake) error {
	defer func() {
		if h.Query.Has("do") {
			<-a.taken
		}
	}()
	return a.joiner.Join(c, h)
}

// A client that comes with a claim, while what its app has done for it is being committed, is
// told once what stands for its names.
func TestClaimsOnJoiningDuringACommit(t *testing.T) {
	e, g := hubtest.NewEngine(), hubtest.NewGate()
	w := hubtest.New(t, e)
	rt := hubtest.Route(patientJoiner{joiner{hubtest.NewAlarmApp()}, g.Taken})
	e.OnSwap(g.Swap)
	c := w.Enter(rt, room.Visitor{
		Room: "room", Claims: []string{"press"}, Subprotocol: message.Subprotocol,
		Handshake: apps.Handshake{Query: url.Values{"do": {"own hall dark"}}},
	})
	e.OnSwap(nil)
	g.Pass <- nil
	expectFields(t, c,
		`{"type":"reply","version":1,"n":1}`,
		`{"type":"event","event":"alert","version":1,"to":"hall","text":"dark"}`,
		`{"type":"state","version":1,"n":1}`)
	c.Send(`{"do":"op"}`)
	expectFields(t, c, `{"type":"reply","version":2,"n":2}`)
}

// A member that takes nothing for a while, as alerts begin and end, is told each once and
// in order, and of the state only the last.
func TestAPausingMemberMissesNoEvent(t *testing.T) {
	hubtest.InBubble(t, new(memory.Engine), hub.Limits{}, func(t *testing.T, b hubtest.Bubble) {
		rt := hubtest.Route(hubtest.NewAlarmApp())
		c, err := hubtest.Dial(t, b.Hub, rt, room.Visitor{Room: "room", Claims: []string{"press"}, Subprotocol: message.Subprotocol})
		if err != nil {
			t.Fatal(err)
		}
		c.ExpectPrefix(`{"type":"state"`)
		for i := range 20 {
			hubtest.Post(t, b.Hub, rt, "room", "raise press "+fmt.Sprint(i), fmt.Sprint(2*i+1))
			hubtest.Post(t, b.Hub, rt, "room", "clear press", fmt.Sprint(2*i+2))
			time.Sleep(time.Minute)
		}
		var alerts, updates int
		for alerts < 40 {
			s, err := c.ReadSaid()
			switch {
			case err != nil:
				t.Fatal(err)
			case s.Type == "event":
				if alerts++; s.Version != uint64(alerts) {
					t.Fatalf("version %d as the %dth", s.Version, alerts)
				}
			case s.Type == "update":
				updates++
			}
		}
		if s, err := c.ReadSaid(); err != nil || s.Type != "update" || s.Version != 40 || updates > 1 {
			t.Errorf("%+v, %v, after %d updates", s, err, updates)
		}
		b.End()
		c.ExpectClose(frames.GoingAway)
		synctest.Wait()
	})
}
