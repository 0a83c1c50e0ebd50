package hub_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
	"github.com/caddyws/caddy-websocket/tally"
)

// Connections are counted by their kind, and rooms with members by their app, as long as
// they are there.
func TestConnectionsAndRoomsAreCounted(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	test, other := hubtest.Route(hubtest.NewCounterApp()), route.New("other", "other", route.Config{App: hubtest.NewCounterApp()})
	expect := func(sockets, streams int64, rooms map[string]int) {
		t.Helper()
		if c := test.Tally.Gather().Counts(); c.Sockets != sockets || c.Streams != streams {
			t.Errorf("%d sockets and %d streams, want %d and %d", c.Sockets, c.Streams, sockets, streams)
		}
		if got := w.RoomsWithMembers(); !maps.Equal(got, rooms) {
			t.Errorf("rooms with members are %v, want %v", got, rooms)
		}
	}
	expect(0, 0, map[string]int{})
	a, b := stay(t, w.Hub, test, room.Visitor{Room: "a"}), stay(t, w.Hub, test, room.Visitor{Room: "a", Events: true})
	expect(1, 1, map[string]int{"test": 1})
	c, d := stay(t, w.Hub, test, room.Visitor{Room: "b", Events: true}), stay(t, w.Hub, other, room.Visitor{Room: "a"})
	expect(1, 2, map[string]int{"test": 2, "other": 1})
	a.Abandon()
	d.Abandon()
	expect(0, 2, map[string]int{"test": 2, "other": 0})
	b.Abandon()
	c.Abandon()
	expect(0, 0, map[string]int{"test": 0, "other": 0})
}

// faulty is an engine, and its opener, of which one operation fails or panics.
type faulty struct {
	*memory.Engine
	mu     sync.Mutex
	fails  string // the operation; guarded by mu
	panics bool   // guarded by mu
}

func (e *faulty) set(fails string, panics bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fails, e.panics = fails, panics
}

func (e *faulty) try(operation string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.fails != operation:
		return nil
	case e.panics:
		panic("away")
	}
	return errors.New("away")
}

func (*faulty) Identity() string { return "" }

func (e *faulty) Open(context.Context) (engines.Engine, error) { return e, e.try("open") }

func (e *faulty) Count(ctx context.Context) (int, error) {
	if err := e.try("count"); err != nil {
		return 0, err
	}
	return e.Engine.Count(ctx)
}

func (e *faulty) List(ctx context.Context, after engines.Key, n int) ([]engines.Key, error) {
	if err := e.try("list"); err != nil {
		return nil, err
	}
	return e.Engine.List(ctx, after, n)
}

func (e *faulty) Unused(ctx context.Context, before time.Time, after engines.Use, n int) ([]engines.Use, error) {
	if err := e.try("unused"); err != nil {
		return nil, err
	}
	return e.Engine.Unused(ctx, before, after, n)
}

// Calls of the engine that fail are counted, each under its name, and whoever has asked is
// told. Those that have no more need of an answer are not.
func TestCallsOfTheEngineThatFail(t *testing.T) {
	stored := func(t *testing.T, h *hub.Hub, want int, is bool) {
		t.Helper()
		if n, ok := h.StoredRooms(t.Context()); ok != is || ok && n != want {
			t.Errorf("%d stored rooms, %v; want %d, %v", n, ok, want, is)
		}
	}
	for operation, call := range map[string]func(t *testing.T, h *hub.Hub, rt *route.Route){
		"open": func(t *testing.T, h *hub.Hub, rt *route.Route) {
			if _, err := h.View(t.Context(), rt, "room"); !errors.Is(err, room.ErrUnavailable) {
				t.Error(err)
			}
			stored(t, h, 0, false)
			time.Sleep(time.Minute) // for a moment others are told the same
		},
		"count": func(t *testing.T, h *hub.Hub, rt *route.Route) {
			hubtest.Post(t, h, rt, "room", "op", "error: unavailable, try again later")
			h.CountIn(tally.NewSet(), "") // that is enough
			stored(t, h, 0, false)
		},
		"list": func(t *testing.T, h *hub.Hub, rt *route.Route) {
			hubtest.Post(t, h, rt, "room", "op", "1")
			if _, _, err := h.PageOfRooms(t.Context(), hub.RoomFilter{}, engines.Key{}, 10); err == nil {
				t.Error("no error")
			}
			stored(t, h, 1, true)
		},
		"unused": func(t *testing.T, h *hub.Hub, rt *route.Route) {
			h.Begin(routes(rt))
			hubtest.Post(t, h, rt, "room", "op", "1")
		},
		"": func(t *testing.T, h *hub.Hub, rt *route.Route) {
			stored(t, h, 0, false) // it is not open yet
			hubtest.Post(t, h, rt, "room", "op", "1")
			stored(t, h, 1, true)
		},
	} {
		t.Run(operation, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, set := &faulty{Engine: new(memory.Engine), fails: operation}, tally.NewSet()
				h := hub.New(e, hub.Limits{}, zap.NewNop)
				h.CountIn(set, "faulty")
				call(t, h, route.New("test", "test", route.Config{App: hubtest.NewCounterApp(), Forget: time.Hour}))
				synctest.Wait()
				for c, n := range set.EngineErrors() {
					if c.Engine != "faulty" || (n > 0) != (c.Operation == operation) {
						t.Errorf("%d errors of %v", n, c)
					}
				}
				e.set("", false)
				hubtest.Post(t, h, route.New("test", "test", route.Config{App: hubtest.NewCounterApp()}), "another", "op", "1")
				if set.Apps()["test"] == nil && operation != "count" { // which has another set
					t.Error("operations are not counted")
				}
				checkClosed(t, h)
			})
		})
	}
}

// copied is an engine that can be copied.
type copied struct{ engines.Engine }

func (copied) Backup(w io.Writer) error {
	_, err := w.Write([]byte("copy"))
	return err
}

type full struct{ error }

func (f full) Write([]byte) (int, error) { return 0, f.error }

// A backup is what the engine writes, if there is one that is open.
func TestBackup(t *testing.T) {
	var out bytes.Buffer
	disk := errors.New("disk is full")
	for name, test := range map[string]struct {
		engine engines.Engine
		open   bool
		to     io.Writer
		want   error
	}{
		"a copy":    {copied{new(memory.Engine)}, true, &out, nil},
		"not open":  {copied{new(memory.Engine)}, false, io.Discard, hub.ErrNoBackup},
		"no copies": {new(memory.Engine), true, io.Discard, hub.ErrNoBackup},
		"an error":  {copied{new(memory.Engine)}, true, full{disk}, disk},
	} {
		w := hubtest.New(t, test.engine)
		if test.open {
			if err := w.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Backup(test.to); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if out.String() != "copy" {
		t.Errorf("the copy is %q", out.String())
	}
}
