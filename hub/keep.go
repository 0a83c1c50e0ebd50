package hub

import "github.com/caddyws/caddy-websocket/room"

// People keep rooms in memory in which nobody is: users that may come back, and those that
// somebody has asked for at several nodes. Together with the rooms that have members these are
// no more than the limit: those that have been so for the longest time give way, to members
// and to others of their kind. So no visitor is refused because of them.

// keepForPeople notes that somebody has asked who is in a room.
func (h *Hub) keepForPeople(r *room.Room) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keep(h.rooms.entries[r.Key()])
}

// keep notes that only people keep a room, if that is so. mu is held, and the room as well.
func (h *Hub) keep(e *entry) {
	if e.seats == 0 && e.kept == nil && e.room.HasPeople() {
		e.kept = h.rooms.kept.PushBack(e)
		h.giveWay()
	}
}

// keepNoLonger takes a room out of those that only people keep.
func (d *directory) keepNoLonger(e *entry) {
	if e.kept != nil {
		d.kept.Remove(e.kept)
		e.kept = nil
	}
}

// giveWay has rooms that only people keep leave memory, until there are no more than the limit
// allows. mu is held.
func (h *Hub) giveWay() {
	most := h.limits.Load().MaxRooms
	if most <= 0 || h.closed != nil {
		return
	}
	var going []*room.Room
	for h.rooms.kept.Len() > 0 && h.rooms.seated+h.rooms.kept.Len() > most {
		e := h.rooms.kept.Front().Value.(*entry)
		h.rooms.keepNoLonger(e)
		going = append(going, e.room)
	}
	if len(going) > 0 {
		h.shared.Go(func() { letGo(going) })
	}
}

// giveWayNow follows a limit that may have become lower.
func (h *Hub) giveWayNow() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.giveWay()
}

func letGo(rooms []*room.Room) {
	for _, r := range rooms {
		r.LetGo()
	}
}
