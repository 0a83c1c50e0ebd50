package room_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/apps/echo"
	"github.com/caddyws/caddy-websocket/apps/sum"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/replica"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// moody is an engine whose Load and Delete a test decides over, too.
type moody struct {
	*hubtest.Engine
	mu       sync.Mutex
	onLoad   func() error                // before it loads
	onDelete func(do func() error) error // nil: delete
}

func (e *moody) on(load func() error, del func(do func() error) error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.onLoad, e.onDelete = load, del
}

func (e *moody) Load(ctx context.Context, key engines.Key) ([]byte, uint64, error) {
	e.mu.Lock()
	on := e.onLoad
	e.mu.Unlock()
	if on != nil {
		if err := on(); err != nil {
			return nil, 0, err
		}
	}
	return e.Engine.Load(ctx, key)
}

func (e *moody) Delete(ctx context.Context, key engines.Key, rev uint64) error {
	do := func() error { return e.Engine.Delete(ctx, key, rev) }
	e.mu.Lock()
	on := e.onDelete
	e.mu.Unlock()
	if on == nil {
		return do()
	}
	return on(do)
}

// firstApp is a counter that refuses the operation "first" unless it is that.
type firstApp struct{ *hubtest.CounterApp }

func (a firstApp) NewState() apps.State { return first{a.CounterApp.NewState()} }

type first struct{ apps.State }

func (s first) Apply(op apps.Op) (apps.Outcome, error) {
	if string(op.Data) == "first" && string(s.View().Text) != "0" {
		return apps.Outcome{}, errors.New("not the first")
	}
	return s.State.Apply(op)
}

// counted runs a test with a member of a room that has counted 1.
func counted(t *testing.T, test func(t *testing.T, e *moody, b hubtest.Bubble, rt *route.Route, c *hubtest.Client)) {
	t.Helper()
	e := &moody{Engine: hubtest.NewEngine()}
	hubtest.InBubble(t, e, hub.Limits{}, func(t *testing.T, b hubtest.Bubble) {
		rt := hubtest.Route(firstApp{hubtest.NewCounterApp()})
		c := b.Client(t, rt)
		c.Send("op")
		c.Expect("1")
		test(t, e, b, rt, c)
	})
}

// What was told last is not told again in the next life of the room: updates that have
// waited for their time show that.
func TestAnErasedRoomTellsNothingOfItsLifeBefore(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	rt := hubtest.Route(&sum.App{Interval: caddy.Duration(time.Minute)})
	listener, sender := w.Join(rt), w.Join(rt)
	for _, total := range []string{"1", "2"} {
		sender.Send("1")
		sender.Expect(total)
	}
	listener.Expect("1")
	r := sender.Member.Room()
	if err := r.Erase(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v, err := w.View(t.Context(), rt, "room"); err != nil || string(v.Text) != "0" || v.Version != 0 {
		t.Errorf("the room shows %s as %s, %v", v.Text, v.ID(), err)
	}
	room.Wake(r)
	listener.Expect("0")
}

// An error of the engine leaves the room in memory as it is; what is stored then is found
// out by whoever comes next.
func TestWhatIsStoredAfterAFailedDeletion(t *testing.T) {
	timeout := errors.New("timeout")
	for name, test := range map[string]struct {
		delete func(do func() error) error
		want   string
	}{
		"not deleted":       {func(func() error) error { return timeout }, "error: not the first"},
		"deleted":           {func(do func() error) error { return errors.Join(do(), timeout) }, "1"},
		"panic":             {func(func() error) error { panic(timeout) }, "error: not the first"},
		"panic and deleted": {func(do func() error) error { panic(do()) }, "1"},
	} {
		t.Run(name, func(t *testing.T) {
			counted(t, func(t *testing.T, e *moody, b hubtest.Bubble, rt *route.Route, c *hubtest.Client) {
				e.on(nil, test.delete)
				if err := c.Member.Room().Erase(t.Context()); err == nil {
					t.Error("no error")
				}
				if v, err := b.View(t.Context(), rt, "room"); err != nil || v.Version != 1 {
					t.Errorf("the room shows %s, %v", v.ID(), err)
				}
				c.Send("first")
				c.Expect(test.want)
			})
		})
	}
}

// A room that is deleted, here or by another process, and cannot be read then is read by
// the next operation.
func TestADeletedRoomThatCannotBeRead(t *testing.T) {
	for name, want := range map[string]error{"here": nil, "elsewhere": engines.ErrNotFound} {
		t.Run(name, func(t *testing.T) {
			counted(t, func(t *testing.T, e *moody, _ hubtest.Bubble, _ *route.Route, c *hubtest.Client) {
				r := c.Member.Room()
				if want != nil {
					_, rev, _ := e.Load(t.Context(), r.Key())
					if err := e.Delete(t.Context(), r.Key(), rev); err != nil {
						t.Fatal(err)
					}
				}
				e.on(func() error { return errors.New("away") }, nil)
				if err := r.Erase(t.Context()); !errors.Is(err, want) {
					t.Error(err)
				}
				c.Send("first")
				c.Expect("error: unavailable, try again later")
				e.on(nil, nil)
				c.Send("first")
				c.Expect("1")
			})
		})
	}
}

// An operation whose outcome becomes known only when the room is deleted is told nobody in
// its next life.
func TestADeletionSettlesWhatIsNotKnown(t *testing.T) {
	counted(t, func(t *testing.T, e *moody, b hubtest.Bubble, rt *route.Route, c *hubtest.Client) {
		other := b.Client(t, rt)
		away := errors.New("away")
		e.on(func() error { return away }, nil)
		e.OnSwap(func(do func() error) error { return errors.Join(do(), away) })
		c.Send("op")
		c.Expect("error: outcome unknown")
		e.on(nil, nil)
		e.OnSwap(nil)
		if err := c.Member.Room().Erase(t.Context()); err != nil {
			t.Error(err)
		}
		c.Send("quiet")
		c.Expect("1")
		synctest.Wait()
		probe(other)
		other.Expect("probe")
	})
}

// What another process has stored meanwhile is not deleted, and members are told it.
func TestADeletionThatComesTooLate(t *testing.T) {
	counted(t, func(t *testing.T, e *moody, _ hubtest.Bubble, _ *route.Route, c *hubtest.Client) {
		rival := replica.New(c.Member.Room().Key(), &replica.Store{Engine: e.Engine.Engine}, func(err error) { t.Error(err) })
		if err := rival.Load(t.Context(), hubtest.NewCounterApp(), "test"); err != nil {
			t.Fatal(err)
		}
		if res := rival.Commit(t.Context(), make([]replica.Operation, 1)); res[0].Err != nil {
			t.Fatal(res[0].Err)
		}
		if err := c.Member.Room().Erase(t.Context()); !errors.Is(err, engines.ErrConflict) {
			t.Error(err)
		}
		c.Expect("2")
	})
}

// Whoever has a room deleted waits for the engine as long as he has said, and not at all in
// a room that keeps nothing.
func TestADeletionIsBounded(t *testing.T) {
	counted(t, func(t *testing.T, e *moody, b hubtest.Bubble, _ *route.Route, c *hubtest.Client) {
		expect := func(r *room.Room, want error, after time.Duration) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			before := time.Now()
			if err := r.Erase(ctx); !errors.Is(err, want) || time.Since(before) != after {
				t.Errorf("%v after %v, want %v after %v", err, time.Since(before), want, after)
			}
		}
		e.on(nil, func(do func() error) error { time.Sleep(5 * time.Second); return do() })
		r := c.Member.Room()
		var first sync.WaitGroup
		first.Go(func() { expect(r, context.DeadlineExceeded, time.Second) })
		synctest.Wait()
		expect(r, context.DeadlineExceeded, time.Second) // it waits for the first
		first.Wait()
		expect(b.Client(t, route.New("echo", "echo", route.Config{App: new(echo.App)})).Member.Room(), nil, 0)
	})
}

// Events of a life that another process has begun are told, however low their versions.
func TestEventsOfALifeThatAnotherProcessHasBegun(t *testing.T) {
	e := lasting{new(memory.Engine)}
	here, there := hubtest.New(t, e), hubtest.New(t, e)
	rt := hubtest.Route(hubtest.NewAlarmApp())
	c := here.Enter(rt, room.Visitor{Room: "room", Subprotocol: message.Subprotocol})
	c.ExpectPrefix(`{"type":"state"`)
	for n := range 5 {
		c.Send(`{"do":"op"}`)
		expectFields(t, c, fmt.Sprintf(`{"type":"reply","version":%d,"n":%d}`, n+1, n+1))
	}
	visitor := there.Join(rt)
	if err := visitor.Member.Room().Erase(t.Context()); err != nil {
		t.Fatal(err)
	}
	visitor.Send("tell all 1", "tell me 2")
	visitor.Expect("1", "all 1", "2", "me 2")
	c.Send(`{"do":"tell all 3"}`)
	expectFields(t, c,
		`{"type":"reply","version":3,"n":3}`,
		`{"type":"event","event":"alert","version":1,"number":1,"to":"all","text":"1"}`,
		`{"type":"event","event":"alert","version":3,"number":1,"to":"all","text":"3"}`)
}

// lasting is an engine that several hubs have.
type lasting struct{ engines.Engine }

func (lasting) Close() error { return nil }
