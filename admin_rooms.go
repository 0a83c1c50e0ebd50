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
	"github.com/caddyws/caddy-websocket/route"
)

// shownRoom is a room as the admin API shows it.
type shownRoom struct {
	App     string    `json:"app"`
	Room    string    `json:"room"`
	Members int       `json:"members"`
	People  int       `json:"people,omitempty"` // by the option presence
	Version uint64    `json:"version"`
	Stored  int       `json:"stored_bytes"`
	LastUse time.Time `json:"last_use,omitzero"`
	Error   string    `json:"error,omitempty"` // why what is stored cannot be read
}

func showRoom(v hub.RoomView) shownRoom {
	shown := shownRoom{App: v.App, Room: v.Room, Members: v.Members, People: v.People, Version: v.Version, Stored: v.Size, LastUse: v.Used}
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
	View     *shownView      `json:"view,omitempty"`
	History  *shownHistory   `json:"history,omitempty"`
	Presence json.RawMessage `json:"presence,omitempty"` // as clients are told it
	connectionPage
}

// shownHistory is what a room keeps of its messages: those from the version first to last.
type shownHistory struct {
	Epoch string `json:"epoch"`
	First uint64 `json:"first"` // last+1 if none is kept
	Last  uint64 `json:"last"`
	Kept  uint64 `json:"kept"` // how many these are
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
	if rt := a.hub.RouteTo(key.App, v.Route); rt != nil && v.Err == nil {
		err = details.look(r.Context(), a, rt)
	}
	if err != nil {
		details.Error = err.Error()
	}
	return writeJSON(w, details)
}

// look adds what is in the room, as a route that leads to it shows it.
func (d *roomDetails) look(ctx context.Context, a *App, rt *route.Route) (err error) {
	key := engines.Key{App: d.App, Room: d.Room}
	if rt.Config().Presence.On {
		if d.Presence, err = a.hub.Presence(ctx, rt, key.Room); err != nil {
			return err
		}
	}
	if rt.Keeps {
		d.History, err = a.historyOf(ctx, key, rt)
	} else {
		d.View, err = a.viewOf(ctx, key, rt)
	}
	return err
}

// historyOf returns which messages of a room are kept.
func (a *App) historyOf(ctx context.Context, key engines.Key, rt *route.Route) (*shownHistory, error) {
	h, err := a.hub.History(ctx, rt, key.Room, room.Seen{}, 1)
	if err != nil {
		return nil, err
	}
	first := min(h.First, h.Last+1) // another node may have removed more meanwhile
	return &shownHistory{Epoch: h.Epoch, First: first, Last: h.Last, Kept: h.Last + 1 - first}, nil
}

// viewOf returns the state of a room, as a route shows it; nil if it has none.
func (a *App) viewOf(ctx context.Context, key engines.Key, rt *route.Route) (*shownView, error) {
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
