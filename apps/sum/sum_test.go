package sum_test

import (
	"strings"
	"testing"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/apps/sum"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
)

func TestTotalGoesToEverybody(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	route := hubtest.Route(new(sum.App))
	a, b := w.Join(route), w.Join(route)
	a.Send("6")
	a.Expect("6")
	b.Expect("6")
	b.Send(" -2.5\n")
	a.Expect("3.5")
	b.Expect("3.5")
}

// What cannot be added is told to its sender alone and changes nothing.
func TestErrorsGoToTheSenderOnly(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	route := hubtest.Route(new(sum.App))
	a, b := w.Join(route), w.Join(route)
	for message, told := range map[string]string{
		"":                            "not a number",
		"six":                         "not a number",
		"NaN":                         "not a number",
		"Infinity":                    "not a number",
		"0x10":                        "not a number",
		"1_000":                       "not a number",
		"1" + strings.Repeat("0", 30): "more than 30 digits before the decimal point",
		"1e-31":                       "more than 30 digits after the decimal point",
		strings.Repeat("1", 129):      "longer than 128 bytes",
		`{"value":"six"}`:             `no number, send 6 or {"value":6}`,
		`{"value":null}`:              `no number, send 6 or {"value":6}`,
		`{"value":true}`:              `no number, send 6 or {"value":6}`,
		`{"value":[1]}`:               `no number, send 6 or {"value":6}`,
		`{}`:                          `no number, send 6 or {"value":6}`,
		`{"value":6`:                  `no number, send 6 or {"value":6}`,
		`{"value":6} 7`:               `no number, send 6 or {"value":6}`,
		`{"value":1e999999999}`:       "more than 30 digits before the decimal point",
		`[6]`:                         "not a number",
	} {
		a.Send(message)
		a.Expect("error: " + told)
	}
	a.SendBinary("6")
	a.Expect("error: binary message, send a number as text")
	b.Send("1")
	b.Expect("1")
	a.Expect("1")
}

func TestNumbersMayStandInObjects(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	c := w.Join(hubtest.Route(new(sum.App)))
	c.Send(`{"value":6}`, ` {"id":"k:1", "value": -0.5e1} `, `{"value":0.1}`, "0.2")
	c.Expect("6", "1", "1.1", "1.3")
}

func TestGreetShowsTheTotalOnJoining(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	route := hubtest.Route(&sum.App{Greet: true})
	a := w.Join(route)
	a.Expect("0")
	a.Send("7")
	a.Expect("7")
	w.Join(route).Expect("7")
	silent := w.Join(hubtest.Route(new(sum.App)))
	silent.Send("1")
	silent.Expect("8")
}

func TestReplyOnlyTellsNobodyElse(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	route := hubtest.Route(&sum.App{ReplyOnly: true})
	a, b := w.Join(route), w.Join(route)
	a.Send("1")
	a.Expect("1")
	b.Send("1")
	b.Expect("2")
	a.Send("1")
	a.Expect("3")
}

func TestJSONMessages(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	route := hubtest.Route(new(sum.App))
	a, b := w.JoinJSON(route), w.JoinJSON(route)
	state, err := a.ReadText()
	if err != nil {
		t.Fatal(err)
	}
	b.Expect(state)
	head, ok := strings.CutSuffix(strings.TrimPrefix(state, `{"type":"state","epoch":"`), `","version":0,"total":0}`)
	if !ok || len(head) != 8 {
		t.Fatalf("read %s", state)
	}
	a.Send("2.50", "x")
	a.Expect(`{"type":"reply","epoch":"`+head+`","version":1,"total":2.5}`, `{"type":"error","error":"not a number"}`)
	b.Expect(`{"type":"update","epoch":"` + head + `","version":1,"total":2.5}`)
}

// The largest total is stored, and adding to it is refused with the state as it
// was.
func TestTotalsStayInBounds(t *testing.T) {
	state := new(sum.App).NewState()
	largest := strings.Repeat("9", 60)
	if err := state.UnmarshalBinary([]byte(largest)); err != nil {
		t.Fatal(err)
	}
	if _, err := state.Apply(apps.Op{Data: []byte("1")}); err == nil {
		t.Error("a total of 61 digits was taken")
	}
	if got := string(state.View().Text); got != largest {
		t.Errorf("the total became %s", got)
	}
	out, err := state.Apply(apps.Op{Data: []byte("-0." + strings.Repeat("0", 29) + "1")})
	if err != nil {
		t.Fatal(err)
	}
	p, err := state.MarshalBinary()
	again := new(sum.App).NewState()
	if err != nil || again.UnmarshalBinary(p) != nil || string(again.View().JSON) != string(out.Reply.JSON) {
		t.Errorf("%s came back as %s, %v", out.Reply.JSON, again.View().JSON, err)
	}
	for _, damaged := range []string{"", "x", largest + "9"} {
		if err := again.UnmarshalBinary([]byte(damaged)); err == nil {
			t.Errorf("%q was read", damaged)
		}
	}
}
