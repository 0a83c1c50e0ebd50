package caddyws

import (
	"net/http"
	"time"

	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/room"
)

// shownConnection is a connection as the admin API shows it.
type shownConnection struct {
	ID          string    `json:"id"`
	Route       string    `json:"route"`
	App         string    `json:"app"`
	Room        string    `json:"room"`
	User        string    `json:"user,omitempty"`
	IP          string    `json:"ip"`
	Transport   string    `json:"transport"`
	Since       time.Time `json:"since"`
	Queued      int       `json:"queued_bytes"`
	MayWrite    bool      `json:"may_write"`
	Expires     time.Time `json:"expires,omitzero"`
	MessagesIn  uint64    `json:"messages_in"`
	MessagesOut uint64    `json:"messages_out"`
	BytesIn     uint64    `json:"bytes_in"`
	BytesOut    uint64    `json:"bytes_out"`
}

// The transports of a connection.
const (
	overWebSocket = "websocket"
	overEvents    = "events"
)

func transport(m *room.Member) string {
	if m.Format().IsEvents() {
		return overEvents
	}
	return overWebSocket
}

func showConnection(m *room.Member) shownConnection {
	v, key := m.View(), m.Room().Key()
	return shownConnection{
		ID: v.ID, Route: m.Route().Name, App: key.App, Room: key.Room, User: v.User, IP: v.ClientIP,
		Transport: transport(m), Since: time.Now().Add(-v.Age).UTC().Truncate(time.Millisecond), Queued: v.Queued,
		MayWrite: !v.ReadOnly, Expires: v.Expires.UTC(),
		MessagesIn: v.MessagesIn, MessagesOut: v.MessagesOut, BytesIn: v.BytesIn, BytesOut: v.BytesOut,
	}
}

// connectionPage is a page of connections, in the order in which they came.
type connectionPage struct {
	Connections []shownConnection `json:"connections"`
	Next        string            `json:"next,omitempty"` // is the parameter after of the next page; empty if there is none
}

// pageOfConnections shows the connections that a filter chooses.
func (a *App) pageOfConnections(filter hub.Filter, after uint64, limit int) connectionPage {
	members := a.hub.PageOfMembers(filter, after, limit)
	page := connectionPage{Connections: make([]shownConnection, 0, len(members))}
	for _, m := range members {
		page.Connections = append(page.Connections, showConnection(m))
	}
	if len(members) == limit {
		page.Next = page.Connections[limit-1].ID
	}
	return page
}

// getConnections lists connections.
func getConnections(a *App, w http.ResponseWriter, r *http.Request) error {
	p := readParameters(r, "id", "route", "room", "user", "ip", "limit", "after")
	filter, after, limit := p.members(), p.id("after"), p.limit()
	if err := p.check(); err != nil {
		return err
	}
	return writeJSON(w, a.pageOfConnections(filter, after, limit))
}
