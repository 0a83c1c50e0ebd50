package hub_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// lasting is an engine that outlives its hub, as one on a disk does.
type lasting struct {
	*memory.Engine
	swaps atomic.Int64
	fails atomic.Bool // Unused does
}

func (*lasting) Close() error { return nil }

func (e *lasting) Swap(ctx context.Context, key engines.Key, rev uint64, v engines.Value) (uint64, error) {
	e.swaps.Add(1)
	return e.Engine.Swap(ctx, key, rev, v)
}

func (e *lasting) Unused(ctx context.Context, before time.Time, after engines.Use, n int) ([]engines.Use, error) {
	if e.fails.Load() {
		return nil, errors.New("away")
	}
	return e.Engine.Unused(ctx, before, after, n)
}

// process runs a hub over the engine for as long as live takes.
func (e *lasting) process(t *testing.T, live func(h *hub.Hub), routes ...*route.Route) {
	t.Helper()
	h := hub.New(hubtest.Opens(e), hub.Limits{}, zap.NewNop)
	h.Begin(routes)
	if err := h.Open(context.Background()); err != nil {
		t.Fatal(err)
	}
	live(h)
	if err := h.Close(hubtest.Patience, frames.GoingAway, ""); err != nil {
		t.Error(err)
	}
}

func (e *lasting) expect(t *testing.T, rooms ...string) {
	t.Helper()
	synctest.Wait()
	keys, err := e.List(context.Background(), engines.Key{}, 100)
	if err != nil || len(keys) != len(rooms) {
		t.Fatalf("stored are %v, %v, want %v", keys, err, rooms)
	}
	for i, key := range keys {
		if key.Room != rooms[i] {
			t.Fatalf("stored are %v, want %v", keys, rooms)
		}
	}
}

func forgetsAfter(name string, after time.Duration) *route.Route {
	return route.New(name, "test", route.Config{App: hubtest.NewCounterApp(), Named: true, Forget: after})
}

// Rooms of an earlier process are forgotten when their own route says so, and not while
// they are in use.
func TestForgetAcrossRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &lasting{Engine: new(memory.Engine)}
		day, week, never := forgetsAfter("day", 24*time.Hour), forgetsAfter("week", 7*24*time.Hour), forgetsAfter("never", 0)
		e.process(t, func(h *hub.Hub) {
			hubtest.Post(t, h, day, "a-day", "op", "1")
			hubtest.Post(t, h, day, "b-day", "op", "1")
			hubtest.Post(t, h, week, "c-week", "op", "1")
			hubtest.Post(t, h, never, "d-never", "op", "1")
			m, err := h.Join(context.Background(), day, room.Visitor{Room: "b-day"})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Hour) // b-day is in use all the time
			go func() {
				<-time.After(time.Second)
				m.Abandon()
			}()
		}, day, week, never)
		day, week, never = forgetsAfter("day", 24*time.Hour), forgetsAfter("week", 7*24*time.Hour), forgetsAfter("never", 0)
		e.process(t, func(*hub.Hub) {
			e.expect(t, "a-day", "b-day", "c-week", "d-never")
			time.Sleep(6 * time.Hour)
			e.expect(t, "b-day", "c-week", "d-never")
			time.Sleep(24 * time.Hour)
			e.expect(t, "c-week", "d-never")
		}, day, week, never)
		e.process(t, func(*hub.Hub) { time.Sleep(30 * 24 * time.Hour) }, forgetsAfter("day", 24*time.Hour))
		e.expect(t, "c-week", "d-never") // their routes are gone
		e.fails.Store(true)              // before the first sweep
		e.process(t, func(h *hub.Hub) {
			time.Sleep(24 * time.Hour)
			e.expect(t, "c-week", "d-never")
			e.fails.Store(false)
			time.Sleep(2 * time.Hour)
			e.expect(t, "d-never")
			h.Adopt(nil, []*route.Route{forgetsAfter("never", time.Hour)}, hub.Limits{})
			e.expect(t)
		}, week, never)
	})
}

// Looking at a room is a use that is stored, but not each time.
func TestUseIsStoredCoarsely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &lasting{Engine: new(memory.Engine)}
		day := forgetsAfter("day", 24*time.Hour)
		e.process(t, func(h *hub.Hub) {
			hubtest.Post(t, h, day, "room", "op", "1")
			for range 100 {
				_, _ = h.View(context.Background(), day, "room")
				synctest.Wait()
			}
			if n := e.swaps.Load(); n != 1 {
				t.Errorf("%d swaps", n)
			}
			time.Sleep(2 * time.Hour)
			for range 100 {
				view, err := h.View(context.Background(), day, "room")
				if err != nil || view.Version != 1 {
					t.Fatalf("version %d, %v", view.Version, err)
				}
				synctest.Wait()
			}
			if n := e.swaps.Load(); n != 2 {
				t.Errorf("%d swaps", n)
			}
		}, day)
		never := forgetsAfter("never", 0)
		e.process(t, func(h *hub.Hub) {
			time.Sleep(100 * time.Hour)
			_, _ = h.View(context.Background(), never, "room")
			synctest.Wait()
			if n := e.swaps.Load(); n != 2 {
				t.Errorf("%d swaps where nothing is forgotten", n)
			}
		}, never)
	})
}

// An engine that is not volatile and calls back while it loads.
type hooked struct {
	engines.Engine
	onLoad atomic.Pointer[func(context.Context)] // called once
}

func (e *hooked) Load(ctx context.Context, key engines.Key) ([]byte, uint64, error) {
	if do := e.onLoad.Swap(nil); do != nil {
		(*do)(ctx)
	}
	return e.Engine.Load(ctx, key)
}

// A reload that comes while a room is read to be forgotten puts it off, and harms
// nothing.
func TestAReloadWhileARoomIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &lasting{Engine: new(memory.Engine)}
		e := &hooked{Engine: m}
		before := forgetsAfter("hour", time.Hour)
		h := hub.New(hubtest.Opens(e), hub.Limits{}, zap.NewNop)
		h.Begin(routes(before))
		hubtest.Post(t, h, before, "room", "op", "1")
		synctest.Wait()
		reload := func(context.Context) { h.Adopt(routes(before), routes(forgetsAfter("hour", time.Hour)), hub.Limits{}) }
		e.onLoad.Store(&reload)
		time.Sleep(3 * time.Hour) // it is tried again
		m.expect(t)
		if err := h.Close(hubtest.Patience, frames.GoingAway, ""); err != nil {
			t.Error(err)
		}
	})
}

// A room that is just being read is not touched beside its reader.
func TestNoRoomIsTouchedWhileItIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &hooked{Engine: new(memory.Engine)}
		core, logs := observer.New(zap.ErrorLevel)
		log := zap.New(core)
		h := hub.New(hubtest.Opens(e), hub.Limits{}, func() *zap.Logger { return log })
		hour := forgetsAfter("hour", time.Hour)
		h.Begin(routes(hour))
		reload := func(context.Context) {
			h.Adopt(nil, routes(hour), hub.Limits{}) // has the sweep look again
			time.Sleep(time.Second)
		}
		e.onLoad.Store(&reload)
		hubtest.Post(t, h, hour, "room", "op", "1")
		if n := logs.Len(); n != 0 {
			t.Errorf("logged: %v", logs.All())
		}
		if err := h.Close(hubtest.Patience, frames.GoingAway, ""); err != nil {
			t.Error(err)
		}
	})
}

// Routes without a name may have the same one: none of them deletes what another keeps.
func TestForgetOfUnnamedRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		unnamed := func(source string, forget time.Duration) *route.Route {
			return route.New("sum", "test", route.Config{App: hubtest.NewCounterApp(), Source: source, Forget: forget})
		}
		e := &lasting{Engine: new(memory.Engine)}
		never := unnamed("b", 0)
		e.process(t, func(h *hub.Hub) { hubtest.Post(t, h, never, "b", "op", "1") }, unnamed("a", time.Hour), never)
		for _, routes := range [][]*route.Route{{unnamed("a", time.Hour), unnamed("b", 0)}, {unnamed("b", 0), unnamed("a", time.Hour)}} {
			e.process(t, func(*hub.Hub) { time.Sleep(3 * time.Hour) }, routes...)
			e.expect(t, "b")
		}
		e.process(t, func(*hub.Hub) { time.Sleep(3 * time.Hour) }, unnamed("a", time.Hour), unnamed("b", 20*time.Hour))
		e.expect(t, "b")
		e.process(t, func(*hub.Hub) { time.Sleep(20 * time.Hour) }, unnamed("a", time.Hour), unnamed("b", 20*time.Hour))
		e.expect(t)
	})
}

// A room that is used while the sweep looks at it is not deleted.
func TestTheSweepAndAVisitor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &lasting{Engine: new(memory.Engine)}
		hour := forgetsAfter("hour", time.Hour)
		m.process(t, func(h *hub.Hub) { hubtest.Post(t, h, hour, "room", "op", "1") }, hour)
		time.Sleep(5 * time.Hour)
		e := &hooked{Engine: m}
		h := hub.New(hubtest.Opens(e), hub.Limits{}, zap.NewNop)
		hour = forgetsAfter("hour", time.Hour)
		h.Begin(routes(hour))
		visit := func(context.Context) { hubtest.Post(t, h, hour, "room", "op", "2") }
		e.onLoad.Store(&visit)
		if err := h.Open(context.Background()); err != nil {
			t.Fatal(err)
		}
		m.expect(t, "room")
		hubtest.Post(t, h, hour, "room", "op", "3")
		if err := h.Close(hubtest.Patience, frames.GoingAway, ""); err != nil {
			t.Error(err)
		}
	})
}

// A visitor waits for an engine that does not answer neither for ever nor longer than
// the hub lives.
func TestVisitorsDoNotWaitForAnEngineForEver(t *testing.T) {
	for name, end := range map[string]func(h *hub.Hub) error{
		"time": func(*hub.Hub) error { time.Sleep(time.Minute); return nil },
		"end":  func(h *hub.Hub) error { return h.Close(time.Second, frames.GoingAway, "") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &hooked{Engine: new(memory.Engine)}
				hang := func(ctx context.Context) { <-ctx.Done() }
				e.onLoad.Store(&hang)
				h := hub.New(hubtest.Opens(e), hub.Limits{}, zap.NewNop)
				ended := make(chan error, 1)
				go func() {
					_, err := h.View(context.Background(), forgetsAfter("never", 0), "room")
					ended <- err
				}()
				synctest.Wait()
				if err := end(h); err != nil {
					t.Error(err)
				}
				synctest.Wait()
				select {
				case <-ended:
				default:
					t.Error("the visitor still waits")
				}
				if name != "end" {
					_ = h.Close(time.Second, frames.GoingAway, "")
				}
			})
		})
	}
}
