package replica

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
)

// bell is an app whose operations are durations: after the last of them it rings.
type bell struct{ early time.Duration } // an option: how much earlier

func (bell) Receive(apps.Conn, apps.Message) error { return nil }
func (b bell) NewState() apps.State                { return &ringing{bell: b} }

type ringing struct {
	bell
	rings int
	last  time.Time // when it rang
	next  time.Time
}

func (s *ringing) Wake() time.Time {
	if s.next.IsZero() {
		return s.next
	}
	return s.next.Add(-s.early)
}

func (s *ringing) Apply(op apps.Op) (apps.Outcome, error) {
	if op.Wake {
		if op.Data != nil || op.At.Before(s.Wake()) {
			return apps.Outcome{}, fmt.Errorf("woken with %q at %v", op.Data, op.At)
		}
		s.rings, s.last, s.next = s.rings+1, op.At, time.Time{}
		return apps.Outcome{Update: s.View()}, nil
	}
	d, err := time.ParseDuration(string(op.Data))
	if err != nil {
		return apps.Outcome{}, err
	}
	s.next = op.At.Add(d)
	return apps.Outcome{Reply: s.View()}, nil
}

func (s *ringing) View() apps.Body { return apps.Body{Text: fmt.Append(nil, s.rings)} }

func (s *ringing) MarshalBinary() ([]byte, error) {
	var next string
	if !s.next.IsZero() {
		next = s.next.Format(time.RFC3339Nano)
	}
	return fmt.Appendf(nil, "%d;%s", s.rings, next), nil
}

func (s *ringing) UnmarshalBinary(p []byte) (err error) {
	rings, next, _ := strings.Cut(string(p), ";")
	if _, err = fmt.Sscan(rings, &s.rings); err == nil && next != "" {
		s.next, err = time.Parse(time.RFC3339Nano, next)
	}
	return err
}

// belfry is a replica of a bell, on a machine whose clock is set.
type belfry struct {
	*room
	app    bell
	offset time.Duration // of the clock
}

func newBelfry(t *testing.T) *belfry {
	b := &belfry{room: newRoom(t)}
	b.again()
	return b
}

func (b *belfry) again() {
	b.Helper()
	store := &Store{Engine: b.engine, Limit: b.limit, Now: func() time.Time { return time.Now().Add(b.offset) }}
	b.Replica = New(key, store, func(err error) { b.faults = append(b.faults, err) })
	if err := b.Load(b.Context(), b.app, "route"); err != nil {
		b.Fatal(err)
	}
}

// wakes wakes the room and compares what came of it.
func (b *belfry) wakes(want string) {
	b.Helper()
	res := b.Commit(b.Context(), []Operation{{Wake: true}})[0]
	got := fmt.Sprint(res.Err)
	if res.Err == nil {
		got = fmt.Sprintf("%s@%d", res.Outcome.Update.Text, res.Version)
	}
	if got != want {
		b.Errorf("waking gave %s, want %s", got, want)
	}
}

const notDue = "the room is not to be woken now"

// waits compares how long it takes until the room is to be woken, and with what the
// engine knows of it.
func (b *belfry) waits(want time.Duration, pending bool) {
	b.Helper()
	if wait, ok := b.Wake(); ok != pending || (wait-want).Abs() > time.Microsecond {
		b.Errorf("it is to be woken in %v (%v), want %v (%v)", wait, ok, want, pending)
	}
}

func (b *belfry) indexed(want time.Duration, pending bool) {
	b.Helper()
	wakes, err := b.engine.Due(b.Context(), time.Unix(1<<40, 0), engines.Wake{}, 10)
	if err != nil || (len(wakes) == 1) != pending {
		b.Fatalf("the engine knows of %v, %v", wakes, err)
	}
	if !pending {
		return
	}
	if wait := wakes[0].At.Sub(time.Now().Add(b.offset)); (wait - want).Abs() > time.Millisecond {
		b.Errorf("the engine has it woken in %v, want %v", wait, want)
	}
}

func inBelfry(t *testing.T, test func(t *testing.T, b *belfry)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newBelfry(t)) })
}

func TestWakeAppliesWhenItsTimeHasCome(t *testing.T) {
	inBelfry(t, func(_ *testing.T, b *belfry) {
		b.waits(0, false)
		b.wakes(notDue)
		b.commit([]string{"1m"}, "0@1")
		b.waits(time.Minute, true)
		b.indexed(time.Minute, true)
		time.Sleep(time.Minute - 1)
		b.wakes(notDue)
		b.shows("0@1")
		time.Sleep(time.Nanosecond)
		b.waits(0, true)
		b.wakes("1@2")
		b.wakes(notDue)
		b.waits(0, false)
		b.indexed(0, false)
		b.again()
		b.shows("1@2")
	})
}

// What is stored tells when a room is to be woken; a wake that meets another state than
// it was meant for does nothing.
func TestWakeOfAnotherProcess(t *testing.T) {
	inBelfry(t, func(_ *testing.T, b *belfry) {
		b.commit([]string{"1m"}, "0@1")
		rival := &belfry{room: b.rival()}
		rival.Replica = New(key, &Store{Engine: &b.engine.Engine, Limit: rival.limit}, func(err error) { b.Error(err) })
		if err := rival.Load(b.Context(), rival.app, "route"); err != nil {
			b.Fatal(err)
		}
		time.Sleep(time.Minute)
		rival.wakes("1@2")
		b.waits(0, true)
		b.wakes(notDue)
		b.shows("1@2")
		b.waits(0, false)
	})
}

// An engine that does not store the wake leaves it pending.
func TestWakeThatIsNotStored(t *testing.T) {
	inBelfry(t, func(_ *testing.T, b *belfry) {
		b.commit([]string{"1s"}, "0@1")
		time.Sleep(time.Hour)
		b.engine.swaps = append(b.engine.swaps, refuse)
		b.wakes(ErrUnavailable.Error())
		b.waits(0, true)
		b.indexed(time.Second-time.Hour, true)
		b.engine.swaps = append(b.engine.swaps, hide)
		b.wakes("1@2")
		b.waits(0, false)
	})
}

// Options that change when the state is to be woken are stored by Remind, which is no use
// of the room.
func TestRemind(t *testing.T) {
	inBelfry(t, func(t *testing.T, b *belfry) {
		if _, err := b.Remind(t.Context(), time.Time{}); err != nil || b.IsStored() {
			t.Fatalf("a room that is not stored: %v", err)
		}
		b.commit([]string{"3h"}, "0@1")
		used := b.stored.used
		time.Sleep(time.Hour)
		b.Follow(bell{early: time.Hour}, "route")
		b.waits(time.Hour, true)
		b.indexed(2*time.Hour, true)
		for range 2 {
			b.engine.calls = nil
			if _, err := b.Remind(t.Context(), time.Time{}); err != nil || b.stored.used != used {
				t.Errorf("%v; used at %d, want %d", err, b.stored.used, used)
			}
		}
		if len(b.engine.calls) > 0 {
			t.Error("what the engine knows is stored again")
		}
		b.indexed(time.Hour, true)
		b.shows("0@1")
		time.Sleep(time.Hour)
		b.wakes("1@2")
		if b.stored.used != used {
			t.Error("a wake counts as a use")
		}
	})
}

// A replica that has loaded the room with other options does not know what the engine
// does.
func TestRemindAfterARestart(t *testing.T) {
	inBelfry(t, func(t *testing.T, b *belfry) {
		b.commit([]string{"3h"}, "0@1")
		stored := time.Now().Add(3 * time.Hour)
		b.app.early = time.Hour
		b.again()
		b.indexed(3*time.Hour, true)
		if _, err := b.Remind(t.Context(), stored); err != nil {
			t.Error(err)
		}
		b.indexed(2*time.Hour, true)
		if _, err := b.Remind(t.Context(), stored); err != nil { // what is older than this replica's own
			t.Error(err)
		}
		b.indexed(2*time.Hour, true)
	})
}

// The time of a room never runs back: where the machine's clock does, it goes on at half
// pace, also while the room is only stored.
func TestClockIsSetBack(t *testing.T) {
	inBelfry(t, func(t *testing.T, b *belfry) {
		b.offset = 24 * time.Hour // it has leapt forward
		b.commit([]string{"1h"}, "0@1")
		at := b.stored.at
		b.offset = 0 // and come back
		b.waits(2*time.Hour, true)
		time.Sleep(time.Hour)
		b.commit([]string{"1h"}, "0@2")
		if passed := b.stored.at.Sub(at); passed != 30*time.Minute {
			t.Errorf("the room's time went on by %v in an hour", passed)
		}
		b.indexed(2*time.Hour, true)
		b.again()
		b.waits(2*time.Hour, true)
		time.Sleep(time.Hour)
		b.again()
		b.waits(time.Hour, true)
		time.Sleep(time.Hour - 1000)
		b.wakes(notDue)
		time.Sleep(1000)
		b.wakes("1@3")
		// It has caught up after two days.
		time.Sleep(48 * time.Hour)
		b.commit([]string{"1h"}, "1@4")
		if b.stored.lag != 0 || !b.stored.at.Equal(time.Now()) {
			t.Errorf("%v behind %v at %v", b.stored.lag, b.stored.at, time.Now())
		}
		b.waits(time.Hour, true)
		b.indexed(time.Hour, true)
	})
}

// A clock that leaps forward makes due what is due by it.
func TestClockLeaps(t *testing.T) {
	inBelfry(t, func(t *testing.T, b *belfry) {
		b.commit([]string{"1h"}, "0@1")
		b.offset = 24 * time.Hour
		b.waits(0, true)
		b.wakes("1@2")
		b.offset = 0
		before := b.stored.at
		b.commit([]string{"1h"}, "1@3")
		if !b.stored.at.Equal(before) || b.stored.lag != 24*time.Hour {
			t.Errorf("%v is %v ahead, after %v", b.stored.at, b.stored.lag, before)
		}
		b.waits(2*time.Hour, true)
		b.offset = -240 * time.Hour
		b.waits(2*time.Hour, true)
		b.again() // nothing tells how long it has been
		b.waits(2*time.Hour, true)
	})
}

// A wake in thousands of years is not one that has come.
func TestWakeInTheFarFuture(t *testing.T) {
	inBelfry(t, func(t *testing.T, b *belfry) {
		b.commit([]string{"1ns"}, "0@1")
		b.state.(*ringing).next = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
		b.commit([]string{"x", "2562047h"}, `!time: invalid duration "x"`, "0@2")
		if wait, ok := b.Wake(); !ok || wait < 2562046*time.Hour {
			t.Errorf("%v, %v", wait, ok)
		}
		if wait := (roomClock{}).until(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), time.Now()); wait < 1<<61 {
			t.Errorf("it is to be woken in %v", wait)
		}
	})
}
