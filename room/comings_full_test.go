package room

import (
	"strings"
	"testing"
	"testing/synctest"
)

// When much waits to be told outside, that people come and go is left out first: the rest of the
// place is for events of apps. The log says so.
func TestComingsAreLeftOutBeforeEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(0)
		var told []string
		h.shared.HasNews = func(r *Room) {
			go func() {
				for n, ok := r.Untold(); ok; n, ok = r.Untold() {
					told = append(told, n.Name+" "+n.ID)
					r.Told()
				}
				r.Release()
			}()
		}
		ann := h.enter(t, "ann")
		h.shared.untold.Add(maxUntold/2 + 1) // of other rooms
		bob := h.enter(t, "bob")
		leave(bob)
		h.handOut(life("E", 1, 1), happenings(1)) // there is a place for that
		synctest.Wait()
		if got := strings.Join(told, ", "); got != "joined , alert E-1-1" {
			t.Errorf("told %q", got)
		}
		dropped := int64(0)
		for _, line := range h.logs.FilterMessageSnippet("too many events").All() {
			dropped += line.ContextMap()["events"].(int64)
		}
		if dropped != 2 {
			t.Errorf("the log tells of %d events", dropped)
		}
		h.shared.untold.Add(-(maxUntold/2 + 1))
		carl := h.enter(t, "carl")
		if got := strings.Join(told, ", "); got != "joined , alert E-1-1, joined " {
			t.Errorf("then told %q", got)
		}
		leave(ann, carl)
		synctest.Wait()
		if n := h.shared.untold.Load(); n != 0 {
			t.Errorf("%d bytes wait", n)
		}
	})
}
