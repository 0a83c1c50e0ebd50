package meter_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/apps/appstest"
)

// reloaded is a room with some readings, of a at 9, of b at 6 and of a at 5, whose options
// then change.
func reloaded(t *testing.T, before, after string, test func(t *testing.T, room *appstest.Room)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		room := appstest.NewRoom(t, valid(t, before))
		for _, message := range []string{`{"key":"a","value":9}`, `{"key":"b","value":6}`, `{"key":"a","value":5}`} {
			room.Post(message)
			time.Sleep(10 * time.Second)
		}
		room.Reload(valid(t, after))
		test(t, room)
	})
}

func TestWindowsOverReloads(t *testing.T) {
	const all = "count 3 sum 20 min 5 max 9 mean 6.66666666667 last 5"
	for name, test := range map[string]struct{ before, after, want, later string }{
		"a longer one has what the old one had":            {"window 1m", "window 1h", all, all},
		"a shorter one keeps what is in both":              {"window 1m", "window 30s", "count 2 sum 11 min 5 max 6 mean 5.5 last 5", nothing},
		"none keeps what was in it":                        {"window 1m", "", all, all},
		"the first one takes all readings for new":         {"", "window 1m", "count 2 sum 11 min 5 max 6 mean 5.5 last 5", nothing},
		"latest takes the newest of each key":              {"window 1m", "window 1m\nlatest", "count 2 sum 11 min 5 max 6 mean 5.5 last 5", nothing},
		"without latest the newest of each key go on":      {"window 1m\nlatest", "window 1m", "count 2 sum 11 min 5 max 6 mean 5.5 last 5", nothing},
		"fields and times of updates change nothing of it": {"", "value power\nevery 1s", all, all},
	} {
		t.Run(name, func(t *testing.T) {
			reloaded(t, test.before, test.after, func(t *testing.T, room *appstest.Room) {
				room.Join(appstest.JSON).Receive()
				time.Sleep(time.Second)
				room.ExpectState(test.want)
				time.Sleep(61 * time.Second)
				room.ExpectState(test.later)
			})
		})
	}
}

// Alerts are known by their names, and judged by the new thresholds with the next reading.
func TestAlertsOverReloads(t *testing.T) {
	const before = "alert high each max above 8\nalert low last below 6\nalert gone max above 1"
	const after = "alert low last below 2\nalert high each max above 7 {\nmessage \"{key} {threshold}\"\n}\nalert new each last above 5"
	reloaded(t, before, after, func(t *testing.T, room *appstest.Room) {
		c := room.Join(appstest.JSON)
		c.ExpectJSON(`{"type":"state","alerts":["low","high"]}`)
		room.Post(`{"key":"b","value":7.5}`).Expect("7.5")
		c.ExpectJSON(`{"type":"event","alert":"low","raised":false,"threshold":2}`)
		c.ExpectJSON(`{"type":"event","alert":"new","raised":true,"value":6,"key":"b"}`) // as it was
		c.ExpectJSON(`{"type":"event","alert":"high","raised":true,"value":7.5,"key":"b","message":"b 7"}`)
		c.ExpectJSON(`{"type":"update","count":4,"alerts":["high","new"]}`)
		room.Reload(valid(t, ""))
		room.Join(appstest.JSON).ExpectJSON(`{"alerts":[]}`)
	})
}

// With fewer places the keys that are there stay, and no others are taken.
func TestMaxKeysOverReloads(t *testing.T) {
	reloaded(t, "", "max_keys 1", func(t *testing.T, room *appstest.Room) {
		room.Post(`{"key":"b","value":1}`).Expect("1")
		room.Post(`{"key":"c","value":1}`).ExpectRefused("too many keys: this room takes 1")
		room.Join(appstest.JSON).ExpectJSON(`{"count":4,"keys":{"a":5,"b":1}}`)
	})
}

// A reading without a key stays when keys are needed, and an alert for its connections is
// told to nobody, rather than to everybody.
func TestReadingsWithoutKeyOverReloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := appstest.NewRoom(t, valid(t, "window 1m"))
		room.Post("9").Expect("9")
		room.Reload(valid(t, "window 1m\nalert high each max above 8 {\nto key\n}"))
		c := room.Join(appstest.JSON)
		c.ExpectJSON(`{"type":"state","alerts":[]}`)
		room.Post(`{"key":"a","value":1}`).Expect("1")
		c.ExpectJSON(`{"type":"update","keys":{"a":1},"alerts":["high"]}`)
		time.Sleep(time.Minute)
		c.ExpectJSON(`{"type":"update","count":0,"alerts":[]}`)
		c.ExpectNothing()
	})
}

func TestDamagedBytesAreRefused(t *testing.T) {
	app := valid(t, "window 1m\nalert a each max above 5")
	state := app.NewState()
	for _, op := range []string{"7 a", "3 b"} {
		if _, err := state.Apply(apps.Op{Data: []byte(op), At: time.Unix(1e9, 0)}); err != nil {
			t.Fatal(err)
		}
	}
	p, err := state.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	whole, view := string(p), string(state.View().JSON)
	for i := range len(whole) {
		damaged := []byte(whole)
		damaged[i] ^= 1
		if err := state.UnmarshalBinary(damaged); err == nil {
			t.Errorf("byte %d may be anything", i)
		}
		if err := state.UnmarshalBinary([]byte(whole[:i])); err == nil {
			t.Errorf("%d bytes are enough", i)
		}
	}
	if err := state.UnmarshalBinary([]byte(whole + "x")); err == nil {
		t.Error("a byte more was taken")
	}
	if got := string(state.View().JSON); got != view {
		t.Errorf("it became %s", got)
	}
	again := app.NewState()
	if err := again.UnmarshalBinary([]byte(whole)); err != nil || string(again.View().JSON) != view {
		t.Errorf("%s, %v, want %s", again.View().JSON, err, view)
	}
}
