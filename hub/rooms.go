package hub

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// RoomView is a room, in memory or stored, as an operator is shown it.
type RoomView struct {
	engines.Key
	Members  int
	People   int    // by the option presence, of all nodes
	Version  uint64 // operations applied
	IsStored bool
	Size     int       // bytes that the engine keeps for it
	Used     time.Time // when it was last used, as far as is stored; zero if that is not known
	Route    string    // name of the route that it is of, or that has last stored it; empty if that is not known
	Err      error     // why what is stored cannot be read, or nil
}

// ErrNoRoom reports that a room is neither in memory nor stored.
var ErrNoRoom = errors.New("there is no such room")

// Room shows a room. The error is [ErrNoRoom] or that of the engine.
func (h *Hub) Room(ctx context.Context, key engines.Key) (RoomView, error) {
	v := RoomView{Key: key}
	r := h.inMemory(key)
	if r != nil {
		v.Members, v.Version = r.Len(), r.View().Version
		_, v.People = r.CountPeople()
		v.Route = r.Route().Name
	}
	if !h.engine.opened.Load() {
		return v, noRoomUnless(r != nil)
	}
	found, err := h.store.Look(ctx, key)
	switch {
	case errors.Is(err, engines.ErrNotFound):
		return v, noRoomUnless(r != nil)
	case err != nil && ctx.Err() != nil:
		return v, err
	}
	v.IsStored, v.Size, v.Used, v.Route, v.Err = true, found.Size, found.Used, cmp.Or(v.Route, found.Route), err
	v.Version = max(v.Version, found.Version)
	return v, nil
}

func noRoomUnless(there bool) error {
	if there {
		return nil
	}
	return ErrNoRoom
}

// inMemory returns a room that is in memory, without a reference, or nil.
func (h *Hub) inMemory(key engines.Key) *room.Room {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e := h.rooms.entries[key]; e != nil {
		return e.room
	}
	return nil
}

// RoomFilter chooses rooms by their names.
type RoomFilter struct {
	App    string // of all apps if it is empty
	Prefix string // needs App
}

func (f RoomFilter) matches(key engines.Key) bool {
	return (f.App == "" || f.App == key.App) && strings.HasPrefix(key.Room, f.Prefix)
}

// first returns a key that stands right before the first that may be chosen. The names of
// rooms are UTF-8, so that none has the byte 0xff.
func (f RoomFilter) first() engines.Key {
	last := len(f.Prefix) - 1
	if last < 0 {
		return engines.Key{App: f.App}
	}
	return engines.Key{App: f.App, Room: f.Prefix[:last] + string([]byte{f.Prefix[last] - 1, 0xff})}
}

// PageOfRooms returns at most n rooms that a filter chooses, in memory or stored, in the
// order of their keys, of those after the given one. last is the key that the next page
// comes after; it is zero if there is none. The error is that of the engine.
func (h *Hub) PageOfRooms(ctx context.Context, filter RoomFilter, after engines.Key, n int) (rooms []RoomView, last engines.Key, err error) {
	if compareKeys(after, filter.first()) < 0 {
		after = filter.first()
	}
	page := least[engines.Key]{n: n, compare: compareKeys}
	stored, err := h.storedKeys(ctx, after, n)
	if err != nil {
		return nil, last, err
	}
	for _, key := range stored {
		if filter.matches(key) {
			page.add(key)
		}
	}
	h.eachRoom(func(r *room.Room) {
		if key := r.Key(); filter.matches(key) && compareKeys(key, after) > 0 {
			page.add(key)
		}
	})
	keys := page.all()
	if len(keys) == n {
		last = keys[n-1]
	}
	rooms, err = h.views(ctx, keys)
	return rooms, last, err
}

// views shows rooms, without those that have gone meanwhile.
func (h *Hub) views(ctx context.Context, keys []engines.Key) ([]RoomView, error) {
	views := make([]RoomView, 0, len(keys))
	for _, key := range keys {
		switch v, err := h.Room(ctx, key); {
		case err == nil:
			views = append(views, v)
		case !errors.Is(err, ErrNoRoom):
			return nil, err
		}
	}
	return views, nil
}

// storedKeys returns at most n keys of stored rooms after the given one.
func (h *Hub) storedKeys(ctx context.Context, after engines.Key, n int) (keys []engines.Key, err error) {
	defer recovered(&err)
	if !h.engine.opened.Load() {
		return nil, nil
	}
	keys, err = h.store.Engine.List(ctx, after, n)
	h.noteFailure("list", err)
	return keys, err
}

func compareKeys(a, b engines.Key) int {
	return cmp.Or(cmp.Compare(a.App, b.App), cmp.Compare(a.Room, b.Room))
}

// RouteTo returns a route of the configuration that is running by which visitors come to
// rooms of an app: the one with a name, or else the first. It is nil if there is none.
func (h *Hub) RouteTo(app, name string) (found *route.Route) {
	for _, rt := range *h.routes.Load() {
		if rt.AppName == app && (found == nil || rt.Name == name && found.Name != name) {
			found = rt
		}
	}
	return found
}
