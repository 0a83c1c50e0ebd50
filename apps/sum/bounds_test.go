package sum_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/apps/appstest"
	"github.com/caddyws/caddy-websocket/apps/sum"
)

// configured returns the app with the options of a Caddyfile block, taken through
// JSON as Caddy takes it.
func configured(t *testing.T, block string) *sum.App {
	t.Helper()
	var parsed sum.App
	if err := parsed.UnmarshalCaddyfile(caddyfile.NewTestDispenser("sum {\n" + block + "\n}")); err != nil {
		t.Fatal(err)
	}
	p, err := json.Marshal(parsed)
	if err != nil {
		t.Fatal(err)
	}
	var generic any // Caddy looks at configurations in this form
	if err := json.Unmarshal(p, &generic); err != nil {
		t.Fatal(err)
	}
	if p, err = json.Marshal(generic); err != nil {
		t.Fatal(err)
	}
	app := new(sum.App)
	if err := json.Unmarshal(p, app); err != nil {
		t.Fatalf("%s: %v", p, err)
	}
	return app
}

// valid is configured for options that Validate accepts.
func valid(t *testing.T, block string) *sum.App {
	t.Helper()
	app := configured(t, block)
	if err := app.Validate(); err != nil {
		t.Fatal(err)
	}
	return app
}

func TestTotalsStayWithinMinAndMax(t *testing.T) {
	room := appstest.NewRoom(t, valid(t, "min -2.5\nmax 10"))
	a, b := room.Join(), room.Join()
	a.Send("10")
	a.Expect("10")
	b.Expect("10")
	a.Send("0.000000000000000000000000000001")
	a.Expect("error: the total would be above 10")
	b.ExpectNothing()
	a.Send("-12.5")
	a.Expect("-2.5")
	b.Expect("-2.5")
	a.Send("-1")
	a.Expect("error: the total would be below -2.5")
	a.Send("1")
	a.Expect("-1.5")
	b.Expect("-1.5")
	room.Post("100").ExpectRefused("the total would be above 10")
	room.ExpectState("-1.5")
}

func TestOneBoundLeavesTheOtherSideOpen(t *testing.T) {
	for block, number := range map[string]string{"min 0": "1e29", "max 0": "-1e29"} {
		c := appstest.NewRoom(t, valid(t, block)).Join()
		c.Send(number)
		if got := c.Receive(); strings.HasPrefix(got, "error") {
			t.Errorf("%s, %s: %s", block, number, got)
		}
	}
}

func TestBoundsAreExact(t *testing.T) {
	const large = "9007199254740993.000000000000000000000000000001"
	c := appstest.NewRoom(t, valid(t, "max "+large)).Join()
	c.Send(large)
	c.Expect(large)
	c.Send("1e-30")
	c.Expect("error: the total would be above " + large)
}

func TestOnlyTheAmountsOfStepAreTaken(t *testing.T) {
	room := appstest.NewRoom(t, valid(t, "step 1 -1 0.5"))
	a := room.Join()
	a.Send("1")
	a.Expect("1")
	a.Send("1.000")
	a.Expect("2")
	a.Send(`{"value":-10e-1}`)
	a.Expect("1")
	a.Send("0.50")
	a.Expect("1.5")
	for _, other := range []string{"2", "0", "-0.5", "1.1", "1e29"} {
		room.Post(other).ExpectRefused(strings.Replace(other, "1e29", "1"+strings.Repeat("0", 29), 1) + " is not taken, send 1, -1 or 0.5")
	}
	room.Post("x").ExpectRefused("not a number")
	room.ExpectState("1.5")
}

func TestTheAmountsAreListedInWords(t *testing.T) {
	for steps, want := range map[string]string{"1": "1", "1 2": "1 or 2", "1 2 3": "1, 2 or 3"} {
		appstest.NewRoom(t, valid(t, "step "+steps)).Post("7").ExpectRefused("7 is not taken, send " + want)
	}
}

func TestStepAndBoundsTogether(t *testing.T) {
	room := appstest.NewRoom(t, valid(t, "min 0\nmax 1\nstep 1 -1"))
	room.Post("-1").ExpectRefused("the total would be below 0")
	room.Post("1").Expect("1")
	room.Post("1").ExpectRefused("the total would be above 1")
	room.Post("3").ExpectRefused("3 is not taken, send 1 or -1")
}

// A total that was made under other bounds may only come back towards these.
func TestTotalsOutOfBoundsMayOnlyComeBack(t *testing.T) {
	for _, c := range []struct{ total, added, want string }{
		{"200", "-1", "199"},
		{"200", "-100", "100"},
		{"200", "-199", "1"},
		{"200", "-200", "0"},
		{"200", "1", "error: the total would be above 100"},
		{"200", "0", "error: the total would be above 100"},
		{"200", "-301", "error: the total would be below -100"},
		{"-200", "1", "-199"},
		{"-200", "300", "100"},
		{"-200", "-1", "error: the total would be below -100"},
		{"-200", "0", "error: the total would be below -100"},
		{"-200", "301", "error: the total would be above 100"},
		{"100", "0", "100"},
		{"-100", "0", "-100"},
	} {
		state := valid(t, "min -100\nmax 100").NewState()
		if err := state.UnmarshalBinary([]byte(c.total)); err != nil {
			t.Fatal(err)
		}
		var got string
		if out, err := state.Apply(apps.Op{Data: []byte(c.added)}); err != nil {
			got = "error: " + err.Error()
		} else {
			got = string(out.Reply.Text)
		}
		if got != c.want {
			t.Errorf("%s with %s: got %s, want %s", c.total, c.added, got, c.want)
		}
		if strings.HasPrefix(got, "error") && string(state.View().Text) != c.total {
			t.Errorf("%s with %s: the total became %s", c.total, c.added, state.View().Text)
		}
	}
}

func TestBoundsInJSON(t *testing.T) {
	for text, want := range map[string]string{
		`{"min":"-2.50"}`:                       `{"min":"-2.5"}`,
		`{"min":-2.50,"max":1e3}`:               `{"min":"-2.5","max":"1000"}`,
		`{"max":"\u0031"}`:                      `{"max":"1"}`,
		`{"step":[1,"-1"]}`:                     `{"step":["1","-1"]}`,
		`{"min":null,"step":[]}`:                `{}`,
		`{"max":"9007199254740993"}`:            `{"max":"9007199254740993"}`,
		`{"max":"1e59"}`:                        `{"max":"1` + strings.Repeat("0", 59) + `"}`,
		`{"greet":true,"every":"1s","max":"0"}`: `{"greet":true,"every":1000000000,"max":"0"}`,
	} {
		app := new(sum.App)
		if err := json.Unmarshal([]byte(text), app); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := json.Marshal(app); err != nil || string(got) != want || app.Validate() != nil {
			t.Errorf("%s became %s, want %s; %v, %v", text, got, want, err, app.Validate())
		}
	}
	for text, want := range map[string]string{
		`{"min":"six"}`:    `"six": not a number`,
		`{"min":""}`:       `"": not a number`,
		`{"max":true}`:     `"true": not a number`,
		`{"max":"1e60"}`:   `"1e60": total of more than 60 digits before the decimal point`,
		`{"step":[1e-31]}`: `"1e-31": more than 30 digits after the decimal point`,
		`{"step":[null]}`:  `"null": not a number`,
		`{"min":"\ud"}`:    `invalid`,
	} {
		if err := json.Unmarshal([]byte(text), new(sum.App)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

func TestImpossibleBoundsAreRefused(t *testing.T) {
	for block, want := range map[string]string{
		"min 1":            "min is 1, expected at most 0: the total of a new room is 0",
		"max -0.5":         "max is -0.5, expected at least 0: the total of a new room is 0",
		"min 5\nmax 10":    "min is 5, expected at most 0: the total of a new room is 0",
		"step 1 2 1.0":     "step 1 is given twice",
		"step 1e30":        "step 1" + strings.Repeat("0", 30) + " cannot be sent: more than 30 digits before the decimal point",
		"min 1\nevery 1ms": "every is 1ms, expected 10ms to 1m\nmin is 1, expected at most 0: the total of a new room is 0",
		"min 1\nmax -1":    "min is 1, expected at most 0: the total of a new room is 0\nmax is -1, expected at least 0: the total of a new room is 0",
		"step " + upTo(21): "step has 21 amounts, expected at most 20",
	} {
		if err := configured(t, block).Validate(); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", block, err, want)
		}
	}
	for _, block := range []string{"min 0", "max 0", "min -0\nmax 0.0", "step 0", "step " + upTo(20)} {
		valid(t, block)
	}
}

func upTo(n int) string {
	var words []string
	for i := range n {
		words = append(words, fmt.Sprint(i+1))
	}
	return strings.Join(words, " ")
}

// An addition without bounds costs no more than before there were any.
func TestAddingAllocatesOnlyTheAnswer(t *testing.T) {
	for block, most := range map[string]float64{"": 1, "min 0\nmax 1e9": 1} {
		state := valid(t, block).NewState()
		add := func() {
			if _, err := state.Apply(apps.Op{Data: []byte("1")}); err != nil {
				t.Fatal(err)
			}
		}
		if got := testing.AllocsPerRun(100, add); got > most {
			t.Errorf("%q: %v allocations", block, got)
		}
	}
}
