package hub_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
)

// A room that is not in memory follows a reload: it is forgotten when its route says so
// now, sooner or later than before, or not at all.
func TestAReloadChangesWhenARoomIsForgotten(t *testing.T) {
	const day = 24 * time.Hour
	for name, test := range map[string]struct{ before, now, gone time.Duration }{
		"sooner":           {7 * day, day, day},
		"later":            {day, 7 * day, 7 * day},
		"the time is over": {7 * day, time.Hour, 2 * time.Hour},
		"never":            {day, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			e := new(memory.Engine)
			hubtest.InBubble(t, e, hub.Limits{}, func(t *testing.T, b hubtest.Bubble) {
				before, now := forgetsAfter("test", test.before), forgetsAfter("test", test.now)
				b.Begin(routes(before))
				hubtest.Post(t, b.Hub, before, "room", "op", "1")
				time.Sleep(2 * time.Hour)
				b.Adopt(routes(before), routes(now), hub.Limits{})
				if test.gone > 2*time.Hour {
					time.Sleep(test.gone - 2*time.Hour - time.Second)
					if n := stored(t, e); n != 1 {
						t.Errorf("%d rooms are stored before the time", n)
					}
					time.Sleep(2 * time.Second)
				}
				want := 0
				if test.gone == 0 {
					time.Sleep(30 * day)
					want = 1
				}
				synctest.Wait()
				if n := stored(t, e); n != want {
					t.Errorf("%d rooms are stored, want %d", n, want)
				}
			})
		})
	}
}
