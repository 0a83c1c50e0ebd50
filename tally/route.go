package tally

import (
	"maps"
	"sync"
	"sync/atomic"
)

// Route is what is counted of the routes with one name. Its methods may be called
// concurrently.
type Route struct {
	sockets, streams atomic.Int64 // connections there are: WebSockets and event streams
	appErrors        atomic.Uint64
	alerts           alerts

	mu sync.Mutex
	// Guarded by mu.
	handshakes map[string]uint64 // by result
	refusals   map[string]uint64 // of plain requests, by result
	closes     map[uint16]uint64 // by close code; OtherCode for most
	ended      passed            // of connections that have ended
	shown      passed            // what Counts has returned last
}

// passed is what has passed over connections.
type passed struct {
	Traffic
	replaced uint64
}

// OtherCode stands for the close codes that are not counted each by itself: clients
// choose among thousands.
const OtherCode = 0

// The close codes that are counted each by itself.
const (
	firstCode    = 1000
	lastCode     = 1015
	unauthorized = 3000
)

// Accepted is the result of a handshake after which there is a connection.
const Accepted = "accepted"

// NewRoute returns a tally that is in no set.
func NewRoute() *Route {
	return &Route{
		alerts:     alerts{begun: make(map[string]uint64)},
		handshakes: map[string]uint64{Accepted: 0}, closes: make(map[uint16]uint64),
		refusals: make(map[string]uint64),
	}
}

// Enter counts a connection that begins: an event stream or a WebSocket.
func (r *Route) Enter(stream bool) { r.open(stream).Add(1) }

// Leave takes a connection back.
func (r *Route) Leave(stream bool) { r.open(stream).Add(-1) }

func (r *Route) open(stream bool) *atomic.Int64 {
	if stream {
		return &r.streams
	}
	return &r.sockets
}

// Handshake counts a handshake by its result, of which there must be few: Accepted, or
// why not.
func (r *Route) Handshake(result string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.handshakes[result]++
}

// Refusal counts a plain request that is refused, by its result, of which there must be few.
func (r *Route) Refusal(result string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refusals[result]++
}

// AppError counts a fault of an app.
func (r *Route) AppError() { r.appErrors.Add(1) }

// End counts a connection that has ended, with its close code and what has passed. It is
// not among those that Counts is told of any more.
func (r *Route) End(code uint16, t Traffic, replaced uint64) {
	if (code < firstCode || code > lastCode) && code != unauthorized {
		code = OtherCode
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closes[code]++
	r.ended.add(t, replaced)
}

func (p *passed) add(t Traffic, replaced uint64) {
	p.MessagesIn += t.MessagesIn
	p.MessagesOut += t.MessagesOut
	p.BytesIn += t.BytesIn
	p.BytesOut += t.BytesOut
	p.replaced += replaced
}

// RouteCounts is what a route has counted.
type RouteCounts struct {
	Sockets, Streams int64
	Handshakes       map[string]uint64
	Refusals         map[string]uint64 // of plain requests
	Closes           map[uint16]uint64
	AppErrors        uint64
	Alerts           map[string]uint64 // that have begun, by name
	Traffic
	Replaced uint64
}

// Gathering is one look at a route, of which the connections there are tell the rest.
type Gathering struct {
	route *Route
	sum   passed
}

// Gather begins a look: the connections there are must be looked at after it. So one that
// ends meanwhile may be missed, and is there at the next look, but none counts twice.
func (r *Route) Gather() *Gathering {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &Gathering{r, r.ended}
}

// Add adds a connection.
func (g *Gathering) Add(c Connection) { g.sum.add(c.Traffic, c.Replaced) }

// Counts ends a look. Counts never fall: what was shown before and is missed now is kept.
func (g *Gathering) Counts() RouteCounts {
	r := g.route
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shown.rise(g.sum)
	return RouteCounts{
		Sockets: r.sockets.Load(), Streams: r.streams.Load(),
		Handshakes: maps.Clone(r.handshakes), Refusals: maps.Clone(r.refusals), Closes: maps.Clone(r.closes), AppErrors: r.appErrors.Load(), Alerts: r.alerts.counts(),
		Traffic: r.shown.Traffic, Replaced: r.shown.replaced,
	}
}

// rise raises each number to that of another.
func (p *passed) rise(to passed) {
	p.MessagesIn = max(p.MessagesIn, to.MessagesIn)
	p.MessagesOut = max(p.MessagesOut, to.MessagesOut)
	p.BytesIn = max(p.BytesIn, to.BytesIn)
	p.BytesOut = max(p.BytesOut, to.BytesOut)
	p.replaced = max(p.replaced, to.replaced)
}
