package route

import (
	"net/netip"
	"sync"
)

// clients counts the connections from each address to a route, and to those of other
// configurations that the route has been or has become: they share it.
type clients struct {
	mu sync.Mutex
	// Guarded by mu.
	successor *clients // what counts instead, if not nil
	by        map[netip.Addr]int
}

func newClients() *clients { return &clients{by: make(map[netip.Addr]int)} }

// Enter counts a connection from an address, and reports whether that is within
// MaxConnectionsPerIP: if not, it is not counted.
func (r *Route) Enter(clientIP string) (ok bool) {
	network, most := Network(clientIP), r.Config().MaxConnectionsPerIP
	c := r.lockClients()
	defer c.mu.Unlock()
	if most > 0 && network.IsValid() && c.by[network] >= most {
		return false
	}
	c.by[network]++
	return true
}

// Leave takes a connection back.
func (r *Route) Leave(clientIP string) {
	network := Network(clientIP)
	c := r.lockClients()
	defer c.mu.Unlock()
	if c.by[network]--; c.by[network] == 0 {
		delete(c.by, network)
	}
}

// lockClients returns what counts now, locked.
func (r *Route) lockClients() *clients {
	c := r.clients.Load()
	c.mu.Lock()
	for c.successor != nil {
		next := c.successor
		c.mu.Unlock()
		c = next
		c.mu.Lock()
	}
	r.clients.Store(c) // what stood between is not needed any more
	return c
}

// shareClients counts the connections of the route as its successor's. Only one
// goroutine at a time does so, which alone makes successors.
func (r *Route) shareClients(successor *Route) {
	from, to := r.lastClients(), successor.lastClients()
	if from == to {
		return
	}
	from.mu.Lock()
	to.mu.Lock()
	for network, n := range from.by {
		to.by[network] += n
	}
	from.successor, from.by = to, nil
	to.mu.Unlock()
	from.mu.Unlock()
}

// lastClients returns what counts now.
func (r *Route) lastClients() *clients {
	c := r.lockClients()
	defer c.mu.Unlock()
	return c
}

// Network is what an address counts as: an IPv4 address itself, and for IPv6 the
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
