package room_test

import (
	"context"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// checkLogged fails unless each text is in a log line of its own, with a stack.
func checkLogged(t *testing.T, w *hubtest.World, texts ...string) {
	t.Helper()
	hubtest.Until(t, "the log", func() bool { return w.Logs.Len() >= len(texts) })
	lines := w.Logs.TakeAll()
	if len(lines) != len(texts) {
		t.Errorf("%d log lines: %v", len(lines), lines)
	}
	for i, text := range texts {
		said, _ := lines[i].ContextMap()["error"].(string)
		if !strings.Contains(said, text) || strings.Contains(text, "panic") && !strings.Contains(said, "goroutine ") {
			t.Errorf("log line %d is %v %q, want %q and a stack", i, lines[i].Message, said, text)
		}
	}
}

// What Receive returns decides over its own connection only.
func TestWhatReceiveReturnsDecides(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	route := hubtest.Route(hubtest.NewCounterApp())
	other := w.Join(route)
	for i, test := range []struct {
		message string
		code    frames.CloseCode
		logged  []string
	}{
		{"receive panics", 1011, []string{"panic in app test: receive panics"}},
		{"receive fails", 1011, []string{"failed"}},
		{"receive fails with nil", 1011, []string{"panic in app test: runtime error"}},
		{"receive closes", 4001, nil},
	} {
		c := w.Join(route)
		c.Send("quiet", test.message, "quiet") // what follows does not count
		c.Expect(strconv.Itoa(i + 1))
		c.ExpectClose(test.code)
		checkLogged(t, w, test.logged...)
	}
	other.Send("receive refuses", "quiet")
	other.Expect("error: no", "5")
}

// An operation that panics is left out, the others of its batch count, and its
// sender alone is closed, once its other answers are out.
func TestAPanicOfApplyIsLeftOut(t *testing.T) {
	w, route, _, g := gated(t)
	a, b := w.Join(route), w.Join(route)
	a.Send("op")
	<-g.Taken
	a.Send("op", "boom", "op")
	waiting(t, w, 2+8)
	b.Send("op")
	waiting(t, w, 2+10)
	g.Pass <- nil
	<-g.Taken
	g.Pass <- nil
	a.Expect("1", "2", "4")
	a.ExpectClose(1011)
	b.Expect("3", "4")
	checkLogged(t, w, "panic on applying an operation: boom")
}

// An error of Apply that panics on being read is a panic too.
func TestAnErrorThatPanicsClosesItsSender(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	route := hubtest.Route(hubtest.NewCounterApp())
	a, b := w.Join(route), w.Join(route)
	a.Send("nil")
	a.ExpectClose(1011)
	checkLogged(t, w, "panic on applying an operation")
	b.Send("op")
	b.Expect("1")
}

// A state that cannot be stored or shown is not: the batch is refused with
// nothing of the panic told, and what is stored counts.
func TestAPanicOfTheStateRefusesTheBatch(t *testing.T) {
	for _, test := range []struct {
		panics map[string]int
		logs   []string
	}{
		{map[string]int{"MarshalBinary": 1}, []string{"panic: MarshalBinary panics"}},
		{map[string]int{"View": 1}, []string{"panic: View panics"}},
		{map[string]int{"View": 1 + 1}, []string{"panic: View panics", "panic: View panics"}},
		{map[string]int{"MarshalBinary": 1, "UnmarshalBinary": 1}, []string{"UnmarshalBinary panics", "MarshalBinary panics"}},
		{map[string]int{"MarshalBinary": 1, "NewState": 1}, []string{"NewState panics", "MarshalBinary panics"}},
	} {
		w := hubtest.New(t, new(memory.Engine))
		app := hubtest.NewCounterApp()
		c := w.Join(hubtest.Route(app))
		c.Send("op", "op")
		c.Expect("1", "2")
		for method, times := range test.panics {
			app.Faults.Set(method, times)
		}
		c.Send("op")
		c.Expect("error: unavailable, try again later")
		checkLogged(t, w, test.logs...)
		c.Send("op")
		c.Expect("3")
	}
}

// A panic on the way in keeps one client out, and leaves nothing behind.
func TestAPanicOnJoiningKeepsTheClientOut(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	app := hubtest.NewCounterApp()
	left := 0
	app.OnLeave = func(apps.Conn) { left++ }
	route := hubtest.Route(app)
	join := func() error {
		m, err := w.Hub.Join(context.Background(), route, room.Visitor{Room: "room"})
		if err == nil {
			m.Abandon()
		}
		return err
	}
	app.OnJoin = func(apps.Conn) error { panic("join panics") }
	for _, method := range []string{"Join", "Greets", "NewState", "View"} {
		switch method {
		case "Greets":
			app.OnJoin, app.Shown = nil, func() bool { panic("greets panics") }
		case "NewState", "View":
			app.Shown = nil
			app.Faults.Set(method, 1)
		}
		if err := join(); err == nil || !strings.Contains(err.Error(), "panic") {
			t.Errorf("panic of %s: %v", method, err)
		}
		if n := w.Hub.Rooms(); n != 0 {
			t.Errorf("panic of %s: %d rooms are left", method, n)
		}
	}
	if left != 1 {
		t.Errorf("Leave was called %d times for the one Join that was successful", left)
	}
	if err := join(); err != nil {
		t.Error(err)
	}
}

// A panic of Leave is logged, and the member is gone all the same.
func TestAPanicOfLeaveIsLogged(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	app := hubtest.NewCounterApp()
	app.OnLeave = func(apps.Conn) { panic("leave panics") }
	c := w.Join(hubtest.Route(app))
	c.Leave()
	hubtest.Until(t, "the room to leave memory", func() bool { return w.Hub.Rooms() == 0 })
	checkLogged(t, w, "panic in app test: leave panics")
}

// manyClients lets so many clients into a room, over WebSockets, and returns a
// function that lets them go and checks that the room leaves memory.
func manyClients(t *testing.T, w *hubtest.World, route *route.Route, n int) (clients []*hubtest.Client, empty func()) {
	t.Helper()
	for range n {
		clients = append(clients, w.Join(route))
	}
	return clients, func() {
		t.Helper()
		for _, c := range clients {
			c.Close()
		}
		hubtest.Until(t, "the room to leave memory", func() bool { return w.Hub.Rooms() == 0 })
		if n := w.Hub.WaitingBytes(); n != 0 {
			t.Errorf("%d bytes of operations still count as waiting", n)
		}
	}
}

// An app whose Every panics has its updates told one by one, in rooms that are
// served inline and in those that are not, and one line in the log; nothing else is
// different.
func TestAPanicOfEveryHoldsUpNobody(t *testing.T) {
	for _, members := range []int{2, 70} {
		t.Run(strconv.Itoa(members), func(t *testing.T) {
			w := hubtest.New(t, new(memory.Engine))
			app := hubtest.NewCounterApp()
			app.Pace = func() time.Duration { panic("every panics") }
			route := hubtest.Route(app)
			clients, empty := manyClients(t, w, route, members)
			for i := range 100 { // more than may be held
				n := strconv.Itoa(1 + i)
				clients[0].Send("op")
				clients[0].Expect(n)
				clients[1].Expect(n)
			}
			hubtest.Post(t, w.Hub, route, "room", "op", "101")
			empty()
			if lines := w.Logs.TakeAll(); len(lines) != 1 || !strings.Contains(lines[0].ContextMap()["error"].(string), "every panics") {
				t.Errorf("%d log lines: %v", len(lines), lines)
			}
		})
	}
}

// What an engine does wrong refuses the batch, as what an app does wrong.
func TestAPanicOfTheEngineRefusesTheBatch(t *testing.T) {
	for _, method := range []string{"MaxState", "Count"} {
		t.Run(method, func(t *testing.T) {
			e := &brittleEngine{Engine: new(memory.Engine)}
			w := hubtest.New(t, e)
			route := hubtest.Route(hubtest.NewCounterApp())
			clients, empty := manyClients(t, w, route, 2)
			e.breaks.Store(&method)
			refused := "error: unavailable, try again later"
			clients[0].Send("op")
			clients[0].Expect(refused)
			hubtest.Post(t, w.Hub, route, "room", "op", refused)
			e.breaks.Store(nil)
			clients[0].Send("op")
			clients[0].Expect("1")
			clients[1].Expect("1")
			empty()
		})
	}
}

// brittleEngine is an engine of which one method panics.
type brittleEngine struct {
	engines.Engine
	breaks atomic.Pointer[string]
}

func (e *brittleEngine) hit(method string) {
	if broken := e.breaks.Load(); broken != nil && *broken == method {
		panic(method + " panics")
	}
}

func (e *brittleEngine) MaxState() int {
	e.hit("MaxState")
	return e.Engine.MaxState()
}

func (e *brittleEngine) Count(ctx context.Context) (int, error) {
	e.hit("Count")
	return e.Engine.Count(ctx)
}

func (e *brittleEngine) Load(ctx context.Context, key engines.Key) ([]byte, uint64, error) {
	e.hit("Load")
	return e.Engine.Load(ctx, key)
}

func (e *brittleEngine) Swap(ctx context.Context, key engines.Key, rev uint64, v engines.Value) (uint64, error) {
	e.hit("Swap")
	return e.Engine.Swap(ctx, key, rev, v)
}

func (e *brittleEngine) Close() error {
	e.hit("Close")
	return e.Engine.Close()
}

// A hub over an engine that panics on closing ends all the same.
func TestAPanicOnClosingTheEngineIsItsError(t *testing.T) {
	e, method := &brittleEngine{Engine: new(memory.Engine)}, "Close"
	e.breaks.Store(&method)
	h := hub.New(hubtest.Opens(e), hub.Limits{}, zap.NewNop)
	if err := h.Open(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(hubtest.Patience, frames.GoingAway, ""); err == nil || !strings.Contains(err.Error(), "Close panics") {
		t.Error(err)
	}
}

// An error that waits for its place among the answers is read before it does: if
// that panics only its own client is closed.
func TestARefusalThatPanicsClosesItsSender(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	clients, empty := manyClients(t, w, hubtest.Route(hubtest.NewCounterApp()), 2)
	clients[0].Send("op, and a refusal of nothing")
	clients[0].Expect("1")
	clients[0].ExpectClose(1011)
	clients[1].Expect("1")
	clients[1].Send("op")
	clients[1].Expect("2")
	empty()
}

// panickingLog is a logger that panics on a message.
func panickingLog(message string) *zap.Logger {
	core, _ := observer.New(zap.InfoLevel)
	return zap.New(core, zap.Hooks(func(e zapcore.Entry) error {
		if e.Message == message {
			panic("log panics")
		}
		return nil
	}))
}

// A member whose end cannot be logged has left all the same.
func TestAPanicOfTheLastLineKeepsNobody(t *testing.T) {
	log := panickingLog("connection ended")
	w := hubtest.Over(t, hub.New(hubtest.Opens(new(memory.Engine)), hub.Limits{MaxConnections: 1}, func() *zap.Logger { return log }))
	app, left := hubtest.NewCounterApp(), make(chan struct{}, 1)
	app.OnLeave = func(apps.Conn) { left <- struct{}{} }
	w.Join(hubtest.Route(app)).Leave()
	<-left
	hubtest.Until(t, "the room to leave memory", func() bool { return w.Hub.Rooms() == 0 })
	w.Join(hubtest.Route(app)).Leave()
	<-left
}

// Whatever else panics during a turn, here the log: those who wait for an answer
// are closed, and the room goes on.
func TestAPanicOfATurnClosesItsSenders(t *testing.T) {
	for _, members := range []int{3, 70} {
		t.Run(strconv.Itoa(members), func(t *testing.T) {
			log := panickingLog("app failed")
			w := hubtest.Over(t, hub.New(hubtest.Opens(new(memory.Engine)), hub.Limits{}, func() *zap.Logger { return log }))
			route := hubtest.Route(hubtest.NewCounterApp())
			clients, empty := manyClients(t, w, route, members)
			clients[0].Send("op")
			for _, c := range clients {
				c.Expect("1")
			}
			clients[0].Send("boom")
			clients[0].ExpectClose(1011)
			a, err := w.Hub.Ask(context.Background(), route, room.Visitor{Room: "room"}, apps.Text("op"), nil)
			if err != nil || string(a.Data) != "2" {
				t.Errorf("%+v, %v", a, err)
			}
			clients[1].Expect("2")
			if a, err := w.Hub.Ask(context.Background(), route, room.Visitor{Room: "room"}, apps.Text("boom"), nil); err != nil || a.Code != frames.InternalError {
				t.Errorf("%+v, %v", a, err)
			}
			clients[1].Send("op")
			clients[1].Expect("3")
			clients[2].Expect("2", "3")
			empty()
		})
	}
}
