package hub_test

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
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
	route := hubtest.Route(newCounterApp())
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
	<-g.taken
	a.Send("op", "boom", "op")
	waiting(t, w, 2+8)
	b.Send("op")
	waiting(t, w, 2+10)
	g.pass <- nil
	<-g.taken
	g.pass <- nil
	a.Expect("1", "2", "4")
	a.ExpectClose(1011)
	b.Expect("3", "4")
	checkLogged(t, w, "panic on applying an operation: boom")
}

// An error of Apply that panics on being read is a panic too.
func TestAnErrorThatPanicsClosesItsSender(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	route := hubtest.Route(newCounterApp())
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
		app := newCounterApp()
		c := w.Join(hubtest.Route(app))
		c.Send("op", "op")
		c.Expect("1", "2")
		for method, times := range test.panics {
			app.faults.set(method, times)
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
	app := newCounterApp()
	route := hubtest.Route(app)
	join := func() error {
		m, err := w.Hub.Join(context.Background(), route, hub.Visitor{Room: "room"})
		if err == nil {
			m.Abandon()
		}
		return err
	}
	app.onJoin = func(apps.Conn) error { panic("join panics") }
	for _, method := range []string{"Join", "Greets", "NewState", "View"} {
		switch method {
		case "Greets":
			app.onJoin, app.greets = nil, func() bool { panic("greets panics") }
		case "NewState", "View":
			app.greets = nil
			app.faults.set(method, 1)
		}
		if err := join(); err == nil || !strings.Contains(err.Error(), "panic") {
			t.Errorf("panic of %s: %v", method, err)
		}
		if n := w.Hub.Rooms(); n != 0 {
			t.Errorf("panic of %s: %d rooms are left", method, n)
		}
	}
	if err := join(); err != nil {
		t.Error(err)
	}
}

// A panic of Leave is logged, and the member is gone all the same.
func TestAPanicOfLeaveIsLogged(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	app := newCounterApp()
	app.leave = func(apps.Conn) { panic("leave panics") }
	c := w.Join(hubtest.Route(app))
	c.Leave()
	hubtest.Until(t, "the room to leave memory", func() bool { return w.Hub.Rooms() == 0 })
	checkLogged(t, w, "panic in app test: leave panics")
}
