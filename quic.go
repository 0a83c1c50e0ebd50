package caddyws

import (
	"net/http"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/quic-go/quic-go/http3"

	"github.com/caddyws/caddy-websocket/room"
)

// quicStreams are the members whose connection is a stream of HTTP/3. Unlike all
// others those depend on more than their own stream: Caddy waits for the QUIC
// connection before it ends, and with a grace_period closes it after a reload.
type quicStreams struct {
	mu  sync.Mutex
	all map[*room.Member]quicStream // guarded by mu
}

// quicStream is what a stream belongs to.
type quicStream struct {
	app    *App          // of the configuration that has the server
	server *http3.Server // there is no handle to one connection
}

var streams = quicStreams{all: make(map[*room.Member]quicStream)}

// enter notes a member if its request came over HTTP/3, and returns what notes its
// end. While Caddy ends, nothing is forgotten.
func (q *quicStreams) enter(a *App, m *room.Member, r *http.Request) (leave func()) {
	server, ok := r.Context().Value(http3.ServerContextKey).(*http3.Server)
	if !ok {
		return func() {}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.all[m] = quicStream{a, server}
	return func() {
		if !caddy.Exiting() {
			q.mu.Lock()
			defer q.mu.Unlock()
			delete(q.all, m)
		}
	}
}

// of returns the members over the servers of a configuration.
func (q *quicStreams) of(a *App) (members []*room.Member) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for m, s := range q.all {
		if s.app == a {
			members = append(members, m)
		}
	}
	return members
}

// closeServers ends the QUIC connections of clients that do not do so within a
// time, and with them whatever else their servers answer. Nobody may wait for
// that: it waits for every handler, under a lock that the beginning of any
// response of the same site takes.
func (q *quicStreams) closeServers(after time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	servers := make(map[*http3.Server]bool)
	for _, s := range q.all {
		servers[s.server] = true
	}
	for s := range servers {
		time.AfterFunc(after, func() { _ = s.Close() }) // Caddy ends
	}
}

// sendBackStreams has the members over HTTP/3 come back to the next configuration,
// if Caddy is going to close their connections. It is called just before the
// servers begin to shut down. Clients that are told after that cannot come back over
// the same connection.
func (a *App) sendBackStreams() {
	grace := a.gracePeriod()
	if grace <= 0 {
		return
	}
	wait := min(grace/4, time.Second)
	a.hub.SendBack(func() []*room.Member { return streams.of(a) }, wait, grace/2)
}

// gracePeriod is how long Caddy's servers wait for requests before they close
// their connections; 0 if they wait for ever.
func (a *App) gracePeriod() time.Duration {
	app, err := a.ctx.AppIfConfigured("http")
	if err != nil {
		return 0
	}
	return time.Duration(app.(*caddyhttp.App).GracePeriod)
}
