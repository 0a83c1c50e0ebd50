package meter_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyws/caddy-websocket/apps/meter"
)

// configured returns the app with the options of a Caddyfile block, taken through
// JSON as Caddy takes it.
func configured(t testing.TB, block string) *meter.App {
	t.Helper()
	var parsed meter.App
	if err := parsed.UnmarshalCaddyfile(caddyfile.NewTestDispenser("meter {\n" + block + "\n}")); err != nil {
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
	app := new(meter.App)
	if err := caddy.StrictUnmarshalJSON(p, app); err != nil {
		t.Fatalf("%s: %v", p, err)
	}
	return app
}

// valid is configured for options that Provision accepts.
func valid(t testing.TB, block string) *meter.App {
	t.Helper()
	app := configured(t, block)
	if err := app.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	return app
}

const everyOption = `
	value power.watts
	key id
	window 5m
	latest
	max_keys 200
	greet
	every 250ms
	alert warning each max above 900 {
		clear 850.5
		cooldown 1m
		to key
		message "{alert} at {key}: {value}"
	}
	alert low mean below -1e1`

func TestOptionsInJSON(t *testing.T) {
	p, err := json.Marshal(configured(t, everyOption))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"value":"power.watts","key":"id","window":300000000000,"latest":true,"max_keys":200,"greet":true,"every":250000000,"alerts":[` +
		`{"name":"warning","each":true,"fold":"max","above":"900","clear":"850.5","cooldown":60000000000,"to":"key","message":"{alert} at {key}: {value}"},` +
		`{"name":"low","fold":"mean","below":"-10"}]}`
	if string(p) != want {
		t.Errorf("got  %s\nwant %s", p, want)
	}
	valid(t, everyOption)
	if p, err = json.Marshal(configured(t, "")); err != nil || string(p) != "{}" {
		t.Errorf("without options: %s, %v", p, err)
	}
}

func TestDefaults(t *testing.T) {
	app := valid(t, "")
	if app.Value != "value" || app.Key != "key" || app.MaxKeys != 100 || app.Every() != 0 || app.Greets(nil) {
		t.Errorf("they are %+v", app)
	}
}

func TestWrongSyntaxIsRefused(t *testing.T) {
	const alert = "an alert is <name> [each] <fold> above|below <threshold>, such as: alert warning max above 900"
	for block, want := range map[string]string{
		"alert":                                     alert,
		"alert a":                                   alert,
		"alert a max":                               alert,
		"alert a max above":                         alert,
		"alert a max over 5":                        alert,
		"alert a max above 5 6":                     alert,
		"alert a max each above 5":                  alert,
		"alert each max above":                      alert,
		"alert a above 5":                           alert,
		"alert a max above x":                       `"x": not a number`,
		"alert a max below 1e-31":                   `"1e-31": more than 30 digits after the decimal point`,
		"alert a max above \"\"":                    `"": not a number`,
		"alert a max above 5 {\nclear x\n}":         `"x": not a number`,
		"alert a max above 5 {\nclear\n}":           `option "clear" needs a value`,
		"alert a max above 5 {\nto\n}":              `option "to" needs one of room, key`,
		"alert a max above 5 {\nto all\n}":          `option "to" needs one of room, key`,
		"alert a max above 5 {\nmessage\n}":         `option "message" needs a value`,
		"alert a max above 5 {\ncooldown 0\n}":      `option "cooldown": duration 0 is not positive`,
		"alert a max above 5 {\nto key\nto room\n}": `option "to" is given twice`,
		"alert a max above 5 {\nevery 1s\n}":        `unknown option "every" of alert, expected one of clear, cooldown, message, to`,
		"alert a max above 5 {\nclear 4 5\n}":       `unexpected argument "5" of option "clear"`,
		"latest 1m":                                 `unexpected argument "1m" of option "latest"`,
		"window":                                    `option "window" needs a value`,
		"window -1s":                                `option "window": duration -1s is not positive`,
		"window soon":                               `option "window": "soon" is not a duration such as 25s`,
		"max_keys 0":                                `option "max_keys": "0" is not a number from 1 to 100000000`,
		"max_keys 1.5":                              `option "max_keys": "1.5" is not a number from 1 to 100000000`,
		"value":                                     `option "value" needs a value`,
		"value a b":                                 `unexpected argument "b" of option "value"`,
		"value a\nvalue b":                          `option "value" is given twice`,
		"keys 5":                                    `unknown option "keys" of meter, expected one of alert, every, greet, key, latest, max_keys, value, window`,
	} {
		err := new(meter.App).UnmarshalCaddyfile(caddyfile.NewTestDispenser("meter {\n" + block + "\n}"))
		if err == nil || !strings.HasPrefix(err.Error(), want+", at Testfile:") {
			t.Errorf("%s\n got %v\nwant %s", block, err, want)
		}
	}
	err := new(meter.App).UnmarshalCaddyfile(caddyfile.NewTestDispenser("meter latest"))
	if want := `unexpected argument "latest" of meter, options stand in a block: meter { latest }`; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

// alerts are so many of them, without their names.
func alerts(n int, each string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "alert %s%d %s max above 5\n", strings.TrimSpace("a"+each), i, each)
	}
	return b.String()
}

func TestImpossibleOptionsAreRefused(t *testing.T) {
	for block, want := range map[string]string{
		"value a..b":                         `field "a..b" has an empty name`,
		"value a\nkey a.b":                   `fields "a" and "a.b" are the same, or one is in the other`,
		"key value":                          `fields "value" and "value" are the same, or one is in the other`,
		"every 9ms":                          "every is 9ms, expected 10ms to 1m",
		"every 61s":                          "every is 1m1s, expected 10ms to 1m",
		"window 999ms":                       "window is 999ms, expected 1s to 7d",
		"window 169h":                        "window is 169h0m0s, expected 1s to 7d",
		"latest":                             "latest needs window: without it keys that are not used any more would count for ever",
		"max_keys 1001":                      "max_keys is 1001, expected 1 to 1000",
		alerts(33, ""):                       "there are 33 alerts, expected at most 32",
		alerts(11, "each"):                   "11 alerts for each of 100 keys are 1100, expected at most 1000",
		"max_keys 501\n" + alerts(2, "each"): "2 alerts for each of 501 keys are 1002, expected at most 1000",
		"max_keys 101\nwindow 1m\n" + alerts(1, "each"): "max_keys is 101, expected at most 100 with a window and alerts for each key, but without latest",

		"alert a! max above 5":                                                 `alert "a!": a name has 1 to 32 of A-Z, a-z, 0-9, _ and -`,
		"alert " + strings.Repeat("a", 33) + " max above 5":                    `alert "` + strings.Repeat("a", 33) + `": a name has 1 to 32 of A-Z, a-z, 0-9, _ and -`,
		"alert each max above 5":                                               `alert "each": each is no name: it stands behind the name`,
		"alert a max above 5\nalert a min below 5":                             `alert "a": the name is given twice`,
		"alert a median above 5":                                               `alert "a": there is no fold "median", expected one of sum, count, min, max, mean, last`,
		"alert a max above 5 {\nclear 5.1\n}":                                  `alert "a": clear is 5.1, expected at most the threshold 5`,
		"alert a max below 5 {\nclear 4.9\n}":                                  `alert "a": clear is 4.9, expected at least the threshold 5`,
		"alert a max above 5 {\ncooldown 999ms\n}":                             `alert "a": cooldown is 999ms, expected 1s to 7d`,
		"alert a max above 5 {\ncooldown 8d\n}":                                `alert "a": cooldown is 192h0m0s, expected 1s to 7d`,
		"alert a max above 5 {\nto key\n}":                                     `alert "a": to key needs each: what is made of the readings of all keys is of none of them`,
		"alert a max above 5 {\nmessage \"{kye}\"\n}":                          `alert "a": the message has the unknown placeholder {kye}, expected one of {key}, {value}, {fold}, {threshold}, {alert}`,
		"alert a max above 5 {\nmessage " + strings.Repeat("m", 513) + "\n}":   `alert "a": the message may become 513 bytes long, expected at most 512`,
		"alert a max above 5 {\nmessage " + strings.Repeat("{key}", 9) + "\n}": `alert "a": the message may become 576 bytes long, expected at most 512`,
		"every 1ms\nlatest\nalert ä count above 5\nalert b foo above 5 {\nclear 6\n}": "every is 1ms, expected 10ms to 1m\n" +
			"latest needs window: without it keys that are not used any more would count for ever\n" +
			"alert \"ä\": a name has 1 to 32 of A-Z, a-z, 0-9, _ and -\n" +
			"alert \"b\": there is no fold \"foo\", expected one of sum, count, min, max, mean, last\nclear is 6, expected at most the threshold 5",
	} {
		if err := configured(t, block).Provision(caddy.Context{}); err == nil || err.Error() != want {
			t.Errorf("%s\n got %v\nwant %s", block, err, want)
		}
	}
	for _, block := range []string{
		"every 10ms", "every 1m", "window 1s", "window 7d", "window 1s\nlatest", "max_keys 1", "max_keys 1000",
		alerts(32, ""), alerts(10, "each"), alerts(10, "each") + alerts(22, ""), "max_keys 1000\n" + alerts(1, "each"), "max_keys 31\n" + alerts(32, "each"),
		"max_keys 1000\nwindow 1m\nlatest\n" + alerts(1, "each"), "max_keys 100\nwindow 1m\n" + alerts(10, "each"), "max_keys 1000\nwindow 1m\n" + alerts(3, ""),
		"alert a max above 5 {\nclear 5.0\n}", "alert a max below 5 {\nclear 5.0\n}", "alert a max above 5 {\ncooldown 1s\n}", "alert a max above 5 {\ncooldown 7d\n}",
		"alert a each max above 5 {\nto key\n}", "alert " + strings.Repeat("a", 32) + " max above 5", "alert max max above 5", "alert above max above 5",
		"alert a max above 5 {\nmessage " + strings.Repeat("m", 512) + "\n}", "alert a max above 5 {\nmessage " + strings.Repeat("{key}", 8) + "\n}",
		"alert a max above 5 {\nmessage \"{ {} }\"\n}", "alert a max above 999999999999999999999999999999999999999999999999999999999999",
	} {
		valid(t, block)
	}
}

func TestWrongJSONIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{"alerts":[{"name":"a","fold":"max"}]}`:                         `alert "a": expected above or below, one of them`,
		`{"alerts":[{"name":"a","fold":"max","above":"5","below":"6"}]}`: `alert "a": expected above or below, one of them`,
		`{"alerts":[{"fold":"max","above":5}]}`:                          `alert "": a name has 1 to 32 of A-Z, a-z, 0-9, _ and -`,
		`{"alerts":[{"name":"a","above":5}]}`:                            `alert "a": there is no fold "", expected one of sum, count, min, max, mean, last`,
		`{"alerts":[{"name":"a","fold":"max","above":5,"to":"all"}]}`:    `alert "a": to is "all", expected room or key`,
		`{"alerts":[{"name":"a","fold":"max","above":5,"cooldown":-1}]}`: `alert "a": cooldown is -1ns, expected 1s to 7d`,
		`{"max_keys":-1}`: `max_keys is -1, expected 1 to 1000`,
		`{"window":-1}`:   `window is -1ns, expected 1s to 7d`,
		`{"every":-1}`:    `every is -1ns, expected 10ms to 1m`,
	} {
		app := new(meter.App)
		if err := caddy.StrictUnmarshalJSON([]byte(text), app); err != nil {
			t.Errorf("%s: %v", text, err)
		} else if err := app.Provision(caddy.Context{}); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
	for text, want := range map[string]string{
		`{"alerts":[{"name":"a","fold":"max","above":"five"}]}`:        `"five": not a number`,
		`{"alerts":[{"name":"a","fold":"max","above":true}]}`:          `"true": not a number`,
		`{"alerts":[{"name":"a","fold":"max","above":5,"clear":""}]}`:  `"": not a number`,
		`{"alerts":[{"name":"a","fold":"max","above":5,"level":"4"}]}`: `unknown field "level"`,
		`{"alert":[]}`:     `unknown field "alert"`,
		`{"latest":"yes"}`: `cannot unmarshal string`,
	} {
		if err := caddy.StrictUnmarshalJSON([]byte(text), new(meter.App)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}
