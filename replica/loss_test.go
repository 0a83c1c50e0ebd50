package replica

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
)

// losing is an engine that may lose what was stored last.
type losing struct {
	engines.Engine
	swap error // of every Swap; nil: it is carried out
}

func (e *losing) Swap(ctx context.Context, key engines.Key, rev uint64, v engines.Value) (uint64, error) {
	if e.swap != nil {
		return 0, e.swap
	}
	return e.Engine.Swap(ctx, key, rev, v)
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
		whole := engine.Engine
		lose()
		time.AfterFunc(lossPatience-time.Second, func() { engine.Engine = whole })
		r.commit([]string{"10"}, "19@4")
		lose()
		ctx, cancel := context.WithTimeout(t.Context(), lossPatience-time.Second)
		defer cancel()
		if got := told(r.Commit(ctx, []Operation{{Data: []byte("1")}})); got[0] != "!unavailable, try again later" {
			t.Errorf("told %q", got)
		}
		r.shows("19@4")
	})
}
