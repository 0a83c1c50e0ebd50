package tally_test

import (
	"testing"

	"github.com/caddyws/caddy-websocket/tally"
)

func connection(in uint64) tally.Connection {
	return tally.Connection{Traffic: tally.Traffic{MessagesIn: in, MessagesOut: 2 * in, BytesIn: 3 * in, BytesOut: 4 * in}, Replaced: 5 * in}
}

// look gathers what connections have that are there.
func look(t *testing.T, r *tally.Route, want uint64, there ...tally.Connection) {
	t.Helper()
	g := r.Gather()
	for _, c := range there {
		g.Add(c)
	}
	got, c := g.Counts(), connection(want)
	if got.Traffic != c.Traffic || got.Replaced != c.Replaced {
		t.Errorf("got %+v, %d, want %+v", got.Traffic, got.Replaced, c)
	}
}

// What has passed is the sum over connections that are there and that have ended.
func TestTrafficOfARoute(t *testing.T) {
	r := tally.NewRoute()
	look(t, r, 0)
	look(t, r, 3, connection(1), connection(2))
	r.End(1000, connection(2).Traffic, connection(2).Replaced)
	look(t, r, 5, connection(3))
	r.End(1000, connection(3).Traffic, connection(3).Replaced)
	look(t, r, 5)
}

// A connection that ends during a look counts once, now or at the next look, and nothing
// that was shown is taken back.
func TestTrafficNeverFalls(t *testing.T) {
	r := tally.NewRoute()
	look(t, r, 7, connection(3), connection(4))
	g := r.Gather()
	r.End(1000, connection(5).Traffic, connection(5).Replaced) // it was at 4, and is not found any more
	g.Add(connection(3))
	if got := g.Counts(); got.MessagesIn != 7 {
		t.Errorf("fell to %d", got.MessagesIn)
	}
	look(t, r, 8, connection(3))
}

func TestCountsOfARoute(t *testing.T) {
	r := tally.NewRoute()
	for code := range uint16(5000) {
		r.End(code, tally.Traffic{}, 0)
	}
	r.Enter(true)
	r.Enter(false)
	r.Enter(false)
	r.Leave(true)
	r.Handshake(tally.Accepted)
	r.Handshake("origin")
	r.Handshake("origin")
	r.AppError()
	got := r.Gather().Counts()
	if got.Sockets != 2 || got.Streams != 0 || got.AppErrors != 1 || len(got.Handshakes) != 2 || got.Handshakes["origin"] != 2 || got.Handshakes[tally.Accepted] != 1 {
		t.Errorf("%+v", got)
	}
	if len(got.Closes) != 18 || got.Closes[1000] != 1 || got.Closes[1015] != 1 || got.Closes[3000] != 1 || got.Closes[tally.OtherCode] != 5000-17 {
		t.Errorf("%v", got.Closes)
	}
}
