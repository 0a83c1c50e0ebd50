package room_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
	"github.com/caddyws/caddy-websocket/socket"
)

// sleeperApp has states that count their operations and are woken some time after the last
// one.
type sleeperApp struct {
	mu    sync.Mutex
	after time.Duration // how long a state sleeps
	fails func() error  // what a wake does; nil: it is counted
	tries []time.Time   // of wakes
}

func (*sleeperApp) Inline() {}

func (*sleeperApp) Receive(c apps.Conn, m apps.Message) error {
	c.Room().Apply(c, m.Data)
	return nil
}

func (a *sleeperApp) NewState() apps.State { return &sleeper{app: a} }

// set changes what becomes of wakes from now on.
func (a *sleeperApp) set(after time.Duration, fails func() error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.after, a.fails, a.tries = after, fails, nil
}

// pauses returns the times between two tries.
func (a *sleeperApp) pauses() (all []time.Duration) {
	synctest.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := 1; i < len(a.tries); i++ {
		all = append(all, a.tries[i].Sub(a.tries[i-1]))
	}
	return all
}

type sleeper struct {
	app  *sleeperApp
	N    int
	Last time.Time
}

func (s *sleeper) Wake() time.Time {
	s.app.mu.Lock()
	defer s.app.mu.Unlock()
	if s.N == 0 {
		return time.Time{}
	}
	return s.Last.Add(s.app.after)
}

func (s *sleeper) Apply(op apps.Op) (apps.Outcome, error) {
	if op.Wake {
		s.app.mu.Lock()
		fails := s.app.fails
		s.app.tries = append(s.app.tries, time.Now())
		s.app.mu.Unlock()
		if fails != nil {
			if err := fails(); err != nil {
				return apps.Outcome{}, err
			}
		}
	}
	s.N, s.Last = s.N+1, op.At
	return apps.Outcome{Reply: s.View(), Update: s.View()}, nil
}

func (s *sleeper) View() apps.Body                { return apps.Body{Text: fmt.Append(nil, s.N)} }
func (s *sleeper) MarshalBinary() ([]byte, error) { return json.Marshal(s) }
func (s *sleeper) UnmarshalBinary(p []byte) error { return json.Unmarshal(p, s) }

// bedroom is a hub with rooms of sleepers.
type bedroom struct {
	*hub.Hub
	t      *testing.T
	app    *sleeperApp
	engine *hubtest.Engine
	route  *route.Route
	logs   *observer.ObservedLogs
}

// inBedroom runs a test with states that sleep for a minute.
func inBedroom(t *testing.T, test func(t *testing.T, b *bedroom)) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.ErrorLevel)
		log := zap.New(core)
		b := &bedroom{t: t, app: &sleeperApp{after: time.Minute}, engine: hubtest.NewEngine(), logs: logs}
		b.route = route.New("test", "test", route.Config{App: b.app, Named: true, Settings: socket.Settings{MaxMessageSize: 1000, MaxQueue: 1000}})
		b.Hub = hub.New(hubtest.Opens(b.engine), hub.Limits{}, func() *zap.Logger { return log })
		test(t, b)
		if err := b.Close(hubtest.Patience, frames.GoingAway, ""); err != nil {
			t.Error(err)
		}
	})
}

// stay keeps the room in memory by a member, who ends with the returned function.
func (b *bedroom) stay() (leave func()) {
	b.t.Helper()
	m, err := b.Join(context.Background(), b.route, room.Visitor{Room: "room"})
	if err != nil {
		b.t.Fatal(err)
	}
	return m.Abandon
}

func (b *bedroom) expectPauses(want ...time.Duration) {
	b.t.Helper()
	if got := b.app.pauses(); !slices.Equal(got, want) {
		b.t.Errorf("tried after %v, want %v", got, want)
	}
}

// A wake that fails is tried ever more rarely, down to once a minute. One that succeeds
// makes good for those before.
func TestAWakeThatFailsIsTriedEverMoreRarely(t *testing.T) {
	inBedroom(t, func(t *testing.T, b *bedroom) {
		defer b.stay()()
		hubtest.Post(t, b.Hub, b.route, "room", "op", "1")
		b.app.set(time.Minute, func() error { return errors.New("not now") })
		time.Sleep(time.Minute + 190*time.Second)
		const s = time.Second
		b.expectPauses(1*s, 2*s, 4*s, 8*s, 16*s, 32*s, 60*s, 60*s)
		b.app.set(0, nil) // and it is due all the time
		time.Sleep(60*s - 7*s + 3*s + time.Millisecond)
		b.expectPauses(1*s, 1*s, 1*s)
		b.app.set(0, func() error { return errors.New("not now") })
		time.Sleep(8 * s)
		b.expectPauses(2*s, 4*s)
	})
}

// What a wake fails by is in the log once: in the words of the room, unless the engine has
// failed, which has its own.
func TestAWakeThatFailsIsLogged(t *testing.T) {
	for _, test := range []struct {
		name   string
		fails  func() error                // the wake
		onSwap func(do func() error) error // the engine
		tries  int
		want   string // in each line
	}{
		{name: "the app refuses", fails: func() error { return errors.New("not now") }, tries: 6, want: "waking the room: not now"},
		{name: "the app panics", fails: func() error { panic("not now") }, tries: 6, want: "waking the room: panic on applying an operation: not now"},
		{name: "the engine refuses", onSwap: func(func() error) error { return engines.ErrRefused }, tries: 6, want: engines.ErrRefused.Error()},
		{name: "the outcome is unknown", onSwap: func(func() error) error { return errors.New("timeout") }, tries: 1, want: "timeout"},
		{name: "all goes well"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBedroom(t, func(t *testing.T, b *bedroom) {
				defer b.stay()()
				hubtest.Post(t, b.Hub, b.route, "room", "op", "1")
				b.app.set(time.Minute, test.fails)
				b.engine.OnSwap(test.onSwap)
				time.Sleep(time.Minute + 32*time.Second)
				lines := b.logs.TakeAll()
				b.engine.OnSwap(nil)
				if len(lines) < test.tries || len(lines) > 0 && test.tries == 0 {
					t.Errorf("%d lines for %d tries", len(lines), test.tries)
				}
				for _, line := range lines {
					said, _ := line.ContextMap()["error"].(string)
					if !strings.Contains(said, test.want) || strings.Contains(said, "waking the room") != strings.Contains(test.want, "waking the room") {
						t.Errorf("logged %.100q, want %q", said, test.want)
					}
				}
			})
		})
	}
}

// A room that is woken and due again before it has rested stays in memory so long; one
// that is due later does not.
func TestARoomThatIsSoonDueAgainStaysInMemory(t *testing.T) {
	for after, rooms := range map[time.Duration]int{time.Millisecond: 1, time.Second: 1, 1001 * time.Millisecond: 0} {
		inBedroom(t, func(t *testing.T, b *bedroom) {
			b.Begin([]*route.Route{b.route})
			b.app.set(after, nil)
			hubtest.Post(t, b.Hub, b.route, "room", "op", "1")
			time.Sleep(after + 500*time.Millisecond)
			for range 3 {
				synctest.Wait()
				if n := b.Rooms(); n != rooms {
					t.Errorf("woken after %v: %d rooms in memory between, want %d", after, n, rooms)
				}
				time.Sleep(max(after, time.Second))
			}
			b.expectPauses(slices.Repeat([]time.Duration{max(after, time.Second)}, 3)...)
		})
	}
}

// What was to be done before a room is loaded is done before a visitor sees the state,
// unless that takes a second, or the visitor goes.
func TestAnOverdueWakeComesFirst(t *testing.T) {
	for _, test := range []struct {
		name                 string
		takes, patience, saw time.Duration
		want                 string
	}{
		{"at once", 0, time.Minute, 0, "2"},
		{"nearly a second", 999 * time.Millisecond, time.Minute, 999 * time.Millisecond, "2"},
		{"too long", 5 * time.Second, time.Minute, time.Second, "1"},
		{"a visitor that goes", 5 * time.Second, 100 * time.Millisecond, 100 * time.Millisecond, "1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBedroom(t, func(t *testing.T, b *bedroom) {
				hubtest.Post(t, b.Hub, b.route, "room", "op", "1")
				time.Sleep(time.Hour) // nobody wakes it: no configuration has begun
				b.engine.OnSwap(func(do func() error) error { time.Sleep(test.takes); return do() })
				ctx, cancel := context.WithTimeout(context.Background(), test.patience)
				defer cancel()
				before := time.Now()
				v, err := b.View(ctx, b.route, "room")
				if waited := time.Since(before); err != nil || string(v.Text) != test.want || waited != test.saw {
					t.Errorf("seen after %v: %s, %v; want %s after %v", waited, v.Text, err, test.want, test.saw)
				}
				b.app.set(time.Hour, nil)
				time.Sleep(time.Minute)
			})
		})
	}
}
