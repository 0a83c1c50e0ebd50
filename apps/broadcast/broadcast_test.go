package broadcast_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/caddyws/caddy-websocket/apps/appstest"
	"github.com/caddyws/caddy-websocket/apps/broadcast"
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
		room := appstest.NewRoom(t, &broadcast.App{Format: test.format})
		a := room.Join(appstest.User(test.user))
		b := room.Join()
		a.Send(test.message)
		a.Expect(test.want)
		b.Expect(test.want)
	}
}

func TestFormatNamesTheConnection(t *testing.T) {
	room := appstest.NewRoom(t, &broadcast.App{Format: "{id}>{message}"})
	a, b := room.Join(), room.Join()
	id := func(from *appstest.Client) string {
		from.Send("{id}")
		text := a.Receive()
		b.Expect(text)
		id, message, _ := strings.Cut(text, ">")
		if message != "{id}" || id == "" {
			t.Errorf("received %q", text)
		}
		return id
	}
	if first := id(a); first != id(a) || first == id(b) {
		t.Error("an ID is not one of its connection")
	}
}

func TestBinaryIsPassedOnAsItIs(t *testing.T) {
	c := appstest.NewRoom(t, &broadcast.App{Format: "Message: {message}"}).Join()
	c.SendBinary([]byte("\xff"))
	c.ExpectBinary([]byte("\xff"))
}

func TestOthersLeavesTheSenderOut(t *testing.T) {
	room := appstest.NewRoom(t, &broadcast.App{Others: true})
	a, b := room.Join(), room.Join()
	a.Send("from a")
	b.Expect("from a")
	b.Send("from b")
	a.Expect("from b")
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

// In the subprotocol json a client sends an object, and is told who has said what, whatever
// the format is.
func TestJSON(t *testing.T) {
	room := appstest.NewRoom(t, &broadcast.App{Format: "{user}: {message}"})
	ann := room.Join(appstest.User("ann"), appstest.JSON)
	text := room.Join()
	ann.Send(`{"data":"say \"hi\"","from":{"user":"bob"},"type":"state"}`)
	if got := ann.Receive(); !strings.HasPrefix(got, `{"type":"message","from":{"id":"`) || !strings.Contains(got, `,"user":"ann"},"time":"`) || !strings.HasSuffix(got, `,"data":"say \"hi\""}`) {
		t.Error(got)
	}
	text.Expect(`ann: say "hi"`)
	ann.SendBinary([]byte("\xff"))
	ann.ExpectJSON(`{"type":"message","binary":"/w=="}`)
	text.ExpectBinary([]byte("\xff"))
	for _, odd := range []string{"", "\x00\x1f", `\`, "ä☃😀", "\u2028", "<b>&"} {
		text.Send(odd)
		ann.ExpectJSON(fmt.Sprintf(`{"type":"message","data":%s}`, quoted(odd)))
		text.Expect(": " + odd)
	}
	text.Send(`{"data":"no object"}`)
	ann.ExpectJSON(`{"type":"message","data":"{\"data\":\"no object\"}"}`)
}

func quoted(text string) []byte {
	p, _ := json.Marshal(text)
	return p
}

// Anything else than an object with a text is refused, and the connection stays.
func TestJSONThatIsNoMessage(t *testing.T) {
	c := appstest.NewRoom(t, new(broadcast.App)).Join(appstest.JSON)
	for _, wrong := range []string{"", "hi", "7", `"hi"`, "null", "[]", "{}", `{"data":7}`, `{"data":null}`, `{"data":{}}`, `{"DATA":"x"}`, `{"data":"x"`} {
		c.Send(wrong)
		c.ExpectJSON(`{"type":"error","code":"refused"}`)
	}
	c.Send(`{"data":""}`)
	c.ExpectJSON(`{"type":"message","data":""}`)
}
