package hub

import (
	"net/netip"
	"sync"
)

// census counts the connections: all of them, and those from each address to
// each route. A plain request is none.
type census struct {
	mu sync.Mutex
	// Guarded by mu.
	all int
	by  map[caller]int
}

// caller is who connects to a route.
type caller struct {
	route   string // its name, which a reload keeps
	network netip.Addr
}

// enter counts a connection, unless it is one too many.
func (c *census) enter(route *Route, clientIP string, most int) error {
	who := caller{route.Name, Network(clientIP)}
	mostPerIP := route.config.Load().MaxConnectionsPerIP
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case most > 0 && c.all >= most:
		return ErrFull
	case mostPerIP > 0 && who.network.IsValid() && c.by[who] >= mostPerIP:
		return ErrFullForClient
	}
	if c.by == nil {
		c.by = make(map[caller]int)
	}
	c.all++
	c.by[who]++
	return nil
}

// leave takes a connection back.
func (c *census) leave(route *Route, clientIP string) {
	who := caller{route.Name, Network(clientIP)}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if c.by[who]--; c.by[who] == 0 {
		delete(c.by, who)
	}
}

// Network is who an address counts as: an IPv4 address itself, and for IPv6 the
// network of 64 bits, which one customer usually has. What is no address, as
// with Unix sockets, is not valid.
func Network(ip string) netip.Addr {
	address, err := netip.ParseAddr(ip)
	if err != nil {
		return netip.Addr{}
	}
	address = address.Unmap().WithZone("")
	if address.Is4() {
		return address
	}
	network, _ := address.Prefix(64) // of IPv6 there always is one
	return network.Addr()
}
