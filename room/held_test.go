package room

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
)

// mute is an engine that other processes use, of which nothing is heard.
type mute struct{ engines.Shared }

func newHeldRoom(t *testing.T) *outsideRoom {
	r := newOutsideRoom(t)
	r.shared.SetOthers(mute{}, 1000)
	return r
}

// toldIs is a life of a room as it is stored when so many events are told.
func toldIs(now snapshot, told uint64) snapshot {
	now.events.Told = told
	return now
}

// foreigns returns what happens with events of other processes.
func foreigns(numbers ...int) []happening {
	all := happenings(numbers...)
	for i := range all {
		all[i].foreign = true
	}
	return all
}

// What another process has committed is told here only if that one does not tell it. How many
// are told grows without gaps.
func TestEventsOfOthersAreHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHeldRoom(t)
		expectTold := func(want uint64) {
			t.Helper()
			if told := r.outside.told; told != want {
				t.Errorf("%d are told, want %d", told, want)
			}
		}
		r.handOut(life("E", 2, 2), foreigns(1, 2))
		r.handOut(life("E", 3, 3), happenings(3))
		r.tells(5, 0, "E-3-1")
		expectTold(0)
		time.Sleep(heldPatience - time.Second)
		r.handOut(toldIs(life("E", 3, 3), 1), nil)
		expectTold(1)
		time.Sleep(heldPatience - time.Second) // less since it has grown
		r.handOut(toldIs(life("E", 3, 3), 1), nil)
		r.tells(5, 0)
		time.Sleep(2 * heldPatience)
		r.handOut(toldIs(life("E", 3, 3), 1), nil)
		r.tells(5, 0, "E-2-1")
		expectTold(3)
		r.handOut(toldIs(life("E", 4, 4), 3), foreigns(4))
		r.handOut(toldIs(life("E", 4, 4), 4), nil)
		time.Sleep(time.Hour)
		r.handOut(toldIs(life("E", 4, 4), 4), nil)
		r.tells(5, 0)
		expectTold(4)
		if n := r.shared.untold.Load(); n != 0 {
			t.Errorf("%d bytes wait", n)
		}
	})
}

// As long as what this process has told cannot be stored, others may wait for that.
func TestEventsAreHeldBackWhileNothingIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHeldRoom(t)
		r.handOut(life("E", 2, 2), append(happenings(1), foreigns(2)...))
		r.tells(5, 0, "E-1-1")
		time.Sleep(time.Hour)
		r.handOut(life("E", 2, 2), nil)
		r.tells(5, 0)
		r.handOut(toldIs(life("E", 2, 2), 1), nil)
		time.Sleep(2 * heldPatience)
		r.handOut(toldIs(life("E", 2, 2), 1), nil)
		r.tells(5, 0, "E-2-1")
	})
}

// What is held back takes a place, and gives it back when it is left to others.
func TestEventsThatAreHeldBackTakeAPlace(t *testing.T) {
	r := newHeldRoom(t)
	r.handOut(life("E", 3, 3), append(happenings(1), foreigns(2, 3)...))
	if r.shared.untold.Load() <= 3*untoldOverhead {
		t.Error("what is held back takes no place")
	}
	r.LeaveUntold()
	r.handOut(life("E", 4, 4), foreigns(4))
	if told := r.outside.told; told != 0 {
		t.Errorf("%d are told after all was left", told)
	}
	r.LeaveUntold()
	if n := r.shared.untold.Load(); n != 0 {
		t.Errorf("%d bytes are taken after all is left", n)
	}
}
