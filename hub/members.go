package hub

import (
	"cmp"
	"net/netip"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// Filter chooses members. Of its fields those count that are not zero, all of them.
type Filter struct {
	Number  uint64 // of the member; see room.NumberOf
	Route   string
	App     string
	Room    string // with what its name begins with
	User    string
	Network netip.Addr // see route.Network
}

// matchesRoom reports whether members of a room may be chosen.
func (f Filter) matchesRoom(key engines.Key) bool {
	return (f.App == "" || f.App == key.App) && (f.Room == "" || f.Room == key.Room)
}

// matches reports whether a member of such a room is chosen.
func (f Filter) matches(m *room.Member) bool {
	return (f.Number == 0 || f.Number == m.Number()) &&
		(f.Route == "" || f.Route == m.Route().Name) &&
		(f.User == "" || f.User == m.User()) &&
		(!f.Network.IsValid() || f.Network == route.Network(m.ClientIP()))
}

// EachMember calls f for the members that a filter chooses. Nothing is locked during a
// call. Between calls a room is locked for as long as each of its turns does: to copy the
// list of its members. A member that is there all the time is passed once.
func (h *Hub) EachMember(filter Filter, f func(*room.Member)) {
	h.eachRoom(func(r *room.Room) {
		if !filter.matchesRoom(r.Key()) {
			return
		}
		for _, m := range r.Members() {
			if filter.matches(m) {
				f(m)
			}
		}
	})
}

// Members returns the members that a filter chooses.
func (h *Hub) Members(filter Filter) (found []*room.Member) {
	h.EachMember(filter, func(m *room.Member) { found = append(found, m) })
	return found
}

// PageOfMembers returns at most n members that a filter chooses, in the order in which
// they came, of those that came after the one with a number.
func (h *Hub) PageOfMembers(filter Filter, after uint64, n int) []*room.Member {
	page := least[*room.Member]{n: n, compare: func(a, b *room.Member) int { return cmp.Compare(a.Number(), b.Number()) }}
	h.EachMember(filter, func(m *room.Member) {
		if m.Number() > after {
			page.add(m)
		}
	})
	return page.all()
}

// roomsAtOnce is how many rooms are looked at while the hub is locked.
const roomsAtOnce = 512

// eachRoom calls f for the rooms in memory. Hub.mu is held only for moments, and not
// during a call. A room that is there all the time is passed once.
func (h *Hub) eachRoom(f func(*room.Room)) {
	some := make([]*room.Room, 0, roomsAtOnce)
	pass := func() {
		h.mu.Unlock()
		defer h.mu.Lock()
		for _, r := range some {
			f(r)
		}
		some = some[:0]
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.rooms.entries { // others may change the map between two steps
		if some = append(some, e.room); len(some) == roomsAtOnce {
			pass()
		}
	}
	pass()
}
