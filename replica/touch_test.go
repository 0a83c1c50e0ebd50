package replica

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// touches compares what comes of a Touch.
func (r *room) touches(another, fails bool) {
	r.Helper()
	got, err := r.Touch(r.Context(), time.Minute)
	if got != another || (err != nil) != fails {
		r.Errorf("another snapshot: %v, %v", got, err)
	}
}

// The use is stored once a step, and nothing else is changed.
func TestTouch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		newRoom(t).touches(false, false) // nothing is stored
		r := newStoredRoom(t)
		time.Sleep(59 * time.Second)
		r.touches(false, false)
		if len(r.engine.calls) != 0 {
			t.Errorf("the engine was asked to %v", r.engine.calls)
		}
		time.Sleep(time.Second)
		r.touches(false, false)
		r.touches(false, false)
		if got := strings.Join(r.engine.calls, " "); got != "swap" {
			t.Errorf("the engine was asked to %s", got)
		}
		if r.spare != nil {
			t.Error("an idle room keeps memory for the next commit")
		}
		found, _, err := r.store.read(t.Context(), key)
		if err != nil || found.used != time.Now().Unix() {
			t.Errorf("used %d at %d, %v", found.used, time.Now().Unix(), err)
		}
		r.shows("2@1")
	})
}

// What another process has stored is seen by a Touch, also if the state is loaded only
// for it.
func TestATouchThatSeesAnother(t *testing.T) {
	for name, unload := range map[string]bool{"beaten": false, "loaded": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newStoredRoom(t)
				time.Sleep(time.Minute)
				r.rival().commit([]string{"3"}, "5@2")
				if unload {
					r.Unload()
				}
				r.touches(true, false)
				r.shows("5@2")
			})
		})
	}
}

// After a Touch whose outcome is not known the replica is not settled, until a Commit
// settles it. A Touch also settles what is open, and then there are late results.
func TestATouchOfUnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newStoredRoom(t)
		time.Sleep(time.Minute)
		r.engine.alwaysSwap = lose
		r.touches(false, true)
		if r.IsSettled() {
			t.Error("it is settled")
		}
		r.engine.alwaysSwap = nil
		r.commit(nil)
		if !r.IsSettled() || r.Late() != nil {
			t.Error("it is not settled, or something is late")
		}
		r.shows("2@1")

		r.engine.alwaysSwap = lose
		r.commit([]string{"3"}, "!outcome unknown")
		r.engine.alwaysSwap = nil
		time.Sleep(time.Hour)
		r.touches(true, false)
		if late := told(r.Late()); !r.IsSettled() || len(late) != 1 || late[0] != "5@2" {
			t.Errorf("late are %q", late)
		}
		r.shows("5@2")
	})
}

// A Touch that is refused changes nothing.
func TestARefusedTouch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newStoredRoom(t)
		time.Sleep(time.Minute)
		r.engine.swaps = repeated(1, refuse)
		r.touches(false, true)
		r.commit([]string{"3"}, "5@2")
	})
}
