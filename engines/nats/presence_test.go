package nats

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddyws/caddy-websocket/apps/broadcast"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	said "github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/presence"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
	"github.com/caddyws/caddy-websocket/socket"
)

// party is a route whose members are told who is there.
func party() *route.Route {
	return route.New("party", "test", route.Config{
		App: new(broadcast.App), Settings: socket.Settings{MaxMessageSize: 64 << 10, MaxQueue: 1 << 20},
		Presence: route.Presence{On: true, Grace: 10 * time.Second},
	})
}

// enter lets a user into a room of a node.
func enter(w *hubtest.World, rt *route.Route, user string) *hubtest.Client {
	return w.Enter(rt, room.Visitor{Room: "room", User: user, Subprotocol: said.Subprotocol})
}

// knows reads what a client is told of people, until so many are there.
func knows(t *testing.T, c *hubtest.Client, count int) {
	t.Helper()
	for text := ""; !strings.Contains(text, fmt.Sprintf(`"count":%d,`, count)); {
		var err error
		if text, err = c.ReadText(); err != nil {
			t.Fatalf("until %d people are there: %v", count, err)
		}
	}
}

// Connections to NATS on which everything is lost from some moment on, at different times after
// the nodes were heard last, are replaced so soon that nobody has left meanwhile, as far as
// members are told, on whichever node. A machine that is too busy to do that in time, as seen
// here, may try again.
func TestNobodyLeavesOverADeadConnection(t *testing.T) {
	for range 3 {
		if loseConnections(t) {
			return
		}
	}
	t.Error("connections are replaced too late")
}

// loseConnections reports whether all connections were replaced in time, and then expects that
// nobody has left.
func loseConnections(t *testing.T) (inTime bool) {
	t.Helper()
	s := startServer(t, serverOptions(t))
	bucket := newBucket()
	near := hubtest.New(t, openEngine(t, &Opener{URLs: []string{s.ClientURL()}, Bucket: bucket}))
	rt := party()
	all := []*hubtest.Client{enter(near, rt, "ann")}
	var links []*proxy
	for i := range 4 {
		p := newProxy(t, s.Addr().String())
		links = append(links, p)
		far := hubtest.New(t, openEngine(t, &Opener{URLs: []string{p.url()}, Bucket: bucket}))
		all = append(all, enter(far, party(), fmt.Sprint("far", i)))
		time.Sleep(presence.Renewal / 4) // each tells of itself at another time
	}
	for _, c := range all {
		knows(t, c, len(all))
	}
	begun, before := time.Now(), make([]int, len(links))
	for i, p := range links {
		before[i] = p.freeze()
	}
	for i, p := range links {
		eventually(t, "another connection", func() bool { return p.connections() > before[i] })
	}
	if took := time.Since(begun); took > presence.Lifetime-presence.Renewal {
		t.Logf("connections are replaced after %v", took)
		return false
	}
	time.Sleep(time.Until(begun.Add(presence.Lifetime + time.Second))) // until when somebody could be missed
	all = append(all, enter(near, rt, "last"))
	want := fmt.Sprintf(`{"type":"presence","event":"change","count":%d,"joined":[{"user":"last","connections":1}]}`, len(all))
	for i, c := range all[:len(all)-1] {
		if got, err := c.ReadText(); err != nil || got != want {
			t.Errorf("member %d is told %s, %v", i, got, err)
		}
	}
	return true
}
