package enginestest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
)

var unused = map[string]func(*testing.T, *subject){
	"rooms in use are not unused":          inUse,
	"a use moves a room in the index":      usedAgain,
	"unused rooms come in pages, in order": unusedPages,
}

const day = 24 * time.Hour

// inUse: at any minute a room is not unused since a time before its use, and it is
// an hour later.
func inUse(t *testing.T, s *subject) {
	base := today.Truncate(time.Hour)
	for i, used := range []time.Time{base, base.Add(1), base.Add(time.Minute), base.Add(time.Hour - 1), base.Add(-1), time.Unix(0, 0)} {
		key := engines.Key{App: "sum", Room: fmt.Sprint(i)}
		rev := s.swapValue(key, 0, engines.Value{Used: used})
		s.expectUnused(used)
		s.expectUnused(used.Add(-day))
		s.expectUnused(used.Add(time.Hour+1), key)
		s.remove(key, rev)
		s.expectUnused(used.Add(day))
	}
	if uses, err := s.Unused(t.Context(), today, engines.Use{}, 0); err != nil || len(uses) != 0 {
		t.Errorf("none of them: %v, %v", uses, err)
	}
}

func usedAgain(_ *testing.T, s *subject) {
	rev := s.swapValue(room, 0, engines.Value{Used: today})
	s.swapValue(next, 0, engines.Value{Used: today.Add(day)})
	s.expectUnused(today.Add(2*day), room, next)
	rev = s.swapValue(room, rev, engines.Value{Used: today.Add(time.Minute)})
	rev = s.swapValue(room, rev, engines.Value{Used: today.Add(3 * day)})
	s.expectUnused(today.Add(2*day), next)
	s.expectUnused(today.Add(4*day), next, room)
	rev = s.swapValue(room, rev, engines.Value{Used: today.Add(-day)}) // a clock that was set back
	s.expectUnused(today, room)
	s.remove(room, rev)
	s.expectUnused(today.Add(4*day), next)
}

// unusedPages: with rooms of the same hour, and while those of the page before are
// deleted or used again.
func unusedPages(t *testing.T, s *subject) {
	var want []engines.Key
	revs := make(map[engines.Key]uint64)
	for i := range 12 {
		key := engines.Key{App: "sum", Room: fmt.Sprint(i % 4 * 100)}
		if i >= 4 {
			key.App = fmt.Sprint("app", i/4)
		}
		revs[key] = s.swapValue(key, 0, engines.Value{Used: today.Add(-time.Duration(i/4) * day)})
		want = append(want, key)
	}
	slices.Reverse(want[:4])
	slices.Reverse(want[4:8])
	slices.Reverse(want[8:])
	slices.Reverse(want)
	var got []engines.Key
	var last engines.Use
	for {
		page, err := s.Unused(t.Context(), today.Add(day), last, 5)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		last = page[len(page)-1]
		for i, use := range page {
			got = append(got, use.Key)
			switch i % 3 {
			case 0:
				s.remove(use.Key, revs[use.Key])
			case 1:
				s.swapValue(use.Key, revs[use.Key], engines.Value{Used: today.Add(9 * day)})
			}
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// expectUnused expects the rooms that were last used before a time.
func (s *subject) expectUnused(before time.Time, want ...engines.Key) {
	s.t.Helper()
	uses, err := s.Unused(s.t.Context(), before, engines.Use{}, 100)
	var keys []engines.Key
	for i, use := range uses {
		keys = append(keys, use.Key)
		if !use.Used.Before(before) || i > 0 && use.Used.Before(uses[i-1].Used) {
			s.t.Errorf("%v is before %v, in order", uses, before)
		}
	}
	if err != nil || !slices.Equal(keys, want) {
		s.t.Errorf("unused since %v: %v, %v; want %v", before, keys, err, want)
	}
}
