package room

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
)

// unreached is an engine that cannot be reached.
type unreached struct{ engines.Shared }

func (unreached) Subscribe(context.Context, engines.Key, func(engines.Event)) (func(), error) {
	return nil, errDeaf
}

// Rooms that have left memory are not kept while others are deaf.
func TestDeafRoomsThatHaveLeftMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, _ := emptyRoom(0)
		s := first.shared
		closing := make(chan struct{})
		s.Closing, s.Context, s.Go = closing, t.Context(), func(f func()) { go f() }
		s.SetOthers(unreached{}, 1000)
		const alive = 20
		for i := range 5 * alive { // those that are left come first
			r, _ := emptyRoom(0)
			r.shared = s
			if i >= alive {
				r.Retire()
			}
			s.listenLater(r)
		}
		time.Sleep(deafPause + 2*listenPatience)
		synctest.Wait()
		s.deaf.mu.Lock()
		if n := len(s.deaf.rooms); n != alive {
			t.Errorf("%d rooms are deaf", n)
		}
		s.deaf.mu.Unlock()
		close(closing)
	})
}
