package nats

import (
	"sync"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
)

// index knows of each stored room its names, its revision and its times.
type index struct {
	mu sync.Mutex
	// Guarded by mu.
	rooms map[engines.Key]entry
	names ordered // at 0
	used  ordered
	wakes ordered // the rooms that have a wake
	gone  map[engines.Key]uint64
	seen  uint64 // the stream was read up to this sequence
}

// entry is what the index knows of a room.
type entry struct {
	rev uint64
	times
}

// put enters what was stored of a room under a revision, unless something newer is known.
func (x *index) put(key engines.Key, rev uint64, t times) {
	x.mu.Lock()
	defer x.mu.Unlock()
	old, known := x.rooms[key]
	if rev <= old.rev || rev <= x.gone[key] {
		return
	}
	if x.rooms == nil {
		x.rooms = make(map[engines.Key]entry)
	}
	x.rooms[key] = entry{rev, t}
	switch {
	case known && old.times == t: // as nearly always: the orders stay
		return
	case known:
		x.unlink(key, old)
	}
	x.names.add(item{0, key})
	x.used.add(item{int64(t.used), key})
	if t.wake != 0 {
		x.wakes.add(item{int64(t.wake), key})
	}
}

// unlink takes a room out of the orders. The index is locked.
func (x *index) unlink(key engines.Key, e entry) {
	x.names.remove(item{0, key})
	x.used.remove(item{int64(e.used), key})
	if e.wake != 0 {
		x.wakes.remove(item{int64(e.wake), key})
	}
}

// drop enters that a room was deleted under a revision, unless something newer is known. It
// is remembered until the stream has been read beyond that: what is being read may be older.
func (x *index) drop(key engines.Key, rev uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	old, known := x.rooms[key]
	if rev <= old.rev {
		return
	}
	if known {
		x.unlink(key, old)
		delete(x.rooms, key)
	}
	if rev <= x.seen {
		return
	}
	if x.gone == nil {
		x.gone = make(map[engines.Key]uint64)
	}
	x.gone[key] = max(rev, x.gone[key])
}

// advance enters that the stream was read up to a sequence.
func (x *index) advance(seq uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.seen = max(x.seen, seq)
	for key, rev := range x.gone {
		if rev <= x.seen {
			delete(x.gone, key)
		}
	}
}

// position returns up to which sequence the stream was read.
func (x *index) position() uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.seen
}

// reset forgets everything, to read the stream anew.
func (x *index) reset() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.rooms, x.gone, x.seen = nil, nil, 0
	x.names, x.used, x.wakes = ordered{}, ordered{}, ordered{}
}

// revision returns the revision of a room, or of its deletion by this engine; 0 if neither is
// known.
func (x *index) revision(key engines.Key) uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return max(x.rooms[key].rev, x.gone[key])
}

// has reports whether there is a room.
func (x *index) has(key engines.Key) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	_, known := x.rooms[key]
	return known
}

// count returns how many rooms there are.
func (x *index) count() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.rooms)
}

// list returns up to n keys behind the given one.
func (x *index) list(after engines.Key, n int) (keys []engines.Key) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range x.names.after(item{0, after}) {
		if len(keys) >= n {
			break
		}
		keys = append(keys, i.key)
	}
	return keys
}

// unused returns up to n rooms that were last used before a time, behind the given one.
func (x *index) unused(before time.Time, after engines.Use, n int) (uses []engines.Use) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range x.used.after(item{int64(hourOf(after.Used)), after.Key}) {
		at := hour(i.at).time()
		if len(uses) >= n || !at.Before(before) {
			break
		}
		uses = append(uses, engines.Use{Key: i.key, Used: at})
	}
	return uses
}

// due returns up to n rooms whose wake is before a time, behind the given one.
func (x *index) due(before time.Time, after engines.Wake, n int) (wakes []engines.Wake) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range x.wakes.after(item{int64(momentOf(after.At)), after.Key}) {
		at := moment(i.at).time()
		if len(wakes) >= n || !at.Before(before) {
			break
		}
		wakes = append(wakes, engines.Wake{Key: i.key, At: at})
	}
	return wakes
}
