package caddyws

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/gorilla/websocket"

	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/options"
)

func init() {
	caddy.RegisterModule(new(alarmApp))
	caddy.RegisterModule(new(noteHandler))
	caddy.RegisterModule(new(execHandler))
}

// alarmApp has events.
type alarmApp struct{ *hubtest.AlarmApp }

func (*alarmApp) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.websocket.apps.test_alarm", New: func() caddy.Module { return &alarmApp{hubtest.NewAlarmApp()} }}
}

func (*alarmApp) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return options.Set{}.App(d) }

// noteHandler is a handler of Caddy events that notes what it is told. A handler of the
// name "slow" waits for each.
type noteHandler struct {
	Name string `json:"name,omitempty"`
}

func (*noteHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.test_note", New: func() caddy.Module { return new(noteHandler) }}
}

func (n *noteHandler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return options.Set{"name": options.Text(&n.Name)}.App(d)
}

// told is an event that a handler was told.
type told struct {
	handler string
	event   caddy.Event
	text    string // that a placeholder stands for
}

var (
	toldEvents = make(chan told, 10000)
	letSlowGo  = make(chan struct{})
)

func (n *noteHandler) Handle(ctx context.Context, e caddy.Event) error {
	repl := ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	toldEvents <- told{n.Name, e, repl.ReplaceAll("{event.name} {event.data.to} {event.data.text}", "?")}
	if n.Name == "slow" {
		<-letSlowGo
	}
	return nil
}

// alarmSite is a Caddyfile with an app that has events, and a handler for them.
func alarmSite(handler string) string {
	return "GLOBAL\n events {\n on websocket.alert test_note {\n name " + handler + "\n }\n }\nEND\n" +
		site("/alarm", "test_alarm", "name alarms")
}

// expectTold fails the test unless a handler is told an event next, and returns it.
func expectTold(t *testing.T, handler, text string) caddy.Event {
	t.Helper()
	select {
	case e := <-toldEvents:
		if e.handler != handler || e.text != text {
			t.Fatalf("%s is told %q, expected %s and %q", e.handler, e.text, handler, text)
		}
		return e.event
	case <-time.After(patience):
		t.Fatalf("%s is not told %q", handler, text)
	}
	return caddy.Event{}
}

// execHandler stands for the plugin that the README names for running commands: it has
// its name and its form in a Caddyfile, and notes the command.
type execHandler struct {
	Command string   `json:"command,omitempty"`
	Args    []string `json:"args,omitempty"`
}

func (*execHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.exec", New: func() caddy.Module { return new(execHandler) }}
}

func (x *execHandler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if !d.NextArg() {
		return d.ArgErr()
	}
	x.Command, x.Args = d.Val(), d.RemainingArgs()
	return nil
}

func (x *execHandler) Handle(ctx context.Context, e caddy.Event) error {
	repl := ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	var args []string
	for _, arg := range x.Args {
		args = append(args, repl.ReplaceAll(arg, "?"))
	}
	toldEvents <- told{x.Command, e, strings.Join(args, "|")}
	return nil
}

// The README's example of a handler is told alerts of a meter, with what its placeholders
// stand for.
func TestReadmeHandler(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```\n\\{\n(\tevents \\{.*?\n\t\\}\n)\\}\n```").FindSubmatch(readme)
	if block == nil {
		t.Fatal("the README has no example of a handler")
	}
	s := start(t, "GLOBAL\n"+string(block[1])+"END\n:PORT {\n websocket /hall {\n app meter {\n alert overload max above 900\n }\n }\n}")
	s.posts("/hall", "950", http.StatusOK, "950")
	expectTold(t, "notify", fmt.Sprintf("localhost:%d/hall|overload: max is 950, above 900", s.Port))
}

// expectToldNothing fails the test if a handler was told something.
func expectToldNothing(t *testing.T) {
	t.Helper()
	select {
	case e := <-toldEvents:
		t.Fatalf("%s is told %q", e.handler, e.text)
	default:
	}
}

// A handler in a Caddyfile is told each event of the rooms once, with its fields, an ID
// and where it has happened. After a reload that of the new configuration is. The events
// are in the log, too.
func TestHandlersOfACaddyfileAreToldEvents(t *testing.T) {
	s := start(t, alarmSite("first"))
	c := s.dial("/alarm")
	c.ask("raise press hot", "1")
	event := expectTold(t, "first", "websocket.alert press hot")
	id, _ := event.Data["id"].(string)
	want := map[string]any{
		"event": "alert", "to": "press", "text": "hot", "id": id,
		"route": "alarms", "room": fmt.Sprintf("localhost:%d/alarm", s.Port),
	}
	if got := fmt.Sprint(event.Data); got != fmt.Sprint(want) || !strings.HasSuffix(id, "-1-1") {
		t.Errorf("the event has %s, expected %v", got, want)
	}
	if event.Origin() == nil || event.Origin().CaddyModule().ID != "websocket" {
		t.Errorf("the event is of %v", event.Origin())
	}
	line := logged.wait(t, "the event", isMessage("room event"))
	if line["route"] != "alarms" || line["id"] != id || line["event"] != "alert" || line["text"] != "press hot" {
		t.Errorf("the log has %v", line)
	}

	s.load(alarmSite("second"))
	c.ask("clear press", "2")
	expectTold(t, "second", "websocket.alert press over")
	c.ask("name other", "3", "all named") // for which there is no handler
	s.load(site("/alarm", "test_alarm", "name alarms"))
	c.ask("raise press hot", "4")
	expectToldNothing(t)
}

// What a handler has taken before Caddy ends is not told again when it starts.
func TestARestartTellsNothingTwice(t *testing.T) {
	s := start(t, alarmSite("first"))
	c := s.dial("/alarm")
	for i := range 20 {
		c.ask("raise press hot", fmt.Sprint(i+1))
	}
	for range 20 {
		expectTold(t, "first", "websocket.alert press hot")
	}
	logged.waitAll(t, "the events", 20, isMessage("room event")) // each after its handler has returned
	s.stop()
	s.load(alarmSite("first"))
	s.dial("/alarm").ask("tell press again", "21")
	expectTold(t, "first", "websocket.alert press again")
}

// While configurations follow each other every event is told in order, by the handlers of
// one of them or, if that is replaced meanwhile, of the next one too.
func TestEventsOverReloads(t *testing.T) {
	s := start(t, alarmSite("0"))
	c := s.dial("/alarm")
	const events = 300
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range events {
			if c.WriteMessage(websocket.TextMessage, []byte(fmt.Sprint("tell nobody ", i))) != nil {
				return
			}
			if _, _, err := c.ReadMessage(); err != nil {
				return
			}
		}
	}()
	for i := range 5 {
		s.load(alarmSite(fmt.Sprint(i + 1)))
	}
	<-done
	last := 0
	for i := 0; i < events; {
		select {
		case e := <-toldEvents:
			handler, err := strconv.Atoi(e.handler)
			text := func(i int) string { return fmt.Sprint("websocket.alert nobody ", i) }
			switch again := handler > last && e.text == text(i-1); {
			case err != nil || handler < last || e.text != text(i) && !again:
				t.Fatalf("handler %s is told %q after handler %d, expected %q", e.handler, e.text, last, text(i))
			case !again:
				i++
			}
			last = handler
		case <-time.After(patience):
			t.Fatalf("nobody is told event %d", i)
		}
	}
}

// A handler that takes its time holds up no room, and no reload. Nothing is missed.
func TestASlowHandlerHoldsUpNobody(t *testing.T) {
	s := start(t, alarmSite("slow"))
	c := s.dial("/alarm")
	c.ask("tell a first", "1")
	expectTold(t, "slow", "websocket.alert a first")
	for i := range 200 {
		c.ask("tell a next", fmt.Sprint(i+2))
	}
	expectToldNothing(t)
	s.load(alarmSite("quick"))
	c.ask("tell a last", "202")
	expectToldNothing(t)
	letSlowGo <- struct{}{}
	expectTold(t, "quick", "websocket.alert a first") // too: nobody knows what the reload has left undone
	for range 200 {
		expectTold(t, "quick", "websocket.alert a next")
	}
	expectTold(t, "quick", "websocket.alert a last")
}

var _ caddyevents.Handler = (*noteHandler)(nil)
