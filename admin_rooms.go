package caddyws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/room"
)

// shownRoom is a room as the admin API shows it.
type shownRoom struct {
	App     string    `json:"app"`
	Room    string    `json:"room"`
	Members int       `json:"members"`
	Version uint64    `json:"version"`
	Stored  int       `json:"stored_bytes"`
	LastUse time.Time `json:"last_use,omitzero"`
	Error   string    `json:"error,omitempty"` // why what is stored cannot be read
}

func showRoom(v hub.RoomView) shownRoom {
	shown := shownRoom{App: v.App, Room: v.Room, Members: v.Members, Version: v.Version, Stored: v.Size, LastUse: v.Used}
	if v.Err != nil {
		shown.Error = v.Err.Error()
	}
	return shown
}

// roomPage is a page of rooms, in the order of app and name.
type roomPage struct {
	Rooms []shownRoom `json:"rooms"`
	Next  string      `json:"next,omitempty"` // is the parameter after of the next page; empty if there is none
}

// getRooms lists rooms, in memory or stored.
func getRooms(a *App, w http.ResponseWriter, r *http.Request) error {
	p := readParameters(r, "app", "prefix", "limit", "after")
	filter, after, limit := hub.RoomFilter{App: p.text("app"), Prefix: p.text("prefix")}, p.afterRoom(), p.limit()
	if filter.Prefix != "" && filter.App == "" {
		p.fault("prefix needs the parameter app")
	}
	if err := p.check(); err != nil {
		return err
	}
	rooms, last, err := a.hub.PageOfRooms(r.Context(), filter, after, limit)
	if err != nil {
		return apiError(http.StatusInternalServerError, err)
	}
	page := roomPage{Rooms: make([]shownRoom, 0, len(rooms))}
	for _, v := range rooms {
		page.Rooms = append(page.Rooms, showRoom(v))
	}
	if last != (engines.Key{}) {
		page.Next = last.App + "/" + last.Room
	}
	return writeJSON(w, page)
}

// afterRoom is the room that a page comes after: its app, a slash and its name.
func (p *parameters) afterRoom() engines.Key {
	if !p.values.Has("after") {
		return engines.Key{}
	}
	app, name, ok := strings.Cut(p.text("after"), "/")
	if !ok || app == "" || name == "" {
		p.fault("after is %q, expected what next was on the page before", p.text("after"))
	}
	return engines.Key{App: app, Room: name}
}

// roomKey is the room that the parameters app and room name.
func (p *parameters) roomKey() engines.Key {
	p.required("room")
	return engines.Key{App: p.required("app"), Room: p.room()}
}

// roomDetails is a room with what is in it.
type roomDetails struct {
	shownRoom
	View *shownView `json:"view,omitempty"`
	connectionPage
}

// shownView is the state of a room as clients are shown it.
type shownView struct {
	Text string          `json:"text"`
	JSON json.RawMessage `json:"json,omitempty"`
}

// getRoom shows a room, its state and its members.
func getRoom(a *App, w http.ResponseWriter, r *http.Request) error {
	p := readParameters(r, "app", "room", "limit", "after")
	key, after, limit := p.roomKey(), p.id("after"), p.limit()
	if err := p.check(); err != nil {
		return err
	}
	v, err := a.hub.Room(r.Context(), key)
	if err != nil {
		return roomError(err)
	}
	details := roomDetails{shownRoom: showRoom(v)}
	details.connectionPage = a.pageOfConnections(hub.Filter{App: key.App, Room: key.Room}, after, limit)
	if v.Err == nil {
		details.View, err = a.viewOf(r.Context(), key, v.Route)
	}
	if err != nil {
		details.Error = err.Error()
	}
	return writeJSON(w, details)
}

// viewOf returns the state of a room, as the route with a name shows it if there is one;
// nil if it has none, or no route has its app.
func (a *App) viewOf(ctx context.Context, key engines.Key, by string) (*shownView, error) {
	rt := a.hub.RouteTo(key.App, by)
	if rt == nil {
		return nil, nil
	}
	if _, ok := rt.App().(apps.Stateful); !ok {
		return nil, nil
	}
	view, err := a.hub.View(ctx, rt, key.Room)
	if err != nil {
		return nil, err
	}
	shown := &shownView{Text: string(view.Text)}
	if json.Valid(view.JSON) { // what an app says may be anything
		shown.JSON = view.JSON
	}
	return shown, nil
}

// deleteAnswer is what has come of the deletion of a room.
type deleteAnswer struct {
	Closed int `json:"closed"` // connections
}

// deleteRoom deletes what is stored of a room and closes its members.
func deleteRoom(a *App, w http.ResponseWriter, r *http.Request) error {
	p := readParameters(r, "app", "room")
	key := p.roomKey()
	if err := p.check(); err != nil {
		return err
	}
	closed, err := a.hub.DeleteRoom(r.Context(), key)
	if err != nil {
		return roomError(err)
	}
	return writeJSON(w, deleteAnswer{closed})
}

var errChanged = errors.New("another process has changed the room meanwhile: nothing is deleted")

// roomError is why a room is not shown or deleted, as the admin API answers it.
func roomError(err error) error {
	switch {
	case errors.Is(err, hub.ErrNoRoom):
		return apiError(http.StatusNotFound, err)
	case errors.Is(err, engines.ErrConflict), errors.Is(err, engines.ErrNotFound):
		return apiError(http.StatusConflict, errChanged)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return apiError(http.StatusGatewayTimeout, fmt.Errorf("it is not known whether this has been done: %w", err))
	case errors.Is(err, room.ErrUnavailable), errors.Is(err, hub.ErrClosed):
		return apiError(http.StatusServiceUnavailable, err)
	}
	return apiError(http.StatusInternalServerError, err)
}
