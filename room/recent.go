package room

import "github.com/caddyws/caddy-websocket/replica"

// recent is the newest messages of a room, in order and without a gap. From them a
// joiner is told in the room's turn what came before, without asking the engine. They
// belong to the turn.
type recent struct {
	messages []replica.Kept
	size     int // bytes
}

// Bounds of what is recent. Where all rooms together have too much of it, a room that says
// something begins anew with nothing.
const (
	maxRecent         = 64
	maxRecentBytes    = 64 << 10
	maxHubRecentBytes = 64 << 20
	recentOverhead    = 200 // about what a message takes beside its bytes
)

// remember adds messages to those that are recent, which they come behind.
func (r *Room) remember(fresh []replica.Kept) {
	if r.shared.recent.Load() > maxHubRecentBytes {
		r.forgetRecent()
		return
	}
	before := r.recent.size
	r.recent.add(fresh)
	r.shared.recent.Add(int64(r.recent.size - before))
}

// rememberLoaded is remember for what was read when the room was loaded. Rooms in which
// something is said leave half of the memory to those that are only loaded.
func (r *Room) rememberLoaded(newest []replica.Kept) {
	if r.shared.recent.Load() <= maxHubRecentBytes/2 {
		r.remember(newest)
	}
}

// forgetRecent is for when the recent messages are none of the room any more, or too many.
func (r *Room) forgetRecent() {
	r.shared.recent.Add(-int64(r.recent.size))
	r.recent = recent{}
}

// add adds messages, which come behind those that are there.
func (r *recent) add(fresh []replica.Kept) {
	fresh = fresh[max(len(fresh)-maxRecent, 0):]
	if n := len(fresh); n == maxRecent {
		*r = recent{}
	}
	for i := range fresh {
		r.size += recentOverhead + sizeOf(&fresh[i])
	}
	r.messages = append(r.messages, fresh...)
	first := 0
	for len(r.messages)-first > maxRecent || r.size > maxRecentBytes {
		r.size -= recentOverhead + sizeOf(&r.messages[first])
		first++
	}
	clear(r.messages[:first])
	r.messages = r.messages[first:]
}

func sizeOf(k *replica.Kept) int { return len(k.Text) + len(k.JSON) }

// from returns the messages from a version on. ok reports whether all of them are there, as
// far as there are any up to the last version.
func (r *recent) from(version, last uint64) (messages []replica.Kept, ok bool) {
	if version > last {
		return nil, true
	}
	if len(r.messages) == 0 || r.messages[0].Version > version || r.messages[len(r.messages)-1].Version != last {
		return nil, false
	}
	return r.messages[version-r.messages[0].Version:], true
}
