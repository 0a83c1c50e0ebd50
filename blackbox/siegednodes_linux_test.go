package blackbox

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// nodesConfig is of a node over servers of NATS. It keeps members that do not read.
func nodesConfig(urls string) string {
	return `GLOBAL
		admin 127.0.0.1:OTHERPORT
		websocket {
			drain off
			engine nats ` + urls + `
		}
	END
	:PORT {
		websocket /sum/* {
			app sum
			room {path}
			ping 25s 10m
		}
		websocket /chat {
			app broadcast
			room chat
			ping off
		}
		websocket /power/* {
			app meter {
				alert high last above 1000 {
					message "high with {value}"
				}
			}
			room {path}
		}
	}`
}

// startNodes starts a node for each of these, which are URLs of servers of NATS.
func startNodes(t *testing.T, urls ...string) []*server {
	t.Helper()
	return startNodesOf(t, nodesConfig, (*server).opens, urls)
}

// opens waits until rooms can be used.
func (s *server) opens(t *testing.T) {
	t.Helper()
	s.eventually(t, "rooms can be used", func() bool {
		_, shown, err := s.peek("/sum/opens")
		return err == nil && shown
	})
}

// siegeTime is how long nodes are made to suffer, and by how many clients of a hot room; 0 is
// once each.
func siegeTime(t *testing.T) (lasts time.Duration, clients int) {
	t.Helper()
	text := os.Getenv("CADDYWS_NODES")
	switch {
	case text == "" && race:
		return 0, 20
	case text == "":
		return 0, 40
	}
	lasts, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal("CADDYWS_NODES: ", err)
	}
	return lasts, 300
}

// siegedNodes are nodes behind a load balancer, with a hot room to which clients with ids add
// 1 all the time.
type siegedNodes struct {
	t     *testing.T
	nodes []*server
	*balancer
	hot    *crew
	beside int // rooms beside the hot one, of each kind
}

const hotRoom = "/sum/hot"

func besiegeNodes(t *testing.T, nodes []*server, clients int, lasts time.Duration) *siegedNodes {
	t.Helper()
	c := &siegedNodes{t: t, nodes: nodes, balancer: balance(t, nodes...), hot: &crew{returns: true, within: 4 * patience}, beside: 3}
	if lasts > 0 {
		c.beside = 11 // with six writers each
	}
	for i := range clients {
		c.hot.add(writer{name: "h" + strconv.Itoa(i), path: hotRoom, ids: true, post: i%4 == 0, many: true, value: one})
	}
	c.hot.begin(c.address())
	return c
}

// rounds does something as long as it is to last, but once, and returns how often.
func (c *siegedNodes) rounds(lasts time.Duration, do func(round int)) (n int) {
	for end := time.Now().Add(lasts); n == 0 || time.Now().Before(end); n++ {
		do(n)
	}
	return n
}

// Which writers of other rooms there are.
const (
	onlyWithIDs = false
	alsoWithout = true // of whose connections to nodes none may end
)

// during has writers fill rooms of their own while something goes on, and checks what has
// become of all they did.
func (c *siegedNodes) during(name string, without bool, f func()) {
	c.t.Helper()
	c.hot.until(c.t, 100)
	w := &crew{returns: true, within: 4 * patience}
	rooms := digitRooms(w, c.beside, true)
	if without {
		rooms = append(rooms, digitRooms(w, c.beside, false)...)
	}
	for i := range rooms {
		rooms[i].move(fmt.Sprintf("/sum/%s-%d", name, i))
		w.add(writer{name: fmt.Sprint("look", i), path: rooms[i].path, ids: true, most: operations / shares, value: zero, rest: restOfWriters})
	}
	looks := w.writers[len(w.writers)-len(rooms):]
	w.begin(c.address())
	f()
	w.wait(c.t)
	for i, r := range rooms {
		isLinear(c.t, r.path, slices.Concat(r.writers, looks[i:i+1]))
		c.shown(r)
	}
}

// restOfWriters makes the operations of a room last about as long as what goes on meanwhile.
const restOfWriters = 100 * time.Millisecond

// zero is of an operation that only looks at the total.
func zero(int) string { return "0" }

// move has the writers of a room write to another one, before they begin.
func (r *digitRoom) move(path string) {
	r.path = path
	for _, w := range r.writers {
		w.path, w.rest = path, restOfWriters
	}
}

// shown checks the total of a room on each node. What another node has counted may take a
// moment to be seen.
func (c *siegedNodes) shown(r digitRoom) {
	c.t.Helper()
	for _, s := range c.nodes {
		newest := r.newest()
		until(c.t, "the newest version of "+r.path, func() bool {
			state, shown, err := s.peek(r.path)
			return err == nil && shown && state.Version >= newest
		})
		r.check(c.t, s.state(c.t, r.path).Total.String())
	}
}

// newest is the newest version that the writers were told of.
func (r *digitRoom) newest() (version uint64) {
	for _, w := range r.writers {
		for _, a := range w.replies() {
			version = max(version, a.Version)
		}
	}
	return version
}

// finish has the hot room come to rest, checks it, and returns how many operations it has had.
func (c *siegedNodes) finish() (sent int) {
	c.t.Helper()
	c.hot.resting.Store(true)
	c.hot.wait(c.t)
	for _, w := range c.hot.writers {
		if w.acked != w.sent {
			c.t.Errorf("%s: %d of %d operations are acknowledged", w.name, w.acked, w.sent)
		}
		sent += w.sent
	}
	isInOrder(c.t, hotRoom, c.hot.writers)
	for _, s := range c.nodes {
		until(c.t, "the total on each node", func() bool {
			state, shown, err := s.peek(hotRoom)
			return err == nil && shown && state.Total.String() == strconv.Itoa(sent) && state.Version == uint64(sent)
		})
	}
	return sent
}
