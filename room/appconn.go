package room

import (
	"context"
	"sync"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/frames"
)

// appConn is a member as an app sees it: an [apps.Conn] and [apps.Worker].
type appConn Member

// App returns the member as an app sees it.
func (m *Member) App() apps.Conn { return (*appConn)(m) }

// Send queues a message for this client.
func (c *appConn) Send(msg apps.Message) {
	c.room.trace(Sent, (*Member)(c), msg.Data, msg.Binary)
	c.conn.Send(msg.Data, msg.Binary)
}

// Close ends the connection.
func (c *appConn) Close(code int, reason string) { c.conn.Close(closeCode(code), reason) }

func closeCode(code int) frames.CloseCode {
	if code < 0 || code > 4999 {
		return frames.InternalError
	}
	return frames.CloseCode(code)
}

// Room returns the room as the app knows it.
func (c *appConn) Room() apps.Room { return (*appRoom)(c) }

// ID names the connection.
func (c *appConn) ID() string { return connectionID(c.number) }

// ClientIP is the client's address as Caddy sees it.
func (c *appConn) ClientIP() string { return c.clientIP }

// User is the authenticated user, or empty.
func (c *appConn) User() string {
	if c.identity == nil {
		return ""
	}
	return c.identity.user
}

// Subprotocol is the agreed subprotocol, or empty.
func (c *appConn) Subprotocol() string {
	if c.identity == nil {
		return ""
	}
	return c.identity.subprotocol
}

// Value returns the app's own value.
func (c *appConn) Value() any {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.extras == nil {
		return nil
	}
	return c.extras.value
}

// SetValue stores the app's own value.
func (c *appConn) SetValue(v any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	(*Member)(c).needExtras().value = v
}

// Context ends with the connection, or with the client's side of it.
func (c *appConn) Context() context.Context { return (*Member)(c).lifetime() }

// Hold keeps a message unsettled until release is called.
func (c *appConn) Hold(n int) (release func()) {
	c.conn.Hold(n)
	return sync.OnceFunc(func() { c.conn.Release(n) })
}

// Go runs f on a goroutine of its own; the room stays in memory as long, and closing
// waits for it.
func (c *appConn) Go(f func()) {
	c.room.Retain()
	go func() {
		defer c.room.Release()
		c.Fail((*Member)(c).try(f))
	}()
}

// Fail acts on err as if Receive had returned it.
func (c *appConn) Fail(err error) {
	if err != nil {
		(*Member)(c).failed(err, nil)
	}
}

// appRoom is the room of a member as an app sees it: what is done through it is
// done on behalf of that member.
type appRoom Member

// Name is the room's name, as people write it.
func (r *appRoom) Name() string { return displayName(r.room.key.Room) }

// Len is the number of members.
func (r *appRoom) Len() int { return r.room.len() }

// Publish sends a message to the members.
func (r *appRoom) Publish(msg apps.Message, except ...apps.Conn) {
	r.room.publish((*Member)(r), msg, except)
}

// Apply queues an operation on the room's state.
func (r *appRoom) Apply(c apps.Conn, op []byte) {
	r.room.apply(r.room.memberOf(c), op)
}

// memberOf returns the member of the room that an app sees as c.
func (r *Room) memberOf(c apps.Conn) *Member {
	conn, ok := c.(*appConn)
	if !ok || conn.room != r {
		panic("applying an operation for a connection of another room")
	}
	return (*Member)(conn)
}

// Interface guards
var (
	_ apps.Conn   = (*appConn)(nil)
	_ apps.Worker = (*appConn)(nil)
	_ apps.Room   = (*appRoom)(nil)
)
