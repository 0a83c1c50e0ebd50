package hub

import (
	"context"
	"errors"
	"fmt"

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
// is not stored; then it has been stored when Publish returns. An error tells that the message
// reaches nobody, unless it is replica.ErrUnknown: [ErrClosed], one of room.Room.Load and Say,
// or room.ErrTooLarge.
func (h *Hub) Publish(ctx context.Context, key engines.Key, msg apps.Message) (members int, err error) {
	r := h.retain(key)
	if r == nil {
		if r, err = h.findKept(ctx, key); err != nil {
			return 0, err
		}
	}
	if r == nil {
		return 0, h.sayElsewhere(key, msg)
	}
	defer r.Release()
	if err := r.Load(ctx, r.Route()); err != nil { // it may be in memory only since somebody is about to enter
		return 0, err
	}
	return r.Say(ctx, msg)
}

// findKept returns a stored room that keeps messages, with a reference taken, or nil if there
// is none.
func (h *Hub) findKept(ctx context.Context, key engines.Key) (*room.Room, error) {
	rt := h.keepingRoute(key.App)
	if rt == nil {
		return nil, nil
	}
	if err := h.openFor(ctx, rt); err != nil {
		return nil, fmt.Errorf("%w: opening engine: %w", room.ErrUnavailable, err)
	}
	v, err := h.Room(ctx, key)
	switch {
	case errors.Is(err, ErrNoRoom):
		return nil, nil
	case err != nil:
		return nil, err
	}
	if rt = h.RouteTo(key.App, v.Route); !rt.Keeps {
		return nil, nil
	}
	return h.find(ctx, rt, key.Room, passes)
}

// keepingRoute returns a route of an app that keeps messages, or nil.
func (h *Hub) keepingRoute(app string) *route.Route {
	for _, rt := range *h.routes.Load() {
		if rt.AppName == app && rt.Keeps {
			return rt
		}
	}
	return nil
}

// sayElsewhere tells other processes a message for a room that is not in memory here. The lock
// keeps the hub from closing meanwhile.
func (h *Hub) sayElsewhere(key engines.Key, msg apps.Message) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed != nil {
		return ErrClosed
	}
	return h.shared.SayTo(key, msg)
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
