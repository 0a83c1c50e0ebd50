package hub

import "github.com/caddyws/caddy-websocket/room"

// People keep rooms in memory in which nobody is: rooms to which users may come back, and, where
// several nodes share rooms, those of which somebody has asked who is there. Together with the rooms that have members these are
// no more than the limit: those that have been so for the longest time give way, to members
// and to others of their kind, first those that were only asked about. So no visitor is refused
// because of them.

// keepForPeople notes that somebody has asked who is in a room.
func (h *Hub) keepForPeople(r *room.Room) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keep(h.rooms.entries[r.Key()])
}

// keep notes that only people keep a room, if that is so. mu is held, and a reference to
// the room.
func (h *Hub) keep(e *entry) {
	if e.seats == 0 && e.kept == nil && e.room.HasPeople() {
		if here, _ := e.room.CountPeople(); here > 0 {
			e.kept = h.rooms.kept.PushBack(e)
		} else {
			e.kept = h.rooms.kept.PushFront(e)
		}
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
	var going []*entry
	for h.rooms.kept.Len() > 0 && h.rooms.seated+h.rooms.kept.Len() > most {
		e := h.rooms.kept.Front().Value.(*entry)
		h.rooms.keepNoLonger(e)
		going = append(going, e)
	}
	if len(going) > 0 {
		h.shared.Go(func() { h.letGo(going) })
	}
}

// giveWayNow follows a limit that may have become lower.
func (h *Hub) giveWayNow() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.giveWay()
}

// letGo ends that people keep rooms, but for those to which somebody has come meanwhile.
func (h *Hub) letGo(rooms []*entry) {
	for _, e := range rooms {
		if h.isLeft(e) {
			e.room.LetGo()
		}
	}
}

// isLeft reports whether nobody has come to a room since it was to give way.
func (h *Hub) isLeft(e *entry) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return e.seats == 0 && e.kept == nil
}
