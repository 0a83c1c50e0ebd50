package room

import (
	"testing"

	"github.com/caddyws/caddy-websocket/replica"
)

// What is recent in all rooms is bounded: beyond that a room keeps none of it. Nothing is
// counted in the end.
func TestRecentMessagesOfAllRooms(t *testing.T) {
	r, _ := emptyRoom(0)
	said := func(n uint64) []replica.Kept {
		return []replica.Kept{{Version: n, Said: replica.Said{Text: make([]byte, 1000)}}}
	}
	for n := range uint64(100) {
		r.remember(said(n + 1))
		if counted := r.shared.recent.Load(); counted != int64(r.recent.size) || counted > maxRecentBytes {
			t.Fatalf("%d bytes are counted of %d", counted, r.recent.size)
		}
	}
	if left, ok := r.recent.from(91, 100); !ok || len(left) != 10 || left[0].Version != 91 {
		t.Errorf("%d are recent, %v", len(left), ok)
	}
	r.shared.recent.Add(maxHubRecentBytes)
	r.remember(said(101))
	if _, ok := r.recent.from(101, 101); ok || r.shared.recent.Load() != maxHubRecentBytes {
		t.Errorf("%v, %d bytes are counted", ok, r.shared.recent.Load())
	}
	r.shared.recent.Add(-maxHubRecentBytes / 2)
	r.remember(said(102))
	r.forgetRecent()
	r.rememberLoaded(said(102))
	if _, ok := r.recent.from(102, 102); !ok {
		t.Error("what was loaded is forgotten though there is memory")
	}
	r.shared.recent.Add(1)
	r.forgetRecent()
	r.rememberLoaded(said(102))
	if _, ok := r.recent.from(102, 102); ok {
		t.Error("what was loaded takes the memory of what is said")
	}
	r.shared.recent.Add(-maxHubRecentBytes/2 - 1)
	if !r.Retire() || r.shared.recent.Load() != 0 {
		t.Errorf("%d bytes are counted in the end", r.shared.recent.Load())
	}
}
