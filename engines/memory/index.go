package memory

import (
	"maps"
	"slices"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
)

// hour is a time as the index has it: whole hours since 1970, rounded up, so that
// a room is never taken to be unused for longer than it is. Within an hour a Swap
// leaves the index alone.
type hour int64

func hourOf(t time.Time) hour {
	return hour(t.Add(time.Hour-1).Truncate(time.Hour).Unix() / 3600)
}

func (h hour) time() time.Time { return time.Unix(3600*int64(h), 0).UTC() }

// index has the rooms by the hour of their last use.
type index map[hour]map[engines.Key]struct{}

func (x index) move(key engines.Key, from, to hour) {
	x.remove(key, from)
	if x[to] == nil {
		x[to] = make(map[engines.Key]struct{})
	}
	x[to][key] = struct{}{}
}

func (x index) remove(key engines.Key, from hour) {
	delete(x[from], key)
	if len(x[from]) == 0 {
		delete(x, from)
	}
}

// before returns up to n rooms of the hours before a time, in order, behind the given
// one.
func (x index) before(t time.Time, after engines.Use, n int) (uses []engines.Use) {
	first := hourOf(after.Used)
	for _, h := range slices.Sorted(maps.Keys(x)) {
		if h < first {
			continue
		}
		if !h.time().Before(t) || len(uses) >= n {
			break
		}
		for _, key := range slices.SortedFunc(maps.Keys(x[h]), compare) {
			if len(uses) < n && (h > first || compare(key, after.Key) > 0) {
				uses = append(uses, engines.Use{Key: key, Used: h.time()})
			}
		}
	}
	return uses
}
