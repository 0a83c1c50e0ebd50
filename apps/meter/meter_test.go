package meter_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddyws/caddy-websocket/apps/appstest"
	"github.com/caddyws/caddy-websocket/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestReadingsAreFolded(t *testing.T) {
	room := appstest.NewRoom(t, valid(t, ""))
	sensor, screen := room.Join(), room.Join()
	sensor.Send(`{"key":"press-4","value":812.5}`)
	sensor.Expect("812.5")
	screen.Expect("count 1 sum 812.5 min 812.5 max 812.5 mean 812.5 last 812.5")
	sensor.Send(`{"key":"press-5","value":"3.00"}`)
	sensor.Expect("3")
	screen.Expect("count 2 sum 815.5 min 3 max 812.5 mean 407.75 last 3")
	screen.Send("950")
	screen.Expect("950")
	sensor.Expect("count 3 sum 1765.5 min 3 max 950 mean 588.5 last 950")
	room.ExpectState("count 3 sum 1765.5 min 3 max 950 mean 588.5 last 950")
	room.Post(`{"value":-0.5}`).Expect("-0.5")
}

func TestMessagesInJSON(t *testing.T) {
	room := appstest.NewRoom(t, valid(t, "alert warning max above 900 {\nclear 850\n}\nalert low each last below 5"))
	const thresholds = `,"thresholds":[{"alert":"warning","fold":"max","above":900,"clear":850},{"alert":"low","each":true,"fold":"last","below":5,"clear":5}]}`
	sensor, screen := room.Join(appstest.JSON), room.Join(appstest.JSON)
	state := screen.Receive()
	sensor.Expect(state)
	head, ok := strings.CutSuffix(strings.TrimPrefix(state, `{"type":"state",`), `,"version":0,"count":0,"sum":0,"min":null,"max":null,"mean":null,"last":null,"keys":{},"alerts":[]`+thresholds)
	if !ok {
		t.Fatalf("read %s", state)
	}
	sensor.Send(`{"key":"press-4","value":812.50}`)
	sensor.Expect(`{"type":"reply",` + head + `,"version":1,"count":1,"key":"press-4","last":812.5}`)
	screen.Expect(`{"type":"update",` + head + `,"version":1,"count":1,"sum":812.5,"min":812.5,"max":812.5,"mean":812.5,"last":812.5,"keys":{"press-4":812.5},"alerts":[]` + thresholds)
	sensor.Send(`{"key":"9","value":1e3}`)
	sensor.Expect(`{"type":"reply",` + head + `,"version":2,"count":2,"key":"9","last":1000}`)
	sensor.ExpectJSON(`{"type":"event","alert":"warning","raised":true,"fold":"max","value":1000,"threshold":900,"key":"9","message":"warning: max is 1000, above 900"}`)
	screen.ExpectJSON(`{"type":"event","alert":"warning","raised":true}`)
	screen.Expect(`{"type":"update",` + head + `,"version":2,"count":2,"sum":1812.5,"min":812.5,"max":1000,"mean":906.25,"last":1000,"keys":{"9":1000,"press-4":812.5},"alerts":["warning"]` + thresholds)
	sensor.Send(`{"key":"a","value":"4"}`)
	sensor.ExpectJSON(`{"type":"reply","count":3,"key":"a","last":4}`)
	sensor.ExpectJSON(`{"type":"event","alert":"low","raised":true,"fold":"last","value":4,"threshold":5,"key":"a","message":"low: last of a is 4, below 5"}`)
	screen.ExpectJSON(`{"type":"event"}`)
	screen.ExpectJSON(`{"type":"update","alerts":["warning","low"]}`)
	sensor.Send("x")
	sensor.ExpectJSON(`{"type":"error","error":"not a number","code":"refused"}`)
}

// What is no reading is told to its sender alone and changes nothing.
func TestErrorsGoToTheSenderOnly(t *testing.T) {
	room := appstest.NewRoom(t, valid(t, "max_keys 2"))
	sensor, screen := room.Join(), room.Join()
	for message, told := range map[string]string{
		"":                              "not a number",
		"NaN":                           "not a number",
		"[5]":                           "not a number",
		"1" + strings.Repeat("0", 30):   "more than 30 digits before the decimal point",
		`{"power":230}`:                 `no field "value"`,
		`{"value":"high"}`:              `field "value": not a number`,
		`{"value":1,"value":2}`:         `field "value" is there twice`,
		`{"value":1,"key":"press 4"}`:   `field "key": a key has 1 to 64 characters of A-Z, a-z, 0-9 and . _ : -`,
		`{"value":1,"key":""}`:          `field "key": a key has 1 to 64 characters of A-Z, a-z, 0-9 and . _ : -`,
		`{"value":1`:                    "JSON that ends too early",
		strings.Repeat(`{"x":`, 10_001): "JSON nested more than 10000 deep",
	} {
		sensor.Send(message)
		sensor.Expect("error: " + told)
		room.Post(message).ExpectRefused(told)
	}
	sensor.SendBinary([]byte("5"))
	sensor.Expect("error: binary message, send a reading as text")
	for _, key := range []string{"a", "b"} {
		room.Post(`{"value":1,"key":"` + key + `"}`).Expect("1")
		screen.Receive()
	}
	room.Post(`{"value":1,"key":"c"}`).ExpectRefused("too many keys: this room takes 2")
	room.Post("1").ExpectRefused("too many keys: this room takes 2")
	room.Post(`{"value":2,"key":"b"}`).Expect("2")
	screen.Expect("count 3 sum 4 min 1 max 2 mean 1.33333333333 last 2")
	screen.ExpectNothing()
}

func TestFieldsHaveOtherNames(t *testing.T) {
	room := appstest.NewRoom(t, valid(t, "value power.watts\nkey id"))
	room.Post(`{"id":4,"power":{"watts":"230"},"value":7,"key":"x"}`).Expect("230")
	room.Post(`{"value":7}`).ExpectRefused(`no field "power.watts"`)
	room.Post("7").Expect("7")
	c := room.Join(appstest.JSON)
	c.ExpectJSON(`{"count":2,"sum":237,"keys":{"4":230}}`)
}

// A key that is not told is no key to be shown, but it has its place.
func TestReadingsWithoutKey(t *testing.T) {
	room := appstest.NewRoom(t, valid(t, "max_keys 1"))
	room.Post("5").Expect("5")
	room.Post(`{"value":6,"key":null}`).Expect("6")
	room.Join(appstest.JSON).ExpectJSON(`{"count":2,"sum":11,"keys":{}}`)
	room.Post(`{"value":7,"key":"a"}`).ExpectRefused("too many keys: this room takes 1")
}

func TestReadingsThatNeedAKey(t *testing.T) {
	for _, block := range []string{"latest\nwindow 1m", "alert a each max above 5"} {
		room := appstest.NewRoom(t, valid(t, block+"\nkey id"))
		c := room.Join(appstest.JSON)
		c.Receive()
		for _, message := range []string{"5", `{"value":5}`, `{"value":5,"id":null}`} {
			room.Post(message).ExpectRefused(`no field "id": this room wants to know the source of a reading`)
		}
		c.ExpectNothing()
		room.Post(`{"value":5,"id":"a"}`).Expect("5")
	}
}

func TestGreetShowsTheFoldsOnJoining(t *testing.T) {
	room := appstest.NewRoom(t, valid(t, "greet"))
	room.Join().Expect("count 0 sum 0")
	room.Post("5").Expect("5")
	room.Join().Expect("count 1 sum 5 min 5 max 5 mean 5 last 5")
	appstest.NewRoom(t, valid(t, "")).Join().ExpectNothing()
}

func TestFoldsAreExact(t *testing.T) {
	room := appstest.NewRoom(t, valid(t, "alert a sum above 9007199254740993\nalert b mean above 0.3333333333333"))
	screen := room.Join()
	room.Post("9007199254740993").Expect("9007199254740993")
	screen.Expect("b: mean is 9007199254740000, above 0.3333333333333")
	screen.Expect("count 1 sum 9007199254740993 min 9007199254740993 max 9007199254740993 mean 9007199254740000 last 9007199254740993")
	room.Post("1e-30").Expect("0.000000000000000000000000000001")
	screen.Expect("a: sum is 9007199254740993.000000000000000000000000000001, above 9007199254740993")
	screen.Receive()
	room.Post("-9007199254740993").Expect("-9007199254740993")
	screen.Expect("a is over", "b is over", "count 3 sum 0.000000000000000000000000000001 min -9007199254740993 max 9007199254740993 mean 0 last -9007199254740993")
}

func TestAlertsBeginAndEnd(t *testing.T) {
	room := appstest.NewRoom(t, valid(t, `
		alert hot each last above 90 {
			clear 80
			message "{alert}! {key}: {fold} {value} > {threshold} {"
		}
		alert few count below 3`))
	a, b := room.Join(), room.Join()
	told := func(texts ...string) {
		t.Helper()
		b.Expect(texts...)
		b.Receive() // the update
	}
	for _, step := range []struct {
		key, value string
		told       []string
	}{
		{"x", "90", []string{"few: count is 1, below 3"}},
		{"x", "90.5", []string{"hot! x: last 90.5 > 90 {"}},
		{"y", "100", []string{"few is over", "hot! y: last 100 > 90 {"}},
		{"x", "85", nil},
		{"x", "95", nil},
		{"x", "80", []string{"hot is over for x"}},
		{"y", "100", nil},
		{"x", "91", []string{"hot! x: last 91 > 90 {"}},
	} {
		a.Send(fmt.Sprintf(`{"key":%q,"value":%s}`, step.key, step.value))
		a.Expect(append([]string{step.value}, step.told...)...)
		told(step.told...)
	}
	room.Join(appstest.JSON).ExpectJSON(`{"alerts":["hot"]}`)
}

// What people write into a message is JSON all the same.
func TestMessagesOfAlertsAreQuoted(t *testing.T) {
	room := appstest.NewRoom(t, valid(t, "alert a max above 5 {\nmessage \"say \\\"{value}\\\" \\\\ <ä>\"\n}"))
	text, object := room.Join(), room.Join(appstest.JSON)
	object.Receive()
	room.Post("6").Expect("6")
	text.Expect(`say "6" \\ <ä>`)
	object.ExpectJSON(`{"message":"say \"6\" \\\\ <ä>"}`)
}

// Alerts go on after a restart: they do not begin again.
func TestRestart(t *testing.T) {
	room := appstest.NewRoom(t, valid(t, "alert a max above 5\nalert b each last above 5"))
	room.Post(`{"key":"x","value":6}`).Expect("6")
	room.Restart()
	c := room.Join(appstest.JSON)
	c.ExpectJSON(`{"version":1,"count":1,"sum":6,"min":6,"max":6,"mean":6,"last":6,"keys":{"x":6},"alerts":["a","b"]}`)
	room.Post(`{"key":"x","value":7}`).Expect("7")
	c.ExpectJSON(`{"type":"update","count":2,"alerts":["a","b"]}`)
	room.Post(`{"key":"x","value":1}`).Expect("1")
	c.ExpectJSON(`{"type":"event","alert":"b","raised":false,"fold":"last","value":1,"threshold":5,"key":"x","message":"b is over for x"}`)
}
