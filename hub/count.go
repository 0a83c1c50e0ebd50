package hub

import (
	"context"
	"maps"
)

// RoomsWithMembers is how many rooms with members there are of each app.
func (h *Hub) RoomsWithMembers() map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.rooms.by)
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
