package hub

import (
	"context"
	"fmt"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// View shows the state of a room; looking at one stores nothing. The errors are
// those of Join.
func (h *Hub) View(ctx context.Context, rt *route.Route, name string) (room.View, error) {
	r, err := h.find(ctx, rt, name, passes)
	if err != nil {
		return room.View{}, err
	}
	defer r.Release()
	return r.View(), nil
}

// Presence tells who is in a room, as a message of the subprotocol json. The errors are those
// of Join.
func (h *Hub) Presence(ctx context.Context, rt *route.Route, name string) ([]byte, error) {
	if h.shared.Sharing {
		return h.presenceEverywhere(ctx, rt, name)
	}
	r := h.retain(engines.Key{App: rt.AppName, Room: name})
	if r == nil {
		return room.Nobody(), nil
	}
	defer r.Release()
	return r.People(), nil
}

// presenceEverywhere is Presence where other processes may have the room, too.
func (h *Hub) presenceEverywhere(ctx context.Context, rt *route.Route, name string) ([]byte, error) {
	r, err := h.find(ctx, rt, name, passes)
	if err != nil {
		return nil, err
	}
	defer r.Release()
	r.Listen(ctx)
	defer h.keepForPeople(r)
	return r.PeopleEverywhere(ctx), nil
}

// History shows messages of a room whose route keeps them; looking stores nothing. The errors
// are those of Join.
func (h *Hub) History(ctx context.Context, rt *route.Route, name string, seen room.Seen, limit int) (room.History, error) {
	r, err := h.find(ctx, rt, name, passes)
	if err != nil {
		return room.History{}, err
	}
	defer r.Release()
	if err := r.CatchUpWith(ctx, seen); err != nil {
		return room.History{}, err
	}
	shown, err := r.History(ctx, seen, limit)
	if err != nil {
		err = fmt.Errorf("%w: %w", room.ErrUnavailable, err)
	}
	return shown, err
}

// askTimeout bounds how long a plain request waits for its answer.
const askTimeout = 30 * time.Second

// Ask hands one message to the app on behalf of a visitor that is a member for
// just that long: the app's Join and Leave are called, but others neither see
// nor count it. once is nil, or has what the message does count once. The errors are those of Join.
func (h *Hub) Ask(ctx context.Context, rt *route.Route, v room.Visitor, msg apps.Message, once *room.OperationID) (room.Answer, error) {
	x := room.NewExchange()
	m, err := h.admit(ctx, rt, v, passes, func(*room.Member) room.Conn { return x })
	if err != nil {
		return room.Answer{}, err
	}
	x.Begin(m, msg, once)
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	select {
	case <-x.Done():
	case <-h.over.Done():
		x.Abort()
	case <-ctx.Done():
		x.GiveUp()
	}
	m.Depart()
	return x.Answer(), nil
}
