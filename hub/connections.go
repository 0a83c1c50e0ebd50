package hub

import (
	"net/netip"
	"sync"
)

// connectionLimits counts the connections: all of them, and those from each address to
// each route. A plain request is none.
type connectionLimits struct {
	mu  sync.Mutex
	all int // guarded by mu
}

// addressCounts is how many connections each address has to a route, and to those of
// other configurations that the route has been or has become. All of it is
// guarded by connectionLimits.mu.
type addressCounts struct {
	successor *addressCounts // what counts instead, if not nil
	by        map[netip.Addr]int
}

func newAddressCounts() *addressCounts { return &addressCounts{by: make(map[netip.Addr]int)} }

// current returns the counts that are in force.
func (q *addressCounts) current() *addressCounts {
	for q.successor != nil {
		q = q.successor
	}
	return q
}

// enter counts a connection, unless it is one too many.
func (c *connectionLimits) enter(route *Route, clientIP string, most int) error {
	network, mostPerIP := Network(clientIP), route.config.Load().MaxConnectionsPerIP
	c.mu.Lock()
	defer c.mu.Unlock()
	by := route.counts.current().by
	switch {
	case most > 0 && c.all >= most:
		return ErrTooManyConnections
	case mostPerIP > 0 && network.IsValid() && by[network] >= mostPerIP:
		return ErrTooManyForClient
	}
	c.all++
	by[network]++
	return nil
}

// leave takes a connection back.
func (c *connectionLimits) leave(route *Route, clientIP string) {
	network := Network(clientIP)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	by := route.counts.current().by
	if by[network]--; by[network] == 0 {
		delete(by, network)
	}
}

// merge counts the connections of a route as its successor's.
func (c *connectionLimits) merge(route, successor *Route) {
	c.mu.Lock()
	defer c.mu.Unlock()
	from, to := route.counts.current(), successor.counts.current()
	if from == to {
		return
	}
	for network, n := range from.by {
		to.by[network] += n
	}
	from.successor, from.by = to, nil
	route.counts = to // what stood between is not needed any more
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
