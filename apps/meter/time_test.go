package meter_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/apps/appstest"
)

// Tests of this file begin at midnight, when a slice of any window begins, too.

func inTime(t *testing.T, block string, test func(t *testing.T, room *appstest.Room)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, appstest.NewRoom(t, valid(t, block))) })
}

const (
	nothing = "count 0 sum 0"
	five    = "count 1 sum 5 min 5 max 5 mean 5 last 5"
)

// A slice of this window takes a second.
func TestReadingsLeaveTheWindow(t *testing.T) {
	inTime(t, "window 1m\nalert high max above 4", func(t *testing.T, room *appstest.Room) {
		screen := room.Join()
		room.Post("5").Expect("5")
		screen.Expect("high: max is 5, above 4", five)
		time.Sleep(30 * time.Second)
		room.Post("3").Expect("3")
		screen.Expect("count 2 sum 8 min 3 max 5 mean 4 last 3")
		time.Sleep(29*time.Second + 999*time.Millisecond)
		screen.ExpectNothing()
		time.Sleep(2 * time.Millisecond)
		screen.Expect("high is over", "count 1 sum 3 min 3 max 3 mean 3 last 3")
		time.Sleep(30 * time.Second)
		screen.Expect(nothing)
		time.Sleep(time.Hour)
		screen.ExpectNothing()
		room.ExpectState(nothing)
	})
}

// With latest it is the keys that leave, and their alerts end.
func TestKeysLeaveTheWindow(t *testing.T) {
	inTime(t, "window 1m\nlatest\nmax_keys 2\nalert high each last above 4\nalert total sum above 8", func(t *testing.T, room *appstest.Room) {
		screen := room.Join(appstest.JSON)
		screen.Receive()
		room.Post(`{"key":"a","value":7}`).Expect("7")
		screen.ExpectJSON(`{"type":"event","alert":"high","raised":true,"key":"a"}`)
		screen.ExpectJSON(`{"type":"update","count":1,"keys":{"a":7}}`)
		time.Sleep(10 * time.Second)
		room.Post(`{"key":"b","value":3}`).Expect("3")
		screen.ExpectJSON(`{"type":"event","alert":"total","raised":true,"value":10,"key":"b"}`)
		screen.ExpectJSON(`{"type":"update","count":2,"sum":10,"keys":{"a":7,"b":3},"alerts":["high","total"]}`)
		room.Post(`{"key":"c","value":1}`).ExpectRefused("too many keys: this room takes 2")
		time.Sleep(50*time.Second + time.Millisecond)
		screen.ExpectJSON(`{"type":"event","alert":"high","raised":false,"gone":true,"threshold":4,"key":"a","message":"high is over for a"}`)
		screen.ExpectJSON(`{"type":"event","alert":"total","raised":false,"value":3,"message":"total is over"}`)
		screen.ExpectJSON(`{"type":"update","count":1,"sum":3,"last":3,"keys":{"b":3},"alerts":[]}`)
		room.Post(`{"key":"c","value":1}`).Expect("1")
		screen.ExpectJSON(`{"count":2,"sum":4,"keys":{"b":3,"c":1}}`)
	})
}

// An alert that would begin again too early begins when its cooldown is over, without
// any reading.
func TestCooldown(t *testing.T) {
	inTime(t, "alert high last above 4 {\ncooldown 1m\n}", func(t *testing.T, room *appstest.Room) {
		screen := room.Join()
		room.Post("5").Expect("5")
		screen.Expect("high: last is 5, above 4", five)
		room.Post("1").Expect("1")
		screen.Expect("high is over", "count 2 sum 6 min 1 max 5 mean 3 last 1")
		room.Post("6").Expect("6")
		screen.Expect("count 3 sum 12 min 1 max 6 mean 4 last 6")
		time.Sleep(59 * time.Second)
		screen.ExpectNothing()
		time.Sleep(2 * time.Second)
		screen.Expect("high: last is 6, above 4", "count 3 sum 12 min 1 max 6 mean 4 last 6")
		time.Sleep(time.Hour)
		screen.ExpectNothing()
	})
}

func TestEveryConflatesUpdatesOnly(t *testing.T) {
	inTime(t, "every 1s\nalert high last above 4", func(t *testing.T, room *appstest.Room) {
		screen := room.Join()
		for range 2 {
			for _, value := range []string{"1", "5", "2"} {
				room.Post(value).Expect(value)
			}
			time.Sleep(1100 * time.Millisecond) // the second time another 900 are left
		}
		screen.Expect("count 1 sum 1 min 1 max 1 mean 1 last 1",
			"high: last is 5, above 4", "high is over", "count 3 sum 8 min 1 max 5 mean 2.66666666667 last 2",
			"high: last is 5, above 4", "high is over", "count 6 sum 16 min 1 max 5 mean 2.66666666667 last 2")
		screen.ExpectNothing()
	})
}

// A restart is no event: what has left meanwhile leaves at the start, and what is left
// leaves when its time has come.
func TestWindowsOverRestarts(t *testing.T) {
	inTime(t, "window 1m\nalert high max above 4", func(t *testing.T, room *appstest.Room) {
		room.Post("5").Expect("5")
		room.RestartAfter(30 * time.Second)
		room.ExpectState(five)
		room.Post("3").Expect("3")
		room.RestartAfter(45 * time.Second)
		room.Join(appstest.JSON).ExpectJSON(`{"type":"state","count":1,"sum":3,"max":3,"last":3,"alerts":[]}`)
		time.Sleep(16 * time.Second)
		room.ExpectState(nothing)
		room.RestartAfter(24 * time.Hour)
		room.ExpectState(nothing)
	})
}

// A clock that is set back takes no reading away, and keeps none for more than twice its
// time in a room that is in use.
func TestWindowsOverAClockThatIsSetBack(t *testing.T) {
	inTime(t, "window 1m", func(t *testing.T, room *appstest.Room) {
		room.Join()
		room.Post("5").Expect("5")
		room.SetClock(-24 * time.Hour)
		room.Post("3").Expect("3")
		time.Sleep(115 * time.Second)
		room.ExpectState("count 2 sum 8 min 3 max 5 mean 4 last 3")
		time.Sleep(6 * time.Second)
		room.ExpectState(nothing)
		room.Post("5").Expect("5")
		room.RestartAfter(115 * time.Second)
		room.ExpectState(five)
		time.Sleep(6 * time.Second)
		room.ExpectState(nothing)
	})
}

// In a room that nobody uses they stay until the clock has caught up, which is all that a
// room knows that is not in memory.
func TestUnusedWindowsOverAClockThatIsSetBack(t *testing.T) {
	inTime(t, "window 1m", func(t *testing.T, room *appstest.Room) {
		room.Post("5").Expect("5")
		time.Sleep(time.Second)
		room.SetClock(-time.Hour)
		time.Sleep(time.Hour + 50*time.Second)
		room.ExpectState(five)
		time.Sleep(time.Minute)
		room.ExpectState(nothing)
	})
}

// When a clock leaps forward, readings leave as in that time, and they do not return with
// the clock. Those of the time ahead stay for at most twice their time.
func TestWindowsOverAClockThatLeaps(t *testing.T) {
	inTime(t, "window 1h\nalert high max above 4", func(t *testing.T, room *appstest.Room) {
		screen := room.Join()
		room.Post("5").Expect("5")
		screen.Expect("high: max is 5, above 4", five)
		room.SetClock(24 * time.Hour)
		time.Sleep(61 * time.Second)
		screen.Expect("high is over", nothing)
		room.Post("3").Expect("3")
		screen.Expect("count 1 sum 3 min 3 max 3 mean 3 last 3")
		room.SetClock(-24 * time.Hour)
		room.Post("1").Expect("1")
		screen.Expect("count 2 sum 4 min 1 max 3 mean 2 last 1")
		time.Sleep(118 * time.Minute)
		screen.ExpectNothing()
		time.Sleep(3 * time.Minute)
		screen.Expect(nothing)
	})
}

// A leap that a restart does not see, since it happens while Caddy does not run.
func TestWindowsOverALeapBetweenTwoRuns(t *testing.T) {
	inTime(t, "window 1h", func(t *testing.T, room *appstest.Room) {
		room.Post("5").Expect("5")
		room.SetClock(24 * time.Hour)
		room.Restart()
		room.ExpectState(nothing)
		room.SetClock(-24 * time.Hour)
		room.Restart()
		room.ExpectState(nothing)
		room.Post("3").Expect("3")
		room.ExpectState("count 1 sum 3 min 3 max 3 mean 3 last 3")
	})
}
