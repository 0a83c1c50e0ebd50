package room

import (
	"fmt"
	"slices"
	"testing"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/replica"
)

// outsideRoom is a room whose events a test takes.
type outsideRoom struct {
	*Room
	t     *testing.T
	calls int // of HasNews
}

func newOutsideRoom(t *testing.T) *outsideRoom {
	r, _ := emptyRoom(0)
	o := &outsideRoom{r, t, 0}
	r.shared.HasNews = func(*Room) { o.calls++ }
	r.shared.Go = func(func()) {} // nothing is stored
	r.Retain()
	return o
}

// life is a life of a room with so many events, of which the last ones are kept.
func life(epoch string, total, kept int) snapshot {
	now := snapshot{epoch: epoch, version: uint64(total), events: replica.Events{Total: uint64(total)}}
	for n := total - kept + 1; n <= total; n++ {
		now.events.Kept = append(now.events.Kept, event(n))
	}
	return now
}

// event is the n-th event of a room, which has one for each version.
func event(n int) replica.Event {
	return replica.Event{Event: apps.Event{Name: "alert", Body: apps.Body{Text: fmt.Append(nil, n)}}, Place: replica.Place{Version: uint64(n), Number: 1}}
}

func happenings(numbers ...int) (all []happening) {
	for _, n := range numbers {
		all = append(all, happening{Event: event(n)})
	}
	return all
}

// tells takes at most so many events, and compares their IDs and how many were dropped since
// it was last called.
func (r *outsideRoom) tells(most, dropped int, want ...string) {
	r.t.Helper()
	var ids []string
	for range most {
		news, ok := r.Untold()
		if !ok {
			break
		}
		ids = append(ids, news.ID)
		r.Told()
	}
	if _, lost := r.shared.dropped.take(); !slices.Equal(ids, want) || lost != dropped {
		r.t.Errorf("told %v with %d dropped, want %v with %d", ids, lost, want, dropped)
	}
}

// All that happens is told once, in order: also what was not noted as it happened, as far
// as it is kept. Whoever tells it is called once, until nothing is left.
func TestEachEventIsHandedOutOnce(t *testing.T) {
	r := newOutsideRoom(t)
	r.handOut(life("E", 0, 0), nil)
	r.handOut(life("E", 4, 2), nil) // found in memory
	r.handOut(life("E", 5, 2), happenings(5))
	r.handOut(life("E", 6, 2), happenings(5, 6))        // of which one is noted
	r.handOut(life("E", 9, 2), happenings(9))           // and one is seen only now
	r.handOut(life("E", 12, 0), happenings(10, 11, 12)) // too long to be kept
	if r.calls != 1 {
		t.Errorf("HasNews was called %d times", r.calls)
	}
	r.tells(20, 3, "E-3-1", "E-4-1", "E-5-1", "E-6-1", "E-8-1", "E-9-1", "E-10-1", "E-11-1", "E-12-1")
	r.handOut(life("E", 12, 0), nil)
	if r.calls != 1 {
		t.Errorf("HasNews was called for nothing")
	}
	r.handOut(life("E", 13, 1), happenings(13))
	if r.tells(20, 0, "E-13-1"); r.calls != 2 {
		t.Errorf("HasNews was called %d times", r.calls)
	}
	if n, told := r.shared.untold.Load(), r.outside.told; n != 0 || told != 13 || r.outside.waiting != nil {
		t.Errorf("%d bytes wait, %d are told", n, told)
	}
}

// What is told of a life that has ended is not counted among what is told of the next.
func TestEventsOfALifeThatHasEndedAreTold(t *testing.T) {
	r := newOutsideRoom(t)
	r.handOut(life("E", 3, 3), happenings(1, 2, 3))
	r.handOut(life("F", 2, 2), happenings(1, 2))
	r.tells(3, 0, "E-1-1", "E-2-1", "E-3-1")
	if r.outside.told != 0 {
		t.Errorf("%d are told", r.outside.told)
	}
	r.tells(1, 0, "F-1-1")
	if r.outside.told != 1 {
		t.Errorf("%d are told", r.outside.told)
	}
}

// What was told when a room comes into memory is not told again.
func TestEventsThatWereToldBefore(t *testing.T) {
	r := newOutsideRoom(t)
	now := life("E", 5, 5)
	now.events.Told = 3
	r.handOut(now, nil)
	r.tells(5, 0, "E-4-1", "E-5-1")
}

// What does not find a place is dropped, and takes none. What is left to the next process
// takes none either.
func TestEventsThatFindNoPlace(t *testing.T) {
	r := newOutsideRoom(t)
	r.shared.untold.Store(maxUntold - untoldOverhead - 1)
	r.handOut(life("E", 1, 0), happenings(1)) // which fills it
	r.handOut(life("E", 2, 0), happenings(2))
	if n := r.shared.untold.Load(); n != maxUntold {
		t.Errorf("%d bytes are taken, want %d", n, maxUntold)
	}
	r.tells(5, 1, "E-1-1")
	r.handOut(life("E", 4, 0), happenings(3, 4))
	r.LeaveUntold()
	if n := r.shared.untold.Load(); n != maxUntold-untoldOverhead-1 || r.outside.waiting != nil {
		t.Errorf("%d bytes are taken after all is left", n)
	}
}
