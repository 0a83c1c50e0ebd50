package enginestest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
)

var due = map[string]func(*testing.T, *subject){
	"rooms are due when their wake has come": dueInTime,
	"a swap moves a wake in the index":       dueMoved,
	"rooms that are due come in pages":       duePages,
	"wakes are there after opening again":    dueReopened,
}

func wakes(at time.Time) engines.Value {
	return engines.Value{State: []byte("state"), Used: today, Wake: at}
}

// dueInTime: never before its time, and at most a millisecond later.
func dueInTime(t *testing.T, s *subject) {
	base := today.Truncate(time.Hour)
	s.swap(next, 0, "never to be woken")
	for i, at := range []time.Time{base, base.Add(1), base.Add(time.Millisecond - 1), base.Add(-1), time.Unix(0, 1), base.AddDate(1000, 0, 0)} {
		key := engines.Key{App: "sum", Room: fmt.Sprint(i)}
		rev := s.swapValue(key, 0, wakes(at))
		s.expectDue(at)
		s.expectDue(at.Add(-day))
		s.expectDue(at.Add(2*time.Millisecond), key)
		s.expect(key, "state", rev)
		s.remove(key, rev)
		s.expectDue(at.Add(day))
	}
	before := time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC) // long before all that a clock shows
	rev := s.swapValue(room, 0, wakes(before))
	s.expectDue(today, room)
	s.remove(room, rev)
	if wakes, err := s.Due(t.Context(), today, engines.Wake{}, 0); err != nil || len(wakes) != 0 {
		t.Errorf("none of them: %v, %v", wakes, err)
	}
}

func dueMoved(t *testing.T, s *subject) {
	far := today.Add(100 * day)
	rev := s.swap(room, 0, "x")
	other := s.swapValue(next, 0, wakes(today.Add(day)))
	s.expectDue(far, next)
	rev = s.swapValue(room, rev, wakes(today))
	s.expectDue(far, room, next)
	if _, err := s.Swap(t.Context(), room, rev+1, wakes(today.Add(9*day))); err == nil {
		t.Error("swapped at another revision")
	}
	rev = s.swapValue(room, rev, wakes(today.Add(2*day)))
	s.expectDue(far, next, room)
	s.expectDue(today.Add(day + 1))
	s.expectDue(today.Add(day+time.Millisecond), next)
	rev = s.swapValue(room, rev, wakes(today.Add(-2*day)))
	s.expectDue(today, room)
	rev = s.swap(room, rev, "nothing any more")
	s.expect(room, "nothing any more", rev)
	s.expectDue(far, next)
	s.remove(next, other)
	s.expectDue(far)
	s.expectUnused(today.Add(day), room)
}

// duePages: with rooms of the same time, and while those of the page before are woken.
func duePages(t *testing.T, s *subject) {
	revs := make(map[engines.Key]uint64)
	var want []engines.Key
	for i := range 12 {
		key := engines.Key{App: fmt.Sprint("app", i/4), Room: fmt.Sprint(i % 4)}
		revs[key] = s.swapValue(key, 0, wakes(today.Add(time.Duration(i/8)*day)))
		want = append(want, key)
	}
	var got []engines.Key
	var last engines.Wake
	for {
		page, err := s.Due(t.Context(), today.Add(2*day), last, 5)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		last = page[len(page)-1]
		for i, wake := range page {
			got = append(got, wake.Key)
			switch i % 3 {
			case 0:
				s.remove(wake.Key, revs[wake.Key])
			case 1:
				s.swapValue(wake.Key, revs[wake.Key], wakes(today.Add(9*day)))
			}
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func dueReopened(_ *testing.T, s *subject) {
	rev := s.swapValue(room, 0, wakes(today))
	s.reopen()
	s.expect(room, "state", rev)
	s.expectDue(today.Add(day), room)
	s.remove(room, rev)
	s.reopen()
	s.expectDue(today.Add(day))
}

// expectDue expects the rooms whose wake is before a time, in order.
func (s *subject) expectDue(before time.Time, want ...engines.Key) {
	s.t.Helper()
	found, err := s.Due(s.t.Context(), before, engines.Wake{}, 100)
	var keys []engines.Key
	for i, wake := range found {
		keys = append(keys, wake.Key)
		if !wake.At.Before(before) || i > 0 && wake.At.Before(found[i-1].At) {
			s.t.Errorf("%v is before %v, in order", found, before)
		}
	}
	if err != nil || !slices.Equal(keys, want) {
		s.t.Errorf("due before %v: %v, %v; want %v", before, keys, err, want)
	}
}
