package meter_test

import (
	"slices"
	"strings"
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

// Alerts are known by their names, and judged by the new options with the reload if somebody
// is in the room; what ends since it is not there any more ends first.
func TestAlertsOverReloads(t *testing.T) {
	const before = "alert high each max above 8\nalert low last below 6\nalert gone max above 1\nalert idle max above 100"
	const after = "alert low last below 2\nalert high each max above 7 {\nmessage \"{key} {threshold}\"\n}\nalert new each last above 5"
	synctest.Test(t, func(t *testing.T) {
		room := appstest.NewRoom(t, valid(t, before))
		for _, message := range []string{`{"key":"a","value":9}`, `{"key":"b","value":6}`, `{"key":"a","value":5}`} {
			room.Post(message)
		}
		c, plain := room.Join(appstest.JSON), room.Join()
		c.ExpectJSON(`{"type":"state","version":3,"alerts":["high","low","gone"]}`)
		room.Reload(valid(t, after))
		epoch, _, _ := strings.Cut(c.Seen(), "-")
		c.Expect(`{"type":"event","event":"alert","epoch":"` + epoch + `","version":4,"number":1,"alert":"gone","raised":false,"removed":true,"message":"gone is over: the configuration has changed"}`)
		c.ExpectEvent("alert", `{"alert":"low","raised":false,"threshold":2,"number":2}`)
		c.ExpectEvent("alert", `{"alert":"new","raised":true,"value":6,"key":"b","number":3}`)
		c.ExpectJSON(`{"type":"update","version":4,"count":3,"alerts":["high","new"]}`)
		plain.Expect("gone is over: the configuration has changed", "low is over", "new: last of b is 6, above 5", "count 3 sum 20 min 5 max 9 mean 6.66666666667 last 5")
		room.Reload(valid(t, after)) // nothing is told twice
		c.ExpectNothing()
		room.Post(`{"key":"b","value":7.5}`).Expect("7.5")
		c.ExpectEvent("alert", `{"alert":"high","raised":true,"value":7.5,"key":"b","message":"b 7"}`)
		c.ExpectJSON(`{"type":"update","count":4,"alerts":["high","new"]}`)
		room.Reload(valid(t, "alert high max above 5")) // it is another one for all keys together
		c.ExpectEvent("alert", `{"alert":"high","raised":false,"removed":true,"key":"a","message":"high is over for a: the configuration has changed"}`)
		c.ExpectEvent("alert", `{"alert":"high","raised":false,"removed":true,"key":"b"}`)
		c.ExpectEvent("alert", `{"alert":"new","raised":false,"removed":true,"key":"b"}`)
		c.ExpectEvent("alert", `{"alert":"high","raised":true,"fold":"max","value":9}`)
		c.ExpectJSON(`{"type":"update","version":6,"alerts":["high"]}`)
		room.Reload(valid(t, ""))
		c.ExpectEvent("alert", `{"alert":"high","raised":false,"removed":true}`)
		c.ExpectJSON(`{"type":"update","version":7,"alerts":[]}`)
		c.ExpectNothing()
	})
}

// In a room that is not in memory, and is never to be woken, alerts are judged when somebody
// comes, who sees what has come of it.
func TestAlertsOverReloadsOfAnEmptyRoom(t *testing.T) {
	reloaded(t, "alert gone max above 1", "alert new last above 4", func(t *testing.T, room *appstest.Room) {
		seen := room.Join(appstest.JSON)
		seen.ExpectJSON(`{"type":"state","version":4,"alerts":["new"]}`)
		room.Restart()
		epoch, _, _ := strings.Cut(seen.Seen(), "-")
		back := room.Join(appstest.JSON, appstest.After(epoch+"-3"))
		back.ExpectEvent("alert", `{"alert":"gone","raised":false,"removed":true,"version":4,"number":1}`)
		back.ExpectEvent("alert", `{"alert":"new","raised":true,"version":4,"number":2}`)
		back.ExpectJSON(`{"type":"state","version":4}`)
		room.ExpectEvent("alert", `{"alert":"gone","raised":true}`)
		room.ExpectEvent("alert", `{"alert":"gone","raised":false,"removed":true}`)
		room.ExpectEvent("alert", `{"alert":"new","raised":true}`)
	})
}

// An empty room that is to be woken some time, as with a window, needs no visitor for that.
func TestAlertsOverReloadsOfAnEmptyRoomWithAWindow(t *testing.T) {
	reloaded(t, "window 1h\nalert gone max above 1", "window 1h\nalert new last above 4", func(t *testing.T, room *appstest.Room) {
		room.ExpectEvent("alert", `{"alert":"gone","raised":true}`)
		time.Sleep(3 * time.Minute)
		room.ExpectEvent("alert", `{"alert":"gone","raised":false,"removed":true}`)
		room.ExpectEvent("alert", `{"alert":"new","raised":true}`)
	})
}

// The end of an order to a machine is told to that machine, also if there are no orders any
// more.
func TestOrdersThatAreRemovedEndForTheMachineConcerned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := appstest.NewRoom(t, valid(t, "alert stop each last above 90 {\nto key\nmessage stop\n}"))
		press, other := room.Join(appstest.JSON), room.Join(appstest.JSON, appstest.Claim("press-5"))
		press.Receive()
		other.Receive()
		press.Send(`{"key":"press-4","value":95}`)
		press.ExpectJSON(`{"type":"reply"}`)
		press.ExpectEvent("alert", `{"alert":"stop","raised":true}`)
		other.ExpectJSON(`{"type":"update"}`)
		room.Reload(valid(t, ""))
		press.ExpectEvent("alert", `{"alert":"stop","raised":false,"removed":true,"key":"press-4"}`)
		press.ExpectJSON(`{"type":"update"}`)
		other.ExpectJSON(`{"type":"update"}`)
		other.ExpectNothing()
	})
}

// Until the end of an alert is stored, it is told by whoever decodes the stored bytes; and an
// alert that is back by then has not ended.
func TestRemovedAlertsEndOnceThatIsStored(t *testing.T) {
	decode := func(options string, p []byte) apps.State {
		state := valid(t, options).NewState()
		if err := state.UnmarshalBinary(p); err != nil {
			t.Fatal(err)
		}
		return state
	}
	encode := func(state apps.State) []byte {
		p, err := state.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		return slices.Clone(p)
	}
	wake := func(state apps.State) []apps.Event {
		at := state.(apps.Waker).Wake()
		if at.IsZero() {
			return nil
		}
		out, err := state.Apply(apps.Op{At: at, Wake: true})
		if err != nil {
			t.Fatal(err)
		}
		return out.Events
	}
	first := valid(t, "alert gone max above 1").NewState()
	if _, err := first.Apply(apps.Op{Data: []byte("5"), At: time.Unix(1e9, 0)}); err != nil {
		t.Fatal(err)
	}
	unsettled := encode(decode("alert other max above 9", encode(first)))
	if events := wake(decode("alert gone max above 1", unsettled)); len(events) > 0 {
		t.Errorf("told of an alert that is back: %s", events[0].Body.JSON)
	}
	state := decode("", unsettled)
	if events := wake(state); len(events) != 1 || !strings.Contains(string(events[0].Body.JSON), `"removed":true`) {
		t.Fatalf("told %d events, want the end of the alert", len(events))
	}
	if events := wake(decode("", encode(state))); len(events) > 0 {
		t.Errorf("told again: %s", events[0].Body.JSON)
	}
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
		c.ExpectJSON(`{"type":"state","alerts":["high"]}`)
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
