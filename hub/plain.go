package hub

import (
	"context"
	"net/http"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/replica"
)

// View is the state of a room as of its last commit.
type View struct {
	Epoch   string // of the room, the same for everybody that looks at it; it changes when the room begins anew
	Version uint64 // operations applied since
	Text    []byte
	JSON    []byte // the message "state" of the subprotocol json
}

// ID names the state: epoch and version.
func (v View) ID() string { return message.Point{Epoch: v.Epoch, Version: v.Version}.String() }

// View shows the state of a room; looking at one stores nothing. The errors are
// those of Join.
func (h *Hub) View(ctx context.Context, route *Route, room string) (View, error) {
	r, err := h.find(ctx, route, room, passes)
	if err != nil {
		return View{}, err
	}
	defer h.release(r)
	s := r.current()
	return View{
		Epoch:   s.epoch,
		Version: s.version,
		Text:    s.view.Text,
		JSON:    s.state().Payload(message.JSON),
	}, nil
}

// askTimeout bounds how long a plain request waits for its answer.
const askTimeout = 30 * time.Second

// Ask hands one message to the app on behalf of a visitor that is a member for
// just that long: the app's Join and Leave are called, but others neither see
// nor count it. The errors are those of Join.
func (h *Hub) Ask(ctx context.Context, route *Route, v Visitor, msg apps.Message) (Answer, error) {
	a := newAnswer()
	m, err := h.admit(ctx, route, v, passes, func(*Member) Conn { return a })
	if err != nil {
		return Answer{}, err
	}
	a.Hold(0)
	m.Message(msg.Data, msg.Binary)
	m.Flush()
	a.Release(0)
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	select {
	case <-a.done:
	case <-h.over:
		a.Abort()
	case <-ctx.Done():
		a.say(Answer{Status: http.StatusGatewayTimeout, Data: []byte("error: " + replica.ErrUnknown.Error())})
	}
	m.depart()
	return a.value, nil
}

// engineKey names a room for the engine.
func engineKey(route *Route, room string) engines.Key {
	return engines.Key{App: route.AppName, Room: room}
}
