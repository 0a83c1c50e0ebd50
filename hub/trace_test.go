package hub_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/apps/echo"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// traced is a trace that a test looks at.
type traced struct {
	*hub.Trace
	t *testing.T
}

func trace(t *testing.T, h *hub.Hub, f hub.Filter) traced {
	t.Helper()
	tr, err := h.Trace(f)
	if err != nil {
		t.Fatal(err)
	}
	return traced{tr, t}
}

// taken returns all that the trace has shown.
func (tr traced) taken() (all []hub.Traced) {
	synctest.Wait()
	for len(tr.Passed()) > 0 {
		all = append(all, <-tr.Passed())
	}
	return all
}

// shows compares what the trace has shown: kind, room, user and data of each.
func (tr traced) shows(want ...string) {
	tr.t.Helper()
	var got []string
	for _, p := range tr.taken() {
		got = append(got, fmt.Sprintf("%s %s/%s %s", p.Kind, p.Key.Room, p.User, p.Data))
		if (p.ID == "") != (p.User == "") || p.Key.App == "" || p.Time.IsZero() || p.Size != len(p.Data) {
			tr.t.Errorf("the trace shows %+v", p)
		}
	}
	if !slices.Equal(got, want) {
		tr.t.Errorf("the trace shows\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// hallApp is an alarm app whose events have JSON only, and that publishes what begins with
// "say".
type hallApp struct{ *hubtest.AlarmApp }

func (a hallApp) Receive(c apps.Conn, m apps.Message) error {
	if strings.HasPrefix(string(m.Data), "say") {
		c.Room().Publish(m)
		return nil
	}
	return a.AlarmApp.Receive(c, m)
}

func (a hallApp) NewState() apps.State { return hall{a.AlarmApp.NewState()} }

type hall struct{ apps.State }

func (s hall) Apply(op apps.Op) (apps.Outcome, error) {
	out, err := s.State.Apply(op)
	for i := range out.Events {
		out.Events[i].Body.Text = nil
	}
	return out, err
}

func (s hall) Standing(claim string) []apps.Event {
	return s.State.(apps.Stander).Standing(claim)
}

// guest lets a user into a room.
func guest(t *testing.T, b hubtest.Bubble, rt *route.Route, name, user string, claims ...string) *hubtest.Client {
	t.Helper()
	c, err := hubtest.Dial(t, b.Hub, rt, room.Visitor{Room: name, User: user, ClientIP: "192.0.2." + fmt.Sprint(len(user)), Claims: claims})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A trace shows who comes and goes, what clients say and are told, and what everybody is
// told.
func TestATraceOfAllRooms(t *testing.T) {
	hubtest.InBubble(t, new(memory.Engine), hub.Limits{}, func(t *testing.T, b hubtest.Bubble) {
		rt := hubtest.Route(hallApp{hubtest.NewAlarmApp()})
		tr := trace(t, b.Hub, hub.Filter{})
		alice := guest(t, b, rt, "a", "alice")
		bob := guest(t, b, rt, "a", "bob")
		tr.shows("joined a/alice ", "joined a/bob ")
		alice.Send("raise press hot")
		tr.shows("received a/alice raise press hot", `raised a/ {"to":"press","text":"hot"}`, "sent a/alice 1", "updated a/ 1")
		bob.Send("tell me ho")
		tr.shows("received a/bob tell me ho", `raised a/bob {"to":"me","text":"ho"}`, "sent a/bob 2", "updated a/ 2")
		guest(t, b, rt, "a", "carol", "press")
		tr.shows("joined a/carol ", "sent a/carol press hot")
		bob.Send("claim press")
		tr.shows("received a/bob claim press", "sent a/bob 3", "updated a/ 3", "sent a/bob press hot")
		alice.Send("say hello")
		tr.shows("received a/alice say hello", "published a/alice say hello")
		b.Publish(t.Context(), engines.Key{App: "test", Room: "a"}, apps.Text("to all"))
		alice.Member.App().Send(apps.Text("to you"))
		tr.shows("published a/ to all", "sent a/alice to you")
		bob.Close()
		if all := tr.taken(); len(all) != 1 || all[0].Kind != room.Left || all[0].User != "bob" || all[0].Code != frames.Abnormal {
			t.Errorf("the trace shows %+v", all)
		}
		b.EndTrace(tr.Trace)
		alice.Send("op")
		tr.shows()
	})
}

// A filter chooses members. What everybody is told is shown while one of them is in the
// room; if it is about rooms only, always.
func TestTracesChooseMembers(t *testing.T) {
	const (
		alice = "alice in a"
		bob   = "bob in a"
		other = "alice in b"
	)
	for name, test := range map[string]struct {
		filter func(alice *room.Member) hub.Filter
		shown  []string // whose messages are shown
		all    string   // in which rooms that which everybody is told is shown
	}{
		"all":     {func(*room.Member) hub.Filter { return hub.Filter{} }, []string{alice, bob, other}, "ab"},
		"user":    {func(*room.Member) hub.Filter { return hub.Filter{User: "alice"} }, []string{alice, other}, "ab"},
		"nobody":  {func(*room.Member) hub.Filter { return hub.Filter{User: "eve"} }, nil, ""},
		"room":    {func(*room.Member) hub.Filter { return hub.Filter{Room: "a"} }, []string{alice, bob}, "a"},
		"app":     {func(*room.Member) hub.Filter { return hub.Filter{App: "test"} }, []string{alice, bob, other}, "ab"},
		"no app":  {func(*room.Member) hub.Filter { return hub.Filter{App: "none"} }, nil, ""},
		"number":  {func(m *room.Member) hub.Filter { return hub.Filter{Number: m.Number()} }, []string{alice}, "a"},
		"route":   {func(*room.Member) hub.Filter { return hub.Filter{Route: "second"} }, []string{other}, "b"},
		"network": {func(*room.Member) hub.Filter { return hub.Filter{Network: netip.MustParseAddr("192.0.2.3")} }, []string{bob}, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			hubtest.InBubble(t, new(memory.Engine), hub.Limits{}, func(t *testing.T, b hubtest.Bubble) {
				rt := hubtest.Route(hallApp{hubtest.NewAlarmApp()})
				second := route.New("second", "test", *rt.Config())
				clients := map[string]*hubtest.Client{alice: guest(t, b, rt, "a", "alice"), bob: guest(t, b, rt, "a", "bob"), other: guest(t, b, second, "b", "alice")}
				tr := trace(t, b.Hub, test.filter(clients[alice].Member))
				for who, c := range clients {
					c.Send("tell me " + who)
					shown := slices.ContainsFunc(tr.taken(), func(p hub.Traced) bool {
						return p.Kind == room.Received && string(p.Data) == "tell me "+who
					})
					if shown != slices.Contains(test.shown, who) {
						t.Errorf("%s: shown %v", who, shown)
					}
				}
				for _, name := range []string{"a", "b"} {
					b.Publish(t.Context(), engines.Key{App: "test", Room: name}, apps.Text("to all"))
					if strings.Contains(test.all, name) {
						tr.shows("published " + name + "/ to all")
					} else {
						tr.shows()
					}
				}
			})
		})
	}
}

// What everybody in a room is told is shown until the last of those has left that the
// filter chooses, whether they came before the trace or after it.
func TestATraceFollowsThoseItChooses(t *testing.T) {
	hubtest.InBubble(t, new(memory.Engine), hub.Limits{}, func(t *testing.T, b hubtest.Bubble) {
		rt := hubtest.Route(hallApp{hubtest.NewAlarmApp()})
		bob := guest(t, b, rt, "a", "bob")
		before := guest(t, b, rt, "a", "alice")
		tr := trace(t, b.Hub, hub.Filter{User: "alice"})
		after := guest(t, b, rt, "a", "alice")
		tr.taken()
		for _, c := range []*hubtest.Client{before, after} {
			bob.Send("say hello")
			tr.shows("published a/bob say hello")
			c.Close()
			tr.taken()
		}
		bob.Send("say bye")
		tr.shows()
	})
}

// A trace shows at most 100 passages a second, and keeps as many for a caller that does
// not take them. The others are counted.
func TestATraceIsBounded(t *testing.T) {
	hubtest.InBubble(t, new(memory.Engine), hub.Limits{}, func(t *testing.T, b hubtest.Bubble) {
		guest(t, b, hubtest.Route(new(echo.App)), "a", "alice")
		tr := trace(t, b.Hub, hub.Filter{})
		say := func(n int) {
			for range n {
				b.Publish(t.Context(), engines.Key{App: "test", Room: "a"}, apps.Text("hello"))
			}
		}
		expect := func(shown int, leftOut int64) {
			t.Helper()
			if n, left := len(tr.taken()), tr.LeftOut(); n != shown || left != leftOut {
				t.Errorf("%d are shown and %d left out, want %d and %d", n, left, shown, leftOut)
			}
		}
		say(100)
		expect(100, 0)
		time.Sleep(time.Second - time.Nanosecond)
		say(50)
		expect(0, 50)
		time.Sleep(time.Nanosecond)
		say(101)
		time.Sleep(time.Second)
		say(1) // it would be shown, if it had a place
		expect(100, 2)
		expect(0, 0)
	})
}

// Of a long message the beginning is shown, and how long it is.
func TestATraceShowsTheBeginning(t *testing.T) {
	hubtest.InBubble(t, new(memory.Engine), hub.Limits{}, func(t *testing.T, b hubtest.Bubble) {
		guest(t, b, hubtest.Route(new(echo.App)), "a", "alice")
		tr := trace(t, b.Hub, hub.Filter{})
		for _, size := range []int{256, 257} {
			b.Publish(t.Context(), engines.Key{App: "test", Room: "a"}, apps.Binary([]byte(strings.Repeat("x", size))))
			if p := tr.taken(); len(p) != 1 || len(p[0].Data) != 256 || p[0].Size != size || !p[0].Binary {
				t.Errorf("of %d bytes it shows %+v", size, p)
			}
		}
	})
}

func TestTooManyTraces(t *testing.T) {
	h := hubtest.New(t, new(memory.Engine)).Hub
	var all []traced
	for range 10 {
		all = append(all, trace(t, h, hub.Filter{}))
	}
	if _, err := h.Trace(hub.Filter{}); !errors.Is(err, hub.ErrTooManyTraces) {
		t.Error(err)
	}
	h.EndTrace(all[0].Trace)
	trace(t, h, hub.Filter{})
}
