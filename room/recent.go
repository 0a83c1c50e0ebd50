package room

import "github.com/caddyws/caddy-websocket/replica"

// recent is the newest messages of a room, in order and without a gap. By them somebody
// who joins is told what came before in the room's turn, without asking the engine. It
// belongs to the turn.
type recent struct {
	messages []replica.Kept
	size     int // bytes
}

// Bounds of what is recent.
const (
	maxRecent      = 64
	maxRecentBytes = 64 << 10
)

// add adds messages, which come behind those that are there.
func (r *recent) add(fresh []replica.Kept) {
	fresh = fresh[max(len(fresh)-maxRecent, 0):]
	if n := len(fresh); n == maxRecent {
		*r = recent{}
	}
	for i := range fresh {
		r.size += sizeOf(&fresh[i])
	}
	r.messages = append(r.messages, fresh...)
	first := 0
	for len(r.messages)-first > maxRecent || r.size > maxRecentBytes {
		r.size -= sizeOf(&r.messages[first])
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
