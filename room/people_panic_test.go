package room

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddyws/caddy-websocket/apps/broadcast"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/presence"
	"github.com/caddyws/caddy-websocket/replica"
	"github.com/caddyws/caddy-websocket/route"
	"github.com/caddyws/caddy-websocket/tally"
)

// hall is a room of its own in which people are told of each other, and what is logged of it.
type hall struct {
	*Room
	route *route.Route
	logs  *observer.ObservedLogs
}

func newHall(grace time.Duration) *hall {
	core, logs := observer.New(zap.InfoLevel)
	logger := zap.New(core)
	rt := route.New("hall", "test", route.Config{App: new(broadcast.App), Presence: route.Presence{On: true, Grace: grace}})
	return &hall{route: rt, logs: logs, Room: New(engines.Key{App: "test", Room: "hall"}, rt, &Shared{
		Store: new(replica.Store), Tally: tally.NewSet(), Log: func() *zap.Logger { return logger },
		Go: func(f func()) { go f() }, Idle: func(*Room) {}, HasNews: func(r *Room) { go takeNews(r) }, Context: context.Background(),
	})}
}

// takeNews takes what is told outside of a room.
func takeNews(r *Room) {
	for {
		if _, ok := r.Untold(); !ok {
			r.Release()
			return
		}
		r.Told()
	}
}

// pass lets time pass, and what is due then come about.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// hearer is the connection of somebody in a hall.
type hearer struct {
	*Exchange
	member *Member
	panics bool // when it is told something
	told   []string
	closed frames.CloseCode
}

// Close notes the code.
func (h *hearer) Close(code frames.CloseCode, _ string) { h.closed = code }

// Present notes what is told.
func (h *hearer) Present(change, _ *message.Batch) {
	if h.panics {
		panic("present panics")
	}
	for m := range change.All() {
		h.told = append(h.told, string(m.Payload(message.JSON)))
	}
}

// enter lets somebody in, and waits until that is told.
func (h *hall) enter(t *testing.T, user string) *hearer {
	t.Helper()
	c := &hearer{Exchange: NewExchange()}
	h.Retain()
	m, err := h.Admit(h.route, Visitor{User: user, Subprotocol: message.Subprotocol}, func(*Member) Conn { return c })
	if err != nil {
		t.Fatal(err)
	}
	c.member = m
	m.Enter()
	pass(time.Second)
	return c
}

// newest is what somebody was told last.
func (h *hearer) newest() string {
	if len(h.told) == 0 {
		return "nothing"
	}
	return h.told[len(h.told)-1]
}

// leave lets all of them go.
func leave(all ...*hearer) {
	for _, c := range all {
		c.member.Exit()
		c.member.Depart()
	}
	pass(time.Second)
}

// checkPanic fails unless one panic was logged since the last time, with its stack.
func (h *hall) checkPanic(t *testing.T, text string) {
	t.Helper()
	lines := h.logs.TakeAll()
	if len(lines) != 1 {
		t.Fatalf("%d lines are logged: %v", len(lines), lines)
	}
	if said, _ := lines[0].ContextMap()["error"].(string); !strings.Contains(said, text) || !strings.Contains(said, "goroutine ") {
		t.Errorf("logged: %q", said)
	}
}

// A panic while one member is told who is there closes that member: the others are told.
func TestAMemberThatCannotBeToldOfPeople(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(0)
		ann, broken, carl := h.enter(t, "ann"), h.enter(t, "broken"), h.enter(t, "carl")
		broken.panics = true
		dora := h.enter(t, "dora")
		h.checkPanic(t, "present panics")
		const change = `{"type":"presence","event":"change","count":4,"joined":[{"user":"dora","connections":1}]}`
		if ann.newest() != change || carl.newest() != change || broken.closed != frames.InternalError {
			t.Errorf("ann is told %s, carl %s; broken is closed with %d", ann.newest(), carl.newest(), broken.closed)
		}
		broken.panics = false
		leave(broken)
		const left = `{"type":"presence","event":"change","count":3,"left":[{"user":"broken"}]}`
		if dora.newest() != left {
			t.Errorf("dora is told %s", dora.newest())
		}
		leave(ann, carl, dora)
	})
}

// A panic while it is found out what is to be told ends neither the process nor the telling:
// all are told a state soon, for nobody knows what they have missed.
func TestAPanicOnTellingPeople(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(0)
		ann, bob := h.enter(t, "ann"), h.enter(t, "bob")
		h.mu.Lock()
		h.people.newcomers = append(h.people.newcomers, &Member{presence: counted}) // it has no route
		h.mu.Unlock()
		carl := h.enter(t, "carl")
		h.checkPanic(t, "nil pointer")
		pass(time.Second)
		const state = `{"type":"presence","event":"state","count":3,"members":[{"user":"ann","connections":1},{"user":"bob","connections":1},{"user":"carl","connections":1}]}`
		for _, c := range []*hearer{ann, bob, carl} {
			if c.newest() != state {
				t.Errorf("%s is told %s", c.member.User(), c.newest())
			}
		}
		leave(bob)
		if want := `{"type":"presence","event":"change","count":2,"left":[{"user":"bob"}]}`; ann.newest() != want {
			t.Errorf("ann is told %s", ann.newest())
		}
		leave(ann, carl)
		if lines := h.logs.TakeAll(); len(lines) > 0 {
			t.Errorf("logged: %v", lines)
		}
	})
}

// panickingEngine panics on the first Subscribe, and whenever a subscription ends.
type panickingEngine struct {
	engines.Shared
	calls int
}

func (e *panickingEngine) Subscribe(context.Context, engines.Key, func(engines.Event)) (func(), error) {
	if e.calls++; e.calls == 1 {
		panic("subscribe panics")
	}
	return func() { panic("cancel panics") }, nil
}

func (*panickingEngine) Publish(context.Context, engines.Key, []byte) error { return nil }

// A panic of what tells of other processes, or on hearing of them, ends nothing else.
func TestAPanicOnHearingOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, engine := newHall(0), new(panickingEngine)
		h.shared.Sharing = true
		h.shared.SetOthers(engine, 1<<10)
		h.Retain()
		h.Listen(t.Context())
		h.checkPanic(t, "subscribe panics")
		pass(2 * time.Second)
		if engine.calls != 2 {
			t.Errorf("%d calls", engine.calls)
		}
		h.mu.Lock()
		h.people = new(people) // without a roster
		h.mu.Unlock()
		h.hear(engines.Event{Message: presence.List{Node: "other"}.Bytes(1 << 10)})
		h.checkPanic(t, "nil pointer")
		h.Release()
		if !h.Retire() {
			t.Error("the room is still in use")
		}
		synctest.Wait()
		h.checkPanic(t, "cancel panics")
	})
}
