package hub

import (
	"context"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
)

// A stored room of a route that forgets is deleted once it has been out of
// memory, that is, without members and requests, for that long. The time counts
// from the last use in this process.

// forgetLater has the room, which has just left memory, deleted if nobody comes.
// Hub.mu is held.
func (h *Hub) forgetLater(room *Room) {
	route := room.currentRoute()
	after := route.config.Load().Forget
	if after <= 0 || room.machine.rev == 0 || h.closed != nil {
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(after, func() { h.forget(room.key, route, timer) })
	h.unused[room.key] = timer
}

// remember keeps a room that is used again. Hub.mu is held.
func (h *Hub) remember(key engines.Key) {
	if timer, ok := h.unused[key]; ok {
		timer.Stop()
		delete(h.unused, key)
	}
}

// forget deletes a stored room, unless it has been used since the timer was set.
func (h *Hub) forget(key engines.Key, route *Route, timer *time.Timer) {
	room := h.referUnused(key, route, timer)
	if room == nil {
		return
	}
	defer h.giveUp(room)
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	err := room.load(ctx, route)
	if err == nil {
		err = room.discard(ctx)
	}
	if err != nil {
		room.report(err)
	}
}

// referUnused is refer for a room that nobody has used since the timer was set,
// else nil.
func (h *Hub) referUnused(key engines.Key, route *Route, timer *time.Timer) *Room {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.unused[key] != timer {
		return nil
	}
	delete(h.unused, key)
	room, err := h.referLocked(key, route)
	if err != nil {
		h.unused[key] = timer
		timer.Reset(time.Minute)
		return nil
	}
	return room
}

// discard deletes what is stored of the room if nobody else has to do with it.
// Who comes meanwhile waits in load, and then finds a new room.
func (r *Room) discard(ctx context.Context) error {
	r.loading.Lock()
	defer r.loading.Unlock()
	if !r.unload() {
		return nil
	}
	return r.machine.delete(ctx)
}

// unload has the state loaded by the next visitor, unless there is one already.
func (r *Room) unload() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refs.Load() > 1 || r.pace.armed {
		return false
	}
	r.shown = shown{}
	return true
}
