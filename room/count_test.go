package room_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/replica"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/tally"
)

// Each operation is counted once, by what has come of it.
func TestOperationsAreCounted(t *testing.T) {
	e, set := hubtest.NewEngine(), tally.NewSet()
	e.Max = 3000
	hubtest.InBubble(t, e, hub.Limits{}, func(t *testing.T, b hubtest.Bubble) {
		b.CountIn(set, "test")
		rt := hubtest.Route(hubtest.NewCounterApp())
		id, err := replica.ParseID("a:1")
		if err != nil {
			t.Fatal(err)
		}
		once := &room.OperationID{ID: id}
		before := set.App("test").Operations()
		for _, test := range []struct {
			op     string
			once   *room.OperationID
			onSwap func(do func() error) error
			want   string
		}{
			{"op", nil, nil, "stored"},
			{"bad", nil, nil, "refused"},
			{"boom", nil, nil, "failed"},
			{"receive refuses", nil, nil, "refused"},
			{"op", once, nil, "stored"},
			{"op", once, nil, "repeated"},
			{"quiet", once, nil, "bad_id"},
			{"op", nil, func(func() error) error { return engines.ErrRefused }, "unavailable"},
			{"op", nil, func(func() error) error { return errors.New("timeout") }, "unknown"},
			{"big", nil, nil, "stored"},
			{"big", nil, nil, "stored"},
			{"big", nil, nil, "full"},
		} {
			e.OnSwap(test.onSwap)
			if _, err := b.Ask(t.Context(), rt, room.Visitor{Room: "room"}, apps.Text(test.op), test.once); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			after := set.App("test").Operations()
			for result, n := range after {
				want := before[result]
				if result == test.want {
					want++
				}
				if n != want {
					t.Errorf("%s: %d are %s, want %d", test.op, n, result, want)
				}
			}
			before = after
			e.OnSwap(nil)
		}
		if batches, durations := set.Work(); batches.Count() < 10 || durations.Count() < batches.Count() {
			t.Errorf("%d batches, %d commits", batches.Count(), durations.Count())
		}
	})
}
