package replica

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
)

// losing is an engine that may lose what was stored last.
type losing struct {
	engines.Engine
	swap  error          // of every Swap; nil: it is carried out
	whole engines.Engine // what it has again from a time on; nil: never
	from  time.Time
}

// now is the engine at this time.
func (e *losing) now() engines.Engine {
	if e.whole != nil && !time.Now().Before(e.from) {
		return e.whole
	}
	return e.Engine
}

func (e *losing) Load(ctx context.Context, key engines.Key) ([]byte, uint64, error) {
	return e.now().Load(ctx, key)
}

func (e *losing) Swap(ctx context.Context, key engines.Key, rev uint64, v engines.Value) (uint64, error) {
	if e.swap != nil {
		return 0, e.swap
	}
	return e.now().Swap(ctx, key, rev, v)
}

// newLosingRoom returns a room that shows 9@3, and what brings its engine back to 5@2.
func newLosingRoom(t *testing.T) (r *room, engine *losing, lose func()) {
	engine = &losing{Engine: new(memory.Engine)}
	r = &room{T: t, limit: new(limit), app: &adder{fault: make(map[string]int)}}
	r.Replica = New(key, &Store{Engine: engine, Limit: r.limit}, func(err error) { r.faults = append(r.faults, err) })
	if err := r.Load(t.Context(), r.app, "route"); err != nil {
		t.Fatal(err)
	}
	r.commit([]string{"2"}, "2@1")
	r.commit([]string{"3"}, "5@2")
	left, _, err := engine.Load(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	r.commit([]string{"4"}, "9@3")
	return r, engine, func() {
		engine.Engine = new(memory.Engine)
		if _, err := engine.Engine.Swap(t.Context(), key, 0, engines.Value{State: left}); err != nil {
			t.Fatal(err)
		}
	}
}

// If an engine has lost what was stored last, the room goes on with what is left.
func TestAnEngineThatLosesTheLastChanges(t *testing.T) {
	for name, test := range map[string]struct {
		swap error
		told string
	}{
		"a conflict":  {nil, "!unavailable, try again later"},
		"no decision": {errTimeout, "!outcome unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, engine, lose := newLosingRoom(t)
				lose()
				engine.swap = test.swap
				r.commit([]string{"10"}, test.told)
				engine.swap = nil
				r.shows("5@2")
				before := time.Now()
				r.commit([]string{"20"}, "25@3")
				if took := time.Since(before); took != 0 {
					t.Errorf("the next operation takes %v", took)
				}
			})
		})
	}
}

// An engine that is only behind for a while has lost nothing.
func TestAnEngineThatIsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, engine, lose := newLosingRoom(t)
		engine.whole, engine.from = engine.Engine, time.Now().Add(lossPatience-time.Second)
		lose()
		r.commit([]string{"10"}, "19@4")
		engine.from = time.Now().Add(time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), lossPatience-time.Second)
		defer cancel()
		if got := told(r.Commit(ctx, []Operation{{Data: []byte("1")}})); got[0] != "!unavailable, try again later" {
			t.Errorf("told %q", got)
		}
		r.shows("19@4")
	})
}

// A process that only shows a room follows those that go on with what is left.
func TestAReaderOfAnEngineThatLosesTheLastChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _, lose := newLosingRoom(t)
		lose()
		before := time.Now()
		for ; time.Since(before) < lossPatience; time.Sleep(time.Second) {
			if _, err := r.Reread(t.Context()); !errors.Is(err, ErrOlder) {
				t.Fatal(err)
			}
			r.shows("9@3")
		}
		if another, err := r.Reread(t.Context()); err != nil || !another {
			t.Error(another, err)
		}
		r.shows("5@2")
		if len(r.faults) != 1 {
			t.Errorf("reported: %v", r.faults)
		}
	})
}

// What an engine that is behind shows is not taken for a loss, however often that happens, nor
// told to a client.
func TestReadingFromAnEngineThatIsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, engine, lose := newLosingRoom(t)
		engine.whole = engine.Engine
		lose()
		for range 3 {
			engine.from = time.Now().Add(lossPatience)
			if _, err := r.Reread(t.Context()); !errors.Is(err, ErrOlder) {
				t.Error(err)
			}
			unknown := Operation{Data: []byte("7"), Once: &Once{ID: ID{"client", 5}}}
			if got := told(r.Commit(t.Context(), []Operation{unknown})); got[0] != "!unavailable, try again later" {
				t.Errorf("told %q", got)
			}
			time.Sleep(lossPatience)
			if another, err := r.Reread(t.Context()); err != nil || another {
				t.Error(another, err)
			}
			r.shows("9@3")
		}
	})
}
