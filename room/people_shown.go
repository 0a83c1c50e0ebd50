package room

import (
	"sync"

	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/presence"
)

// shown is who is in a room at a time, as it is told outside of the room. It is encoded once
// for all who ask until it changes, and not under the lock of the room.
type shown struct {
	revision uint64 // of the roster
	payload  func() []byte
}

// People tells who is in the room now, as a message of the subprotocol json. The bytes must not
// be changed.
func (r *Room) People() []byte {
	s := r.showPeople()
	if s == nil {
		return Nobody()
	}
	return s.payload()
}

// CountPeople returns how many people are in the room by what this process knows by itself, and
// how many by what others have told, too.
func (r *Room) CountPeople() (here, there int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.people == nil {
		return 0, 0
	}
	return r.people.roster.Here(), r.people.roster.Count()
}

// showPeople returns what is to be told; nil if nobody is there.
func (r *Room) showPeople() *shown {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.people
	if p == nil {
		return nil
	}
	if now := p.roster.Revision(); p.shown == nil || p.shown.revision != now {
		state := p.roster.State()
		p.shown = &shown{now, sync.OnceValue(func() []byte { return payloadOf(state) })}
	}
	return p.shown
}

// Nobody is what People tells of an empty room. The bytes must not be changed.
func Nobody() []byte { return nobodyThere() }

var nobodyThere = sync.OnceValue(func() []byte { return payloadOf(presence.NewRoster().State()) })

func payloadOf(n presence.News) []byte { return messageOf(n).Payload(message.JSON) }
