package room_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/apps/appstest"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
)

// guest is a client that comes and goes, and what it has to be told yet.
type guest struct {
	*appstest.Client
	claims []string
	due    []string
	seen   string // the point of the last that it has heard
	behind int    // how many events there have been since it had heard all, at least
}

// hear reads the next n events that the guest has to be told.
func (g *guest) hear(t *testing.T, n int) {
	t.Helper()
	for n > 0 {
		var m struct{ Type, Text string }
		if err := json.Unmarshal([]byte(g.Receive()), &m); err != nil {
			t.Fatal(err)
		}
		g.seen = g.Seen()
		if m.Type != "event" {
			continue
		}
		if m.Text != g.due[0] {
			t.Fatalf("told %q, expected %q", m.Text, g.due[0])
		}
		g.due = g.due[1:]
		n--
	}
}

// Whatever clients do, reading, pausing, losing their connections and coming back, over
// restarts too, each is told each event that is for it once and in order.
func TestGuestsThatComeAndGo(t *testing.T) {
	for range 20 {
		seed := rand.Uint64()
		synctest.Test(t, func(t *testing.T) { comeAndGo(t, seed) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func comeAndGo(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 0))
	r := appstest.NewRoom(t, hubtest.NewAlarmApp())
	r.Post("op").Expect("1") // a room that is not stored is another one after a restart
	guests := []*guest{{}, {claims: []string{"a"}}, {claims: []string{"a", "b"}}}
	for _, g := range guests {
		g.Client = r.Join(appstest.JSON, appstest.Claim(g.claims...))
		g.ExpectJSON(`{"type":"state"}`)
		g.seen = g.Seen()
	}
	back := func(g *guest) {
		g.Client = r.Join(appstest.JSON, appstest.Claim(g.claims...), appstest.After(g.seen))
	}
	for n := range 200 {
		g := guests[random.IntN(len(guests))]
		switch random.IntN(8) {
		case 0:
			g.Cut()
			back(g)
		case 1:
			time.Sleep(time.Duration(random.IntN(3000)) * time.Millisecond)
		case 2:
			if random.IntN(5) == 0 {
				r.Restart()
				for _, g := range guests {
					back(g)
				}
			}
		case 3, 4:
			g.hear(t, random.IntN(len(g.due)+1))
		default:
			tell(r, guests, []string{"all", "a", "b", "me"}[random.IntN(4)], fmt.Sprint(n))
		}
		for _, g := range guests { // more than is kept must not be missed
			if g.behind >= 60 {
				tell(r, guests, "all", "by the way")
				g.hear(t, len(g.due))
				g.behind = 0
			}
		}
	}
	for _, g := range guests {
		g.hear(t, len(g.due))
	}
}

// tell has an event happen, and notes for whom it is.
func tell(r *appstest.Room, guests []*guest, to, text string) {
	r.Post("tell " + to + " " + text)
	for _, g := range guests {
		g.behind++
		isFor := to == "all"
		for _, name := range g.claims {
			isFor = isFor || name == to
		}
		if isFor {
			g.due = append(g.due, text)
		}
	}
}
