package hub

import (
	"container/list"
	"errors"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// directory is the rooms in memory. All of it is guarded by Hub.mu.
type directory struct {
	entries map[engines.Key]*entry
	seated  int            // rooms with members
	by      map[string]int // the same, by app
	kept    *list.List     // of entries: rooms that only people keep in memory, the longest so first; see keep.go
}

// entry is what the hub knows of a room in memory.
type entry struct {
	room     *room.Room
	unloaded *unloadedRoom // what the room was before it came into memory; nil if it was not stored
	visited  bool          // by anybody but forget and wake
	leaving  bool          // the forgetter is about to delete the room
	seats    int           // members, and visitors that are about to become one
	kept     *list.Element // in directory.kept, or nil
}

func newDirectory() directory {
	return directory{entries: make(map[engines.Key]*entry), by: make(map[string]int), kept: list.New()}
}

// stay reports whether a visitor is a member. Others are gone when they have been
// answered, and no limit of rooms is about them.
type stay bool

const (
	stays  stay = true
	passes stay = false
)

// acquire takes a reference to the room, which it makes if there is none: two
// rooms of one key never exist at the same time. Release gives it back. A
// visitor that stays also takes a seat, which unseat gives back.
// It reports whether this is the first visitor since the room came into memory.
func (h *Hub) acquire(key engines.Key, rt *route.Route, s stay) (r *room.Room, first bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e, err := h.acquireLocked(key, rt, s)
	if err != nil {
		return nil, false, err
	}
	first = !e.visited
	e.visited = true
	return e.room, first, nil
}

// errLeaving: the room is about to be forgotten, which a wake must not prevent.
var errLeaving = errors.New("the room is about to be forgotten")

// acquireQuietly is acquire for the waker, which does not use the room.
func (h *Hub) acquireQuietly(key engines.Key, rt *route.Route) (*room.Room, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e, ok := h.rooms.entries[key]; ok && e.leaving {
		return nil, errLeaving
	}
	e, err := h.acquireLocked(key, rt, passes)
	if err != nil {
		return nil, err
	}
	return e.room, nil
}

func (h *Hub) acquireLocked(key engines.Key, rt *route.Route, s stay) (*entry, error) {
	if h.closed != nil {
		return nil, ErrClosed
	}
	e, ok := h.rooms.entries[key]
	if s == stays && (!ok || e.seats == 0) && h.fullLocked() {
		return nil, ErrTooManyRooms
	}
	if ok && e.room.Keeps() != rt.Keeps {
		if e.seats == 0 { // users that may come back hold it
			h.shared.Go(e.room.LetGo)
		}
		return nil, ErrSwitched
	}
	if !ok {
		e = &entry{room: room.New(key, rt, &h.shared), unloaded: h.forgetter.noteLoaded(key)}
		h.rooms.entries[key] = e
	}
	if s == stays {
		h.rooms.seat(e)
		h.giveWay()
	}
	e.room.Retain()
	return e, nil
}

// fullLocked reports whether no more rooms may have members.
func (h *Hub) fullLocked() bool {
	most := h.limits.Load().MaxRooms
	return most > 0 && h.rooms.seated >= most
}

// seat counts one more member of a room.
func (d *directory) seat(e *entry) {
	if e.seats++; e.seats == 1 {
		d.keepNoLonger(e)
		d.seated++
		d.by[e.room.Key().App]++
	}
}

// unseat takes back the seat of a visitor that stayed. The room is still held.
func (h *Hub) unseat(r *room.Room, s stay) {
	if s != stays {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.rooms.entries[r.Key()]
	if e.seats--; e.seats == 0 {
		h.rooms.seated--
		h.rooms.by[r.Key().App]--
		h.keep(e)
	}
}

// idle lets a room that nobody has a reference to leave memory: its state, if it has
// any, is stored. Only acquire can bring it back, under the lock.
func (h *Hub) idle(r *room.Room) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.rooms.entries[r.Key()]
	if e == nil || e.room != r || !r.Retire() {
		return
	}
	delete(h.rooms.entries, r.Key())
	h.rooms.keepNoLonger(e)
	h.forgetter.noteUnloaded(e)
	h.waker.noteUnloaded(r)
	h.announceEmpty()
}

// announceEmpty tells Close that the last room has gone. mu is held.
func (h *Hub) announceEmpty() {
	if h.closed != nil && len(h.rooms.entries) == 0 {
		close(h.empty)
	}
}

// all returns the rooms in memory.
func (h *Hub) all() []*room.Room {
	h.mu.Lock()
	defer h.mu.Unlock()
	rooms := make([]*room.Room, 0, len(h.rooms.entries))
	for _, e := range h.rooms.entries {
		rooms = append(rooms, e.room)
	}
	return rooms
}

// visited returns the rooms in memory that anybody but the forgetter has asked for.
func (h *Hub) visited() (rooms []*room.Room) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.rooms.entries {
		if e.visited {
			rooms = append(rooms, e.room)
		}
	}
	return rooms
}

// Rooms is the number of rooms in memory.
func (h *Hub) Rooms() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.rooms.entries)
}

// WaitingBytes is the size of the operations that wait or are being committed.
func (h *Hub) WaitingBytes() int64 { return h.shared.WaitingBytes() }

// members returns the members of all rooms.
func (h *Hub) members() (members []*room.Member) {
	for _, r := range h.all() {
		members = append(members, r.Members()...)
	}
	return members
}
