package memory

import (
	"slices"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
)

// hour is a time as the index of uses has it: whole hours since 1970, rounded up, so
// that a room is never taken to be unused for longer than it is. Within an hour a Swap
// leaves the index alone.
type hour int64

func hourOf(t time.Time) hour {
	return hour(t.Add(time.Hour-1).Truncate(time.Hour).Unix() / 3600)
}

func (h hour) time() time.Time { return time.Unix(3600*int64(h), 0).UTC() }

// moment is a time as the index of wakes has it: milliseconds since 1970, rounded up; 0
// is none.
type moment int64

func momentOf(t time.Time) moment {
	if t.IsZero() {
		return 0
	}
	return max(moment(t.Add(time.Millisecond-1).UnixMilli()), 1)
}

func (m moment) time() time.Time { return time.UnixMilli(int64(m)).UTC() }

// index has rooms by a time.
type index[T hour | moment] struct {
	times []T // in order, each once
	rooms map[T]map[engines.Key]struct{}
}

func (x *index[T]) add(key engines.Key, at T) {
	if x.rooms == nil {
		x.rooms = make(map[T]map[engines.Key]struct{})
	}
	if x.rooms[at] == nil {
		x.rooms[at] = make(map[engines.Key]struct{})
		i, _ := slices.BinarySearch(x.times, at)
		x.times = slices.Insert(x.times, i, at)
	}
	x.rooms[at][key] = struct{}{}
}

func (x *index[T]) remove(key engines.Key, at T) {
	delete(x.rooms[at], key)
	if len(x.rooms[at]) > 0 {
		return
	}
	delete(x.rooms, at)
	if i, ok := slices.BinarySearch(x.times, at); ok {
		x.times = slices.Delete(x.times, i, i+1)
	}
}

// each calls yield for the rooms behind a key at a time, in order, until it returns
// false.
func (x *index[T]) each(at T, after engines.Key, yield func(T, engines.Key) bool) {
	first, _ := slices.BinarySearch(x.times, at)
	for _, t := range x.times[first:] {
		keys := make([]engines.Key, 0, len(x.rooms[t]))
		for key := range x.rooms[t] {
			if t > at || compare(key, after) > 0 {
				keys = append(keys, key)
			}
		}
		slices.SortFunc(keys, compare)
		for _, key := range keys {
			if !yield(t, key) {
				return
			}
		}
	}
}

// unused returns up to n rooms that were last used before a time, behind the given one.
func unused(x *index[hour], before time.Time, after engines.Use, n int) (uses []engines.Use) {
	x.each(hourOf(after.Used), after.Key, func(h hour, key engines.Key) bool {
		if len(uses) >= n || !h.time().Before(before) {
			return false
		}
		uses = append(uses, engines.Use{Key: key, Used: h.time()})
		return true
	})
	return uses
}

// due returns up to n rooms whose wake is before a time, behind the given one.
func due(x *index[moment], before time.Time, after engines.Wake, n int) (wakes []engines.Wake) {
	x.each(momentOf(after.At), after.Key, func(m moment, key engines.Key) bool {
		if len(wakes) >= n || !m.time().Before(before) {
			return false
		}
		wakes = append(wakes, engines.Wake{Key: key, At: m.time()})
		return true
	})
	return wakes
}
