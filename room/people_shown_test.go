package room

import (
	"strings"
	"testing"
	"testing/synctest"
)

// The list of the people is encoded once for all requests, until it changes.
func TestPeopleAreEncodedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(0)
		ann := h.enter(t, "ann")
		first := h.People()
		if again := h.People(); &again[0] != &first[0] {
			t.Error("it is encoded anew")
		}
		for _, c := range []struct {
			connections string
			change      func() *hearer
		}{
			{`"connections":2`, func() *hearer { return h.enter(t, "ann") }},
			{`"count":2`, func() *hearer { return h.enter(t, "bob") }},
		} {
			defer leave(c.change())
			if now := string(h.People()); !strings.Contains(now, c.connections) {
				t.Errorf("told %s", now)
			}
		}
		leave(ann)
		if now := string(h.People()); !strings.Contains(now, `"connections":1`) {
			t.Errorf("told %s", now)
		}
	})
}

// While what is told is encoded the room goes on.
func TestPeopleAreEncodedBesideTheRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(0)
		ann := h.enter(t, "ann")
		s := h.showPeople()
		h.mu.Lock() // which nobody needs for that
		told := string(s.payload())
		h.mu.Unlock()
		if !strings.Contains(told, `"user":"ann"`) {
			t.Errorf("told %s", told)
		}
		leave(ann)
	})
}
