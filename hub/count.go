package hub

import (
	"context"
	"maps"

	"github.com/caddyws/caddy-websocket/room"
)

// RoomsWithMembers is how many rooms with members there are of each app.
func (h *Hub) RoomsWithMembers() map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.rooms.by)
}

// People is how many people are in rooms on this node, by app. Those that may come back are among
// them, and somebody who is in two rooms counts twice.
func (h *Hub) People() map[string]int {
	by := h.appsWithPresence()
	h.eachRoom(func(r *room.Room) {
		if here, _ := r.CountPeople(); here > 0 {
			by[r.Key().App] += here
		}
	})
	return by
}

// appsWithPresence returns 0 for each app with a route that has the option presence.
func (h *Hub) appsWithPresence() map[string]int {
	by := make(map[string]int)
	routes := h.routes.Load()
	if routes == nil {
		return by
	}
	for _, rt := range *routes {
		if rt.Config().Presence.On {
			by[rt.AppName] = 0
		}
	}
	return by
}

// StoredRooms is how many rooms the engine keeps. It reports false if the engine is not
// open or does not tell.
func (h *Hub) StoredRooms(ctx context.Context) (n int, ok bool) {
	if !h.engine.opened.Load() {
		return 0, false
	}
	n, err := h.roomLimit.count(ctx, h.store.Engine, h.shared.Sharing)
	h.noteFailure("count", err)
	return n, err == nil
}
