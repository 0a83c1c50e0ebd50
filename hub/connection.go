package hub

import (
	"net/http"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/socket"
)

// Connection is a member of a room together with its connection, whose
// [socket.Handler] it is. The connection does not live yet: exactly one of Start,
// Serve, ServeStream, ServeEvents and Abandon must be called.
type Connection struct {
	*room.Member
	hub    *Hub
	socket *socket.Conn
}

// Start sends the client what the member was told so far and reads from it until the
// end; then the member has left the room. It does not wait for that.
func (c *Connection) Start(t socket.Transport) { c.socket.Start(t) }

// Serve is Start, and waits for the end.
func (c *Connection) Serve(t socket.Transport) { c.socket.Serve(t) }

// ServeStream is Serve for a stream of HTTP/2 or HTTP/3, whose handler must not return
// before.
func (c *Connection) ServeStream(w http.ResponseWriter, r *http.Request, d frames.Deflate) {
	c.socket.ServeStream(w, r, d)
}

// ServeEvents is Serve for a visitor that only listens: it writes Server-Sent Events
// to the response, whose header has been written, until one of them ends.
func (c *Connection) ServeEvents(w http.ResponseWriter, r *http.Request) { c.socket.ServeEvents(w, r) }

// Abandon takes back a Join whose handshake failed.
func (c *Connection) Abandon() {
	c.Exit()
	c.depart()
}

// Closed ends the membership. What may take its time, which is what the app says
// to it and the line in the log, has a goroutine of its own.
func (c *Connection) Closed(end socket.End) {
	c.Exit() // before it is counted as ended: see tally.Route.Gather
	c.TraceEnd(end.Code, end.Reason)
	c.Route().Tally.End(uint16(end.Code), end.Traffic, uint64(end.Replaced))
	line := c.hub.log().Check(zap.InfoLevel, "connection ended")
	if _, leaver := c.Route().App().(apps.Leaver); leaver || line != nil {
		go c.part(line, end)
		return
	}
	c.part(nil, end)
}

// part is the last step. What apps do wrong has been caught closer by; anything
// else must not end Caddy.
func (c *Connection) part(line *zapcore.CheckedEntry, end socket.End) {
	defer func() {
		if p := recover(); p != nil {
			c.Log().Error("ending connection", zap.Any("panic", p), zap.Stack("stack"))
		}
	}()
	defer c.depart()
	if line != nil {
		line.Write(append(c.LogFields(), endFields(end)...)...)
	}
}

func (c *Connection) depart() {
	c.Route().Tally.Leave(c.Format().IsEvents())
	c.hub.leave(c.Route(), c.ClientIP())
	c.hub.unseat(c.Room(), stays)
	c.Depart()
}

// Interface guards
var (
	_ socket.Handler = (*Connection)(nil)
	_ room.Conn      = (*socket.Conn)(nil)
)
