package hub

import (
	"net/http"

	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/socket"
)

// Connection is a member of a room together with its connection, which does not live
// yet. Exactly one of Start, Serve, ServeStream, ServeEvents and Abandon must be
// called.
type Connection struct {
	Member *Member
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
	c.Member.room.exit(c.Member)
	c.Member.depart()
}
