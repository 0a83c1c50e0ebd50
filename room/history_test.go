package room_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/apps/broadcast"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/replica"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
	"github.com/caddyws/caddy-websocket/socket"
)

// chatRoute is a route that keeps messages.
func chatRoute(h route.History, app *broadcast.App, change ...func(*socket.Settings)) *route.Route {
	settings := socket.Settings{MaxMessageSize: 1 << 20, MaxQueue: 1 << 20}
	for _, c := range change {
		c(&settings)
	}
	return route.New("test", "test", route.Config{App: app, Settings: settings, History: h})
}

// told is a message of the subprotocol json in a room that keeps messages.
type told struct {
	Type    string
	Epoch   string
	Version uint64
	Oldest  uint64
	Data    string
	From    struct{ ID, User string }
	ID      string
	Repeat  bool
	Code    string
}

func (m told) String() string {
	switch m.Type {
	case "message":
		return fmt.Sprintf("%d %s", m.Version, m.Data)
	case "reply":
		return fmt.Sprintf("reply %d to %s", m.Version, m.ID)
	case "gap":
		return fmt.Sprintf("gap before %d", m.Oldest)
	}
	return fmt.Sprintf("%s %d%s", m.Type, m.Version, m.Code)
}

func readTold(c *hubtest.Client) (m told, err error) {
	text, err := c.ReadText()
	if err == nil {
		err = json.Unmarshal([]byte(text), &m)
	}
	return m, err
}

// hears expects messages of the subprotocol json.
func hears(t *testing.T, c *hubtest.Client, want ...string) (last told) {
	t.Helper()
	for _, w := range want {
		var err error
		if last, err = readTold(c); err != nil || last.String() != w {
			t.Fatalf("heard %v, %v, want %s", last, err, w)
		}
	}
	return last
}

func seen(t *testing.T, point string) room.Seen {
	t.Helper()
	s, err := room.ParseSeen(point)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func say(text string) string { return fmt.Sprintf(`{"data":%q}`, text) }

// Whoever joins is told where the room stands, then what is replayed, or all since the point
// that it has reached, or that there is a gap, and then what comes.
func TestJoiningARoomWithHistory(t *testing.T) {
	for name, engine := range map[string]engines.Engine{"volatile": new(memory.Engine), "slow": hubtest.NewEngine()} {
		t.Run(name, func(t *testing.T) {
			w := hubtest.New(t, engine)
			rt := chatRoute(route.History{Messages: 6, Replay: 2}, new(broadcast.App))
			a := w.JoinJSON(rt)
			epoch := hears(t, a, "state 0").Epoch
			silent := w.Enter(rt, room.Visitor{Room: "room", Subprotocol: message.Subprotocol, Seen: seen(t, "OTHEREPO-0")})
			if got := hears(t, silent, "state 0"); got.Epoch != epoch {
				t.Errorf("%+v", got)
			}
			silent.Leave()
			for i := 1; i <= 8; i++ {
				a.Send(say(fmt.Sprint("m", i)))
				hears(t, a, fmt.Sprintf("%d m%d", i, i))
			}
			join := func(point string) *hubtest.Client {
				v := room.Visitor{Room: "room", Subprotocol: message.Subprotocol}
				if point != "" {
					v.Seen = seen(t, point)
				}
				return w.Enter(rt, v)
			}
			late := []*hubtest.Client{
				join(""), join(epoch + "-5"), join(epoch + "-8"), join(epoch + "-2"), join(epoch + "-1"), join(epoch + "-90"), join("OTHEREPO-7"), join(epoch + "-0"),
			}
			for i, want := range []string{
				"state 6,7 m7,8 m8", "state 5,6 m6,7 m7,8 m8", "state 8", "state 2,3 m3,4 m4,5 m5,6 m6,7 m7,8 m8",
				"gap before 3,state 2,3 m3,4 m4,5 m5,6 m6,7 m7,8 m8", "gap before 3,state 2,3 m3,4 m4,5 m5,6 m6,7 m7,8 m8",
				"gap before 3,state 2,3 m3,4 m4,5 m5,6 m6,7 m7,8 m8", "gap before 3,state 2,3 m3,4 m4,5 m5,6 m6,7 m7,8 m8",
			} {
				if last := hears(t, late[i], strings.Split(want, ",")...); last.Epoch != epoch || last.Type == "message" && last.From.ID != a.Member.ID() {
					t.Errorf("%+v", last)
				}
			}
			a.Send(say("new"))
			for _, c := range late {
				hears(t, c, "9 new")
			}
			text := w.Join(rt)
			a.Send(say("newer"))
			text.Expect("m8")
			text.Expect("new")
			text.Expect("newer")
		})
	}
}

// After a restart the first visitor finds what was kept, and positions go on. What is new is not
// read again for those that come back.
func TestHistoryAfterARestart(t *testing.T) {
	lasting := &lastingEngine{Engine: new(memory.Engine)}
	rt := chatRoute(route.History{Messages: 100, Replay: 3}, new(broadcast.App))
	w := hubtest.New(t, lasting)
	a := w.JoinJSON(rt)
	epoch := hears(t, a, "state 0").Epoch
	for i := 1; i <= 5; i++ {
		a.Send(say("x"))
		hears(t, a, fmt.Sprintf("%d x", i))
	}
	if err := w.CloseHub(); err != nil {
		t.Fatal(err)
	}
	w = hubtest.New(t, lasting)
	lasting.reads.Store(0)
	b := w.Enter(rt, room.Visitor{Room: "room", Subprotocol: message.Subprotocol, Seen: seen(t, epoch+"-4")})
	hears(t, b, "state 4", "5 x")
	if n := lasting.reads.Load(); n != 1 { // to load the room
		t.Errorf("messages were read %d times", n)
	}
	b.Send(say("y"))
	hears(t, b, "6 y")
	c := w.JoinJSON(rt)
	hears(t, c, "state 3", "4 x", "5 x", "6 y")
}

// Many refusals that count among the messages do not make what is shown of few dear.
func TestHistoryWithManyRefusals(t *testing.T) {
	engine := &lastingEngine{Engine: new(memory.Engine)}
	w := hubtest.New(t, engine)
	rt := chatRoute(route.History{Messages: 10_000}, new(broadcast.App))
	a := w.JoinJSON(rt)
	epoch := hears(t, a, "state 0").Epoch
	for i := range 1000 {
		a.Send(fmt.Sprintf(`{"data":7,"id":"c:%d"}`, i+1))
		hears(t, a, "error 0refused")
	}
	a.Send(say("x"))
	hears(t, a, "1001 x")
	engine.reads.Store(0)
	h, err := w.History(t.Context(), rt, "room", seen(t, epoch+"-0"), 1)
	if got := string(h.Text()); err != nil || got != "x\n" || engine.reads.Load() > 10 {
		t.Errorf("%q, %v, after %d reads", got, err, engine.reads.Load())
	}
}

// lastingEngine is a memory engine that outlives its hub.
type lastingEngine struct {
	*memory.Engine
	reads atomic.Int64
}

// Read counts.
func (e *lastingEngine) Read(ctx context.Context, key engines.Key, epoch string, after uint64, n int) ([][]byte, uint64, uint64, error) {
	e.reads.Add(1)
	return e.Engine.Read(ctx, key, epoch, after, n)
}

func (*lastingEngine) Close() error { return nil }

// A message with an id is answered behind the message itself, once; a POST is told the
// place, and a repeat the first one.
func TestMessagesWithIDsAreAnswered(t *testing.T) {
	w := hubtest.New(t, hubtest.NewEngine())
	rt := chatRoute(route.History{Messages: 5, Replay: 5}, &broadcast.App{Format: "{id}: {message}"})
	a, b := w.JoinJSON(rt), w.JoinJSON(rt)
	hears(t, a, "state 0")
	hears(t, b, "state 0")
	a.Send(`{"data":"one","id":"c:1"}`)
	epoch := hears(t, a, "1 one", "reply 1 to c:1").Epoch
	a.Send(`{"data":"two","id":"mine"}`)
	hears(t, a, "2 two", "reply 2 to mine")
	for i := 3; i < 1000; i++ {
		a.Send(say("x"))
		hears(t, a, fmt.Sprintf("%d x", i))
	}
	other := w.JoinJSON(rt) // another connection, so that the text of the format differs
	hears(t, other, "state 994", "995 x", "996 x", "997 x", "998 x", "999 x")
	other.Send(`{"data":"one","id":"c:1"}`)
	if m := hears(t, other, "reply 1 to c:1"); !m.Repeat {
		t.Errorf("%+v", m)
	}
	other.Send(`{"data":"other","id":"c:1"}`)
	hears(t, other, "error 0id_reused")
	other.Send(`{"data":"later","id":"c:3"}`)
	hears(t, other, "error 0expected")
	post := func(want string, repeat bool) {
		t.Helper()
		x, err := w.Ask(context.Background(), rt, room.Visitor{Room: "room", AnswerJSON: repeat}, apps.Text("posted"), &room.OperationID{ID: replica.ID{Name: "a key of a POST"}})
		if err != nil || !strings.Contains(string(x.Data), want) || repeat && !strings.Contains(string(x.Data), `"repeat":true`) {
			t.Errorf("%s, %v, want %s", x.Data, err, want)
		}
	}
	post(epoch+"-1000", false)
	post(`"version":1000`, true)
	hears(t, other, "1000 posted")
	a.Send("no object")
	hears(t, a, "1000 posted", "error 0refused")
}

// What a POST says in the subprotocol json is a message of it, with an id like any other: it
// counts once, and the answer has the id. Another POST is the message itself.
func TestPostsOfTheSubprotocol(t *testing.T) {
	w := hubtest.New(t, hubtest.NewEngine())
	kept, said := chatRoute(route.History{Messages: 5, Replay: 5}, new(broadcast.App)), hubtest.Route(new(broadcast.App))
	listener := w.JoinJSON(kept)
	epoch := hears(t, listener, "state 0").Epoch
	post := func(rt *route.Route, name, subprotocol, text string) (m told) {
		t.Helper()
		x, err := w.Ask(context.Background(), rt, room.Visitor{Room: name, Subprotocol: subprotocol, AnswerJSON: true}, apps.Text(text), nil)
		if err == nil && x.Data != nil {
			err = json.Unmarshal(x.Data, &m)
		}
		if err != nil {
			t.Fatalf("%s: %s, %v", text, x.Data, err)
		}
		return m
	}
	for repeat, point := range []string{epoch + "-0", epoch + "-1"} {
		m := post(kept, "room", "json", fmt.Sprintf(`{"data":"one","id":"p:1","at":%q}`, point))
		if m.String() != "reply 1 to p:1" || m.Repeat != (repeat == 1) {
			t.Errorf("%+v", m)
		}
	}
	hears(t, listener, "1 one")
	if m := post(kept, "room", "json", `{"data":"other","id":"p:1"}`); m.Code != "id_reused" || m.ID != "p:1" {
		t.Errorf("%+v", m)
	}
	if m := post(kept, "room", "", `{"data":"two","id":"p:2"}`); m.Type != "reply" || m.ID != "" {
		t.Errorf("%+v", m)
	}
	hears(t, listener, `2 {"data":"two","id":"p:2"}`)
	if m := post(said, "other", "json", `{"data":"one","id":"p:1"}`); m.Code != "stateless" || m.ID != "p:1" {
		t.Errorf("%+v", m)
	}
	if m := post(said, "other", "json", `{"data":"one"}`); m != (told{}) {
		t.Errorf("%+v", m)
	}
}

// A repeat whose first answer is not kept any more is told so, and not a place that is not its own.
func TestARepeatWhoseAnswerIsForgotten(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	rt := chatRoute(route.History{Messages: 5}, new(broadcast.App))
	post := func(n uint64) room.Answer {
		x, err := w.Ask(context.Background(), rt, room.Visitor{Room: "room"}, apps.Text("x"), &room.OperationID{ID: replica.ID{Name: "c", N: n}})
		if err != nil || x.Err != nil {
			t.Fatalf("%+v, %v", x, err)
		}
		return x
	}
	c := w.Join(rt)
	for n := range uint64(4000) {
		post(n + 1)
		c.Expect("x")
	}
	if got := string(post(4000).Data); !strings.HasSuffix(got, "-4000") {
		t.Errorf("the last one: %q", got)
	}
	if got := string(post(1).Data); !strings.HasPrefix(got, "repeat: ") {
		t.Errorf("the first one: %q", got)
	}
}

// Those that are left out are not told live, and those who come back are told all.
func TestOthersWithHistory(t *testing.T) {
	w := hubtest.New(t, hubtest.NewEngine())
	rt := chatRoute(route.History{Messages: 50, Replay: 50}, &broadcast.App{Others: true})
	a, b := w.JoinJSON(rt), w.JoinJSON(rt)
	hears(t, a, "state 0")
	hears(t, b, "state 0")
	a.Send(say("from a"))
	hears(t, b, "1 from a")
	b.Send(`{"data":"from b","id":"b:1"}`)
	hears(t, a, "2 from b")
	hears(t, b, "reply 2 to b:1")
	c := w.JoinJSON(rt)
	hears(t, c, "state 0", "1 from a", "2 from b")
}

// Readers that are cut again and again, and come back with the point that they have reached,
// hear all messages in order, once, while several clients publish.
func TestResumeTellsAll(t *testing.T) {
	const writers, each, readers = 4, 300, 6
	w := hubtest.New(t, hubtest.NewEngine())
	rt := chatRoute(route.History{Messages: 10000, Replay: 10}, new(broadcast.App))
	probe := w.JoinJSON(rt)
	epoch := hears(t, probe, "state 0").Epoch
	var wg sync.WaitGroup
	var entering sync.Mutex // one at a time has a connection made
	for range writers {
		wg.Go(func() {
			entering.Lock()
			c := w.Join(rt)
			entering.Unlock()
			for i := range each {
				c.Send(fmt.Sprint("m", i))
				if i%20 == 0 {
					time.Sleep(time.Millisecond)
				}
			}
			for { // until its own last one is there
				if _, err := c.ReadText(); err != nil {
					return
				}
			}
		})
	}
	heard := make([][]string, readers)
	var done sync.WaitGroup
	for i := range readers {
		done.Go(func() {
			last := uint64(0)
			for last < writers*each {
				m, err := w.Hub.Join(t.Context(), rt, room.Visitor{Room: "room", Subprotocol: message.Subprotocol, Seen: seen(t, fmt.Sprint(epoch, "-", last))})
				if err != nil {
					t.Error(err)
					return
				}
				entering.Lock()
				c := w.Serve(m)
				entering.Unlock()
				for n := 1 + rand.IntN(200); n > 0 && last < writers*each; n-- {
					got, err := readTold(c)
					switch {
					case err != nil:
						t.Error(err)
						return
					case got.Type == "state" && got.Version == last:
					case got.Type == "message" && got.Version == last+1:
						last++
						heard[i] = append(heard[i], got.Data)
					default:
						t.Errorf("heard %v behind %d", got, last)
						return
					}
				}
				c.Close()
			}
		})
	}
	done.Wait()
	for i := range readers {
		if strings.Join(heard[i], " ") != strings.Join(heard[0], " ") {
			t.Errorf("reader %d has heard something else", i)
		}
	}
	if err := w.CloseHub(); err != nil {
		t.Error(err)
	}
	wg.Wait()
}

// A joiner with a small queue that asks for much is sent all of it, as fast as it reads, and
// then what has come meanwhile.
func TestALongHistoryForASlowReader(t *testing.T) {
	w := hubtest.New(t, hubtest.NewEngine())
	h := route.History{Messages: 10000, Replay: 5}
	wide := chatRoute(h, new(broadcast.App))
	narrow := chatRoute(h, new(broadcast.App), func(s *socket.Settings) { s.MaxQueue = 32 << 10 })
	a := w.JoinJSON(wide)
	epoch := hears(t, a, "state 0").Epoch
	const n = 1000
	long := strings.Repeat("x", 4<<10)
	publish := func(first, last int) {
		for i := first; i <= last; i++ {
			a.Send(say(long))
			hears(t, a, fmt.Sprint(i, " ", long))
		}
	}
	publish(1, n)
	m, err := w.Hub.Join(t.Context(), narrow, room.Visitor{Room: "room", Subprotocol: message.Subprotocol, Seen: seen(t, epoch+"-0")})
	if err != nil {
		t.Fatal(err)
	}
	server, client := w.Pair()
	b := w.Connect(m, server, client)
	publish(n+1, n+20)
	hears(t, b, "state 0")
	for i := 1; i <= n+20; i++ {
		hears(t, b, fmt.Sprint(i, " ", long))
	}
}

// A history that cannot be read closes its reader with 1013; others are not harmed.
func TestHistoryThatCannotBeRead(t *testing.T) {
	engine := hubtest.NewEngine()
	w := hubtest.New(t, engine)
	rt := chatRoute(route.History{Messages: 1000, Replay: 5}, new(broadcast.App))
	a := w.JoinJSON(rt)
	epoch := hears(t, a, "state 0").Epoch
	for i := 1; i <= 100; i++ {
		a.Send(say("x"))
		hears(t, a, fmt.Sprint(i, " x"))
	}
	engine.OnRead(func() error { return errors.New("as it was told to") })
	b := w.Enter(rt, room.Visitor{Room: "room", Subprotocol: message.Subprotocol, Seen: seen(t, epoch+"-1")})
	b.ExpectClose(1013)
	c := w.JoinJSON(rt) // what it is told is recent
	hears(t, c, "state 95", "96 x", "97 x", "98 x", "99 x", "100 x")
	engine.OnRead(nil)
	a.Send(say("y"))
	hears(t, a, "101 y")
	hears(t, c, "101 y")
	w.Logs.TakeAll()
}

// Members of a room that is deleted are told of a gap, and go on in its new life.
func TestHistoryOfADeletedRoom(t *testing.T) {
	w := hubtest.New(t, hubtest.NewEngine())
	rt := chatRoute(route.History{Messages: 1000, Replay: 5}, new(broadcast.App))
	w.Begin([]*route.Route{rt})
	a := w.JoinJSON(rt)
	epoch := hears(t, a, "state 0").Epoch
	a.Send(say("x"))
	hears(t, a, "1 x")
	if err := a.Member.Room().Erase(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m := hears(t, a, "gap before 1"); m.Epoch == epoch {
		t.Error("the epoch is the same")
	}
	a.Send(say("y"))
	hears(t, a, "1 y")
	b := w.Enter(rt, room.Visitor{Room: "room", Subprotocol: message.Subprotocol, Seen: seen(t, epoch+"-1")})
	hears(t, b, "gap before 1", "state 0", "1 y")
}

// What a plain request is shown.
func TestHistoryIsShown(t *testing.T) {
	w := hubtest.New(t, hubtest.NewEngine())
	rt := chatRoute(route.History{Messages: 5, Replay: 5}, new(broadcast.App))
	a := w.JoinJSON(rt)
	epoch := hears(t, a, "state 0").Epoch
	for i := 1; i <= 8; i++ {
		a.Send(say(fmt.Sprint("m", i)))
		hears(t, a, fmt.Sprintf("%d m%d", i, i))
	}
	for _, test := range []struct {
		after string
		limit int
		text  string
		gap   bool
	}{
		{"", 100, "m4\nm5\nm6\nm7\nm8\n", false},
		{"", 2, "m7\nm8\n", false},
		{epoch + "-5", 100, "m6\nm7\nm8\n", false},
		{epoch + "-5", 1, "m6\n", false},
		{epoch + "-8", 1, "", false},
		{epoch + "-3", 9, "m4\nm5\nm6\nm7\nm8\n", false},
		{epoch + "-2", 2, "gap: what happened before " + epoch + "-4 is not known any more\nm4\nm5\n", true},
		{epoch + "-9", 1, "gap: what happened before " + epoch + "-4 is not known any more\nm4\n", true},
		{"OTHEREPO-5", 1, "gap: what happened before " + epoch + "-4 is not known any more\nm4\n", true},
	} {
		var s room.Seen
		if test.after != "" {
			s = seen(t, test.after)
		}
		h, err := w.History(t.Context(), rt, "room", s, test.limit)
		if err != nil || string(h.Text()) != test.text || h.Gap != test.gap || h.First != 4 || h.Last != 8 {
			t.Errorf("%s, %d: %+v %q, %v, want %q", test.after, test.limit, h, h.Text(), err, test.text)
		}
		var object struct {
			Type, Epoch string
			First, Last uint64
			Gap         bool
			Messages    []told
		}
		if err := json.Unmarshal(h.JSON(), &object); err != nil || object.Type != "history" || object.Gap != test.gap || object.First != 4 || len(object.Messages) != strings.Count(test.text, "m")-strings.Count(test.text, "more")-strings.Count(test.text, "gap") && !test.gap {
			t.Errorf("%s, %v", h.JSON(), err)
		}
	}
	empty, err := w.History(t.Context(), rt, "another", room.Seen{}, 10)
	if err != nil || len(empty.Text()) != 0 || empty.First != 1 || empty.Last != 0 || !strings.Contains(string(empty.JSON()), `"messages":[]`) {
		t.Errorf("%+v, %v", empty, err)
	}
}

// Of messages that are too much to be shown at once the newest are.
func TestHistoryOfLargeMessages(t *testing.T) {
	w := hubtest.New(t, hubtest.NewEngine())
	rt := chatRoute(route.History{Messages: 100, Replay: 1}, new(broadcast.App))
	w.Begin([]*route.Route{rt})
	post := func(size int) {
		t.Helper()
		if x, err := w.Ask(t.Context(), rt, room.Visitor{Room: "room"}, apps.Text(strings.Repeat("x", size)), nil); err != nil || x.Err != nil {
			t.Fatalf("%+v, %v", x, err)
		}
	}
	shows := func(s room.Seen, limit, from, to int) (last told) {
		t.Helper()
		h, err := w.History(t.Context(), rt, "room", s, limit)
		var object struct{ Messages []told }
		if err == nil {
			err = json.Unmarshal(h.JSON(), &object)
		}
		if n := len(object.Messages); err != nil || n != to-from+1 || object.Messages[0].Version != uint64(from) || object.Messages[n-1].Version != uint64(to) {
			t.Fatalf("%d messages, %v, want %d to %d", n, err, from, to)
		}
		return object.Messages[0]
	}
	for range 10 {
		post(300 << 10)
	}
	epoch := shows(room.Seen{}, 100, 8, 10).Epoch
	shows(room.Seen{}, 2, 9, 10)
	shows(seen(t, epoch+"-0"), 100, 1, 4)
	post(1<<20 - 200)
	shows(room.Seen{}, 100, 11, 11)
	post(1)
	shows(room.Seen{}, 100, 11, 12)
	post(1 << 10)
	shows(room.Seen{}, 100, 12, 13)
}

// A message that nobody has sent is kept like any other.
func TestAnOperatorsMessageIsKept(t *testing.T) {
	w := hubtest.New(t, hubtest.NewEngine())
	rt := chatRoute(route.History{Messages: 5, Replay: 5}, new(broadcast.App))
	w.Begin([]*route.Route{rt})
	a := w.JoinJSON(rt)
	hears(t, a, "state 0")
	key := a.Member.Room().Key()
	if n, err := w.Publish(t.Context(), key, apps.Text("attention")); n != 1 || err != nil {
		t.Errorf("%d members, %v", n, err)
	}
	if m := hears(t, a, "1 attention"); m.From.ID != "" {
		t.Errorf("%+v", m)
	}
	a.Leave()
	hubtest.Until(t, "the room to leave memory", func() bool { return w.Rooms() == 0 })
	if n, err := w.Publish(t.Context(), key, apps.Text("still there")); n != 0 || err != nil {
		t.Errorf("%d members, %v", n, err)
	}
	hears(t, w.JoinJSON(rt), "state 0", "1 attention", "2 still there")
}

// An operator is told if a message is not kept, and why.
func TestAnOperatorsMessageIsRefused(t *testing.T) {
	e := hubtest.NewEngine()
	e.Max = 2 << 10
	w := hubtest.New(t, e)
	rt := chatRoute(route.History{Messages: 5, Replay: 5}, new(broadcast.App))
	w.Begin([]*route.Route{rt})
	a := w.JoinJSON(rt)
	hears(t, a, "state 0")
	a.Send(say("one"))
	hears(t, a, "1 one")
	key := a.Member.Room().Key()
	publish := func(text string, want error) {
		t.Helper()
		if n, err := w.Publish(t.Context(), key, apps.Text(text)); n != 0 || !errors.Is(err, want) {
			t.Errorf("%d members, %v, want %v", n, err, want)
		}
	}
	publish(strings.Repeat("x", e.Max), replica.ErrTooLong)
	e.OnAppend(func(func() error) error { return engines.ErrRefused })
	publish("two", replica.ErrUnavailable)
	a.Leave()
	leaves := func() { hubtest.Until(t, "the room to leave memory", func() bool { return w.Rooms() == 0 }) }
	leaves()
	publish("two", replica.ErrUnavailable)
	leaves()
	e.OnAppend(nil)
	e.OnRead(func() error { return errors.New("the disk fails") })
	publish("two", room.ErrUnavailable)
	e.OnRead(nil)
	if err := w.CloseHub(); err != nil {
		t.Fatal(err)
	}
	publish("two", hub.ErrClosed)
}

// An operator's message for a room that somebody is about to enter waits until the room has
// been read.
func TestAnOperatorsMessageWhileARoomIsRead(t *testing.T) {
	e := hubtest.NewEngine()
	hubtest.InBubble(t, e, hub.Limits{}, func(t *testing.T, h hubtest.Bubble) {
		rt := chatRoute(route.History{Messages: 5, Replay: 5}, new(broadcast.App))
		h.Begin([]*route.Route{rt})
		say := func(text string) {
			if x, err := h.Ask(t.Context(), rt, room.Visitor{Room: "room"}, apps.Text(text), nil); err != nil || x.Err != nil {
				t.Errorf("%+v, %v", x, err)
			}
		}
		say("one")
		synctest.Wait()
		if h.Rooms() != 0 {
			t.Fatal("the room is in memory")
		}
		goOn := make(chan struct{})
		e.OnRead(func() error {
			<-goOn
			return nil
		})
		go say("two")
		synctest.Wait()
		var published atomic.Bool
		go func() {
			if _, err := h.Publish(t.Context(), engines.Key{App: "test", Room: "room"}, apps.Text("three")); err != nil {
				t.Error(err)
			}
			published.Store(true)
		}()
		synctest.Wait()
		if published.Load() {
			t.Error("a message is published before the room is read")
		}
		close(goOn)
		synctest.Wait()
		shown, err := h.History(t.Context(), rt, "room", room.Seen{}, 10)
		if text := string(shown.Text()); err != nil || text != "one\ntwo\nthree\n" && text != "one\nthree\ntwo\n" {
			t.Errorf("%q, %v", text, err)
		}
	})
}

// A reload gives a room another history; one that switches it off closes those that are in
// the room, and nobody else comes in before they are gone.
func TestReloadOfHistory(t *testing.T) {
	w := hubtest.New(t, hubtest.NewEngine())
	before := chatRoute(route.History{Messages: 100, Replay: 100}, new(broadcast.App))
	w.Begin([]*route.Route{before})
	a := w.JoinJSON(before)
	hears(t, a, "state 0")
	for i := 1; i <= 5; i++ {
		a.Send(say("x"))
		hears(t, a, fmt.Sprint(i, " x"))
	}
	shorter := chatRoute(route.History{Messages: 2, Replay: 2}, new(broadcast.App))
	w.Adopt([]*route.Route{before}, []*route.Route{shorter}, hub.Limits{})
	a.Send(say("y"))
	hears(t, a, "6 y")
	hears(t, w.JoinJSON(shorter), "state 4", "5 x", "6 y")
	off := chatRoute(route.History{}, new(broadcast.App))
	w.Adopt([]*route.Route{shorter}, []*route.Route{off}, hub.Limits{})
	a.ExpectClose(1012)
	var b *hubtest.Client
	hubtest.Until(t, "the room to be free", func() bool {
		m, err := w.Hub.Join(t.Context(), off, room.Visitor{Room: "room"})
		if err == nil {
			b = w.Serve(m)
		}
		return err == nil
	})
	b.Send("not kept")
	b.Expect("not kept")
}

// An engine that keeps no messages lets nobody in, and the log says why.
func TestHistoryNeedsALog(t *testing.T) {
	w := hubtest.New(t, struct{ engines.Engine }{new(memory.Engine)})
	rt := chatRoute(route.History{Messages: 5}, new(broadcast.App))
	if _, err := w.Hub.Join(t.Context(), rt, room.Visitor{Room: "room"}); !errors.Is(err, room.ErrUnavailable) || !errors.Is(err, replica.ErrNoLog) {
		t.Error(err)
	}
}

// What is removed while somebody is being sent it is told as a gap, never passed over.
func TestHistoryThatGoesWhileItIsRead(t *testing.T) {
	engine := hubtest.NewEngine()
	w := hubtest.New(t, engine)
	rt := chatRoute(route.History{Messages: 1000, Replay: 5}, new(broadcast.App))
	a := w.JoinJSON(rt)
	epoch := hears(t, a, "state 0").Epoch
	for i := 1; i <= 200; i++ {
		a.Send(say("x"))
		hears(t, a, fmt.Sprint(i, " x"))
	}
	for _, test := range []struct {
		upTo uint64
		want string
	}{{100, "gap before 101,101 x,102 x"}, {200, "gap before 201,201 y"}} {
		var reads atomic.Int32
		engine.OnRead(func() error { // the first read tells what is kept, the next ones read it
			if reads.Add(1) == 2 {
				return engine.Trim(t.Context(), a.Member.Room().Key(), epoch, test.upTo)
			}
			return nil
		})
		b := w.Enter(rt, room.Visitor{Room: "room", Subprotocol: message.Subprotocol, Seen: seen(t, fmt.Sprint(epoch, "-", max(test.upTo, 101)-100))})
		first, err := readTold(b)
		if err != nil || first.Type != "state" {
			t.Fatal(first, err)
		}
		if test.upTo == 200 {
			hubtest.Until(t, "the reader to have caught up", func() bool { return reads.Load() >= 2 })
			a.Send(say("y"))
		}
		hears(t, b, strings.Split(test.want, ",")...)
		engine.OnRead(nil)
	}
}
