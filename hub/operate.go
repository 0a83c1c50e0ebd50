package hub

import (
	"context"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/replica"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// DeleteRoom deletes what is stored of a room, closes its members with 1001, and returns
// how many. After an error nobody is closed; it is [ErrNoRoom], [ErrClosed], or wraps the
// engine's: engines.ErrConflict or engines.ErrNotFound if another process has changed the
// room meanwhile, which then is as that has left it.
func (h *Hub) DeleteRoom(ctx context.Context, key engines.Key) (closed int, err error) {
	v, err := h.Room(ctx, key)
	if err != nil {
		return 0, err
	}
	if err := h.erase(ctx, key, h.RouteTo(key.App, v.Route)); err != nil {
		return 0, err
	}
	for _, m := range h.Members(Filter{App: key.App, Room: key.Room}) {
		m.Close(frames.GoingAway, "room was deleted")
		closed++
	}
	h.log().Info("room deleted by an operator", zap.String("app", key.App), zap.String("room", key.Room), zap.Int("connections", closed))
	return closed, nil
}

// erase deletes what is stored of a room, to which a route leads, or none.
func (h *Hub) erase(ctx context.Context, key engines.Key, rt *route.Route) error {
	r, err := h.acquireToErase(key, rt)
	if err != nil {
		return err
	}
	if r == nil {
		return replica.New(key, &h.store, func(error) {}).DeleteUnread(ctx)
	}
	defer r.Release()
	if err := r.Erase(ctx); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rooms.entries[key].unloaded = nil // it is not stored any more
	return nil
}

// acquireToErase returns a room with a reference taken, in memory or not. It is nil if it
// is not, and no route leads there.
func (h *Hub) acquireToErase(key engines.Key, rt *route.Route) (*room.Room, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.rooms.entries[key]
	switch {
	case h.closed != nil:
		return nil, ErrClosed
	case e != nil && e.room.Stores():
		e.room.Retain()
	case e != nil || rt == nil || !rt.Stores():
		return nil, nil
	default:
		var err error
		if e, err = h.acquireLocked(key, rt, passes); err != nil {
			return nil, err
		}
	}
	e.visited = true
	return e.room, nil
}

// Publish sends a message to the members of a room, and returns how many they are in this
// process. Where messages are kept it is kept also if nobody is in the room, unless the room
// is not stored.
func (h *Hub) Publish(ctx context.Context, key engines.Key, msg apps.Message) (members int) {
	r := h.retain(key)
	if r == nil {
		r = h.findKept(ctx, key)
	}
	if r == nil {
		h.sayElsewhere(key, msg)
		return 0
	}
	defer r.Release()
	return r.Say(msg)
}

// findKept returns a stored room that keeps messages, with a reference taken, or nil.
func (h *Hub) findKept(ctx context.Context, key engines.Key) *room.Room {
	v, err := h.Room(ctx, key)
	if err != nil {
		return nil
	}
	rt := h.RouteTo(key.App, v.Route)
	if rt == nil || !rt.Keeps {
		return nil
	}
	r, err := h.find(ctx, rt, key.Room, passes)
	if err != nil {
		h.log().Error("publishing for an operator", zap.String("app", key.App), zap.String("room", key.Room), zap.Error(err))
		return nil
	}
	return r
}

// sayElsewhere tells other processes a message for a room that is not in memory here. The lock
// keeps the hub from closing meanwhile.
func (h *Hub) sayElsewhere(key engines.Key, msg apps.Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed == nil {
		h.shared.SayTo(key, msg)
	}
}

// retain returns a room that is in memory, with a reference taken, or nil.
func (h *Hub) retain(key engines.Key) *room.Room {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.rooms.entries[key]
	if e == nil {
		return nil
	}
	e.room.Retain()
	return e.room
}
