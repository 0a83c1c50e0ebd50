package broadcast_test

import (
	"strings"
	"testing"

	"github.com/caddyws/caddy-websocket/apps/broadcast"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
)

// What a client sends, or is called, is never looked into for placeholders.
func TestFormatIsFilledInOnePass(t *testing.T) {
	for _, test := range []struct{ format, user, message, want string }{
		{"", "ann", "hi {user}", "hi {user}"},
		{"{message}", "ann", "{id}{message}", "{id}{message}"},
		{"Message: {message}", "ann", "hi", "Message: hi"},
		{"{user}: {message}", "ann", "{user} {id} {message}", "ann: {user} {id} {message}"},
		{"{user}: {message}", "{message}", "x", "{message}: x"},
		{"{user}: {message}", "\xff", "x", "\uFFFD: x"},
		{"{user}|{message}|{message}|{unknown}", "", "", "|||{unknown}"},
	} {
		w := hubtest.New(t, new(memory.Engine))
		route := hubtest.Route(&broadcast.App{Format: test.format})
		a := w.Enter(route, hub.Visitor{Room: "room", User: test.user})
		b := w.Join(route)
		a.Send(test.message)
		a.Expect(test.want)
		b.Expect(test.want)
	}
}

func TestFormatNamesTheConnection(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	c := w.Join(hubtest.Route(&broadcast.App{Format: "{id}>{message}"}))
	c.Send("{id}")
	c.Expect(c.Member.App().ID() + ">{id}")
}

func TestBinaryIsPassedOnAsItIs(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	c := w.Join(hubtest.Route(&broadcast.App{Format: "Message: {message}"}))
	c.SendBinary("\xff")
	if op, p, err := c.ReadFrame(); err != nil || op != frames.Binary || string(p) != "\xff" {
		t.Errorf("read %v %q, %v", op, p, err)
	}
}

func TestOthersLeavesTheSenderOut(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	route := hubtest.Route(&broadcast.App{Others: true})
	a, b := w.Join(route), w.Join(route)
	a.Send("from a")
	b.Expect("from a")
	b.Send("from b")
	a.Expect("from b")
	stranger := w.Enter(route, hub.Visitor{Room: "another"})
	alone := w.Enter(route, hub.Visitor{Room: "another"})
	stranger.Send("x")
	alone.Expect("x")
}

// A format with a misspelt placeholder is refused; braces that are no placeholder
// are not.
func TestFormatIsJudged(t *testing.T) {
	for format, reason := range map[string]string{
		"": "", "{message}": "", `{"from":"{user}","text":"{message}"}`: "", "{ {message} {}": "",
		"{user} is here":        "",
		"{usr}: {message}":      "unknown placeholder {usr}",
		"{http.host} {message}": "unknown placeholder {http.host}",
	} {
		err := (&broadcast.App{Format: format}).Validate()
		if (err == nil) != (reason == "") || err != nil && !strings.Contains(err.Error(), reason) {
			t.Errorf("%q: %v", format, err)
		}
	}
}
