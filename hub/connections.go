package hub

import (
	"sync"

	"github.com/caddyws/caddy-websocket/route"
)

// connectionLimit counts the connections of all routes. A plain request is none.
type connectionLimit struct {
	mu sync.Mutex
	n  int // guarded by mu
}

// enter counts a connection, unless it is one too many; most 0 means no limit.
func (c *connectionLimit) enter(most int) (ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if most > 0 && c.n >= most {
		return false
	}
	c.n++
	return true
}

func (c *connectionLimit) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n--
}

// enter counts a connection for the hub and for its address, unless it is one too many.
func (h *Hub) enter(rt *route.Route, clientIP string) error {
	if !h.connections.enter(h.limits.Load().MaxConnections) {
		return ErrTooManyConnections
	}
	if !rt.Enter(clientIP) {
		h.connections.leave()
		return ErrTooManyForClient
	}
	return nil
}

// leave takes a connection back.
func (h *Hub) leave(rt *route.Route, clientIP string) {
	rt.Leave(clientIP)
	h.connections.leave()
}
