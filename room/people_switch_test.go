package room

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/apps/broadcast"
	"github.com/caddyws/caddy-websocket/route"
)

// A reload switches the option off for one member after the other. Meanwhile those to whom it
// has not come yet are told nothing of it.
func TestNothingIsToldWhilePresenceIsSwitchedOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(0)
		all := []*hearer{h.enter(t, "ann"), h.enter(t, "bob"), h.enter(t, "carl")}
		told := make([]int, len(all))
		for i, c := range all {
			told[i] = len(c.told)
		}
		h.route.Follow(route.New("hall", "test", route.Config{App: new(broadcast.App)}))
		for i, c := range all {
			c.member.reviewPresence()
			pass(2 * time.Second) // in which the others could be told
			for k, other := range all {
				if len(other.told) != told[k] {
					t.Errorf("when %d have left %s is told %q", i+1, other.member.User(), other.told[told[k]:])
				}
			}
		}
		if h.people != nil {
			t.Error("there are still people")
		}
		leave(all...)
	})
}

// Somebody who was to be told who is there when the option was switched off is not.
func TestANewcomerWhilePresenceIsSwitchedOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(0)
		ann := h.enter(t, "ann")
		h.mu.Lock()
		h.people.pausedUntil = time.Now().Add(5 * time.Second) // bob is told later
		h.mu.Unlock()
		bob := h.enter(t, "bob")
		h.route.Follow(route.New("hall", "test", route.Config{App: new(broadcast.App)}))
		ann.member.reviewPresence()
		pass(10 * time.Second)
		if len(bob.told) > 0 {
			t.Errorf("bob is told %q", bob.told)
		}
		bob.member.reviewPresence()
		leave(ann, bob)
	})
}
