package sum_test

import (
	"strings"
	"testing"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/apps/appstest"
	"github.com/caddyws/caddy-websocket/apps/sum"
)

func TestTotalGoesToEverybody(t *testing.T) {
	room := appstest.NewRoom(t, new(sum.App))
	a, b := room.Join(), room.Join()
	a.Send("6")
	a.Expect("6")
	b.Expect("6")
	b.Send(" -2.5\n")
	a.Expect("3.5")
	b.Expect("3.5")
}

// What cannot be added is told to its sender alone and changes nothing.
func TestErrorsGoToTheSenderOnly(t *testing.T) {
	room := appstest.NewRoom(t, new(sum.App))
	a, b := room.Join(), room.Join()
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
	a.SendBinary([]byte("6"))
	a.Expect("error: binary message, send a number as text")
	b.Send("1")
	b.Expect("1")
	a.Expect("1")
}

func TestNumbersMayStandInObjects(t *testing.T) {
	c := appstest.NewRoom(t, new(sum.App)).Join()
	c.Send(`{"value":6}`)
	c.Send(` {"id":"k:1", "value": -0.5e1} `)
	c.Send(`{"value":0.1}`)
	c.Send("0.2")
	c.Expect("6", "1", "1.1", "1.3")
}

func TestGreetShowsTheTotalOnJoining(t *testing.T) {
	room := appstest.NewRoom(t, &sum.App{Greet: true})
	a := room.Join()
	a.Expect("0")
	a.Send("7")
	a.Expect("7")
	room.Join().Expect("7")
}

func TestNothingIsShownOnJoining(t *testing.T) {
	appstest.NewRoom(t, new(sum.App)).Join().ExpectNothing()
}

func TestReplyOnlyTellsNobodyElse(t *testing.T) {
	room := appstest.NewRoom(t, &sum.App{ReplyOnly: true})
	a, b := room.Join(), room.Join()
	a.Send("1")
	a.Expect("1")
	b.Send("1")
	b.Expect("2")
	a.Send("1")
	a.Expect("3")
}

func TestJSONMessages(t *testing.T) {
	room := appstest.NewRoom(t, new(sum.App))
	a, b := room.Join(appstest.JSON), room.Join(appstest.JSON)
	state := a.Receive()
	b.Expect(state)
	head, ok := strings.CutSuffix(strings.TrimPrefix(state, `{"type":"state","epoch":"`), `","version":0,"total":0}`)
	if !ok || len(head) != 8 {
		t.Fatalf("read %s", state)
	}
	a.Send("2.50")
	a.Send("x")
	a.Expect(`{"type":"reply","epoch":"`+head+`","version":1,"total":2.5}`, `{"type":"error","error":"not a number","code":"refused","retry":false}`)
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
