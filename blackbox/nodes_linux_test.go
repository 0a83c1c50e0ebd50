package blackbox

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"
)

// nodesConfig is of a node over servers of NATS.
func nodesConfig(all []*natsServer) string {
	return `GLOBAL
		websocket {
			drain off
			engine nats ` + urls(all) + `
		}
	END
	:PORT {
		websocket /sum/* {
			app sum
			room {path}
		}
		websocket /chat {
			app broadcast
			room chat
		}
	}`
}

// What is said on one node is heard on another, once, by all there in one order.
func TestNodesShareMessages(t *testing.T) {
	const each = 200
	config := nodesConfig(startNATS(t, 1))
	a, b := start(t, config), start(t, config)
	clients := []*socket{a.connect(t), a.connect(t), b.connect(t), b.connect(t)}
	for _, c := range clients {
		c.join("/chat")
	}
	var heard [4][]string
	var work sync.WaitGroup
	for i, c := range clients {
		work.Go(func() {
			for n := range each {
				c.write(text(fmt.Sprint(i, " ", n)))
			}
		})
		work.Go(func() {
			for range len(clients) * each {
				f, err := readFrame(c.r)
				if err != nil {
					t.Error(err)
					return
				}
				heard[i] = append(heard[i], f.payload)
			}
		})
	}
	work.Wait()
	if fmt.Sprint(heard[0]) != fmt.Sprint(heard[1]) || fmt.Sprint(heard[2]) != fmt.Sprint(heard[3]) {
		t.Error("members of one node were told different orders")
	}
	for _, all := range [][]string{heard[0], heard[2]} {
		var next [4]int
		for _, m := range all {
			var from, n int
			if _, err := fmt.Sscan(m, &from, &n); err != nil || next[from] != n {
				t.Fatalf("%q came, where %d was due, %v", m, next[from], err)
			}
			next[from]++
		}
	}
	if got := a.ask(t, http.MethodPost, "/chat", "by a plain request"); got.status != http.StatusNoContent {
		t.Errorf("%+v", got)
	}
	for _, c := range clients {
		c.expectText("by a plain request")
	}
	clients[0].write(ping("nothing more"))
	clients[0].expect(frame{op: opPong, fin: true, payload: "nothing more"})
}

// siegeTime is how long nodes and servers are killed.
func siegeTime(t *testing.T) (lasts time.Duration, clients int) {
	t.Helper()
	text := os.Getenv("CADDYWS_NODES")
	if text == "" {
		return 0, 40
	}
	lasts, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal("CADDYWS_NODES: ", err)
	}
	return lasts, 300
}

// Three nodes over three servers of NATS behind a load balancer. Clients with ids add to one
// hot room all the time, others to rooms in which each operation has a digit of its own.
// Each node and each server is killed and started again in turn. In the end every operation
// is acknowledged and counted once, and all nodes show that. It is one round, unless the
// environment has CADDYWS_NODES=2m.
func TestNodesAndServersAreKilledInTurn(t *testing.T) {
	lasts, clients := siegeTime(t)
	servers := startNATS(t, 3)
	var nodes []*server
	for range 3 {
		s := start(t, nodesConfig(servers))
		s.tolerates = []string{`"logger":"websocket.engines.nats"`, "room failed", "looking for rooms", "opening engine"}
		nodes = append(nodes, s)
	}
	for _, s := range nodes {
		s.opens(t)
	}
	whole(t, servers)
	b := balance(t, nodes...)

	hot := &crew{returns: true, within: lasts + 4*patience}
	for i := range clients {
		hot.add(writer{name: "h" + strconv.Itoa(i), path: "/sum/hot", ids: true, post: i%4 == 0, many: true, value: one})
	}
	hot.begin(b.address())
	round := 0
	for end := time.Now().Add(lasts); round == 0 || time.Now().Before(end); round++ {
		for i, s := range nodes {
			during(t, b, fmt.Sprintf("node-%d-%d", round, i), hot, func() {
				s.kill(t)
				hot.until(t, 200)
				s.again(t)
				s.opens(t)
			})
		}
		for i, n := range servers {
			during(t, b, fmt.Sprintf("server-%d-%d", round, i), hot, func() {
				n.kill()
				hot.until(t, 200)
				n.start()
				whole(t, servers)
			})
		}
	}
	hot.resting.Store(true)
	hot.wait(t)
	sent, versions := 0, make(map[uint64]string)
	for _, w := range hot.writers {
		if w.acked != w.sent {
			t.Errorf("%s: %d of %d operations are acknowledged", w.name, w.acked, w.sent)
		}
		sent += w.sent
		for _, a := range w.replies() {
			if before := versions[a.Version]; before != "" && !a.Repeat {
				t.Errorf("two operations have made version %d: %s, %s", a.Version, before, a.raw)
			}
			if !a.Repeat {
				versions[a.Version] = a.raw
			}
		}
	}
	for _, s := range nodes {
		until(t, "the total on each node", func() bool {
			state, shown, err := s.peek("/sum/hot")
			return err == nil && shown && state.Total.String() == strconv.Itoa(sent) && state.Version == uint64(sent)
		})
	}
	t.Logf("%d operations of %d clients in %d rounds", sent, clients, round)
}

// during has writers fill rooms of their own while something goes on, and checks what has
// become of all they did.
func during(t *testing.T, b *balancer, name string, hot *crew, f func()) {
	t.Helper()
	hot.until(t, 100)
	c := &crew{returns: true, within: 4 * patience}
	rooms := digitRooms(c, 4, true)
	for i := range rooms {
		rooms[i].path = "/sum/" + name + "-" + strconv.Itoa(i)
		for _, w := range rooms[i].writers {
			w.path = rooms[i].path
		}
	}
	c.begin(b.address())
	f()
	c.wait(t)
	for _, s := range b.servers {
		for _, r := range rooms {
			r.check(t, s.state(t, r.path).Total.String())
		}
	}
}

// opens waits until rooms can be used.
func (s *server) opens(t *testing.T) {
	t.Helper()
	s.eventually(t, "rooms can be used", func() bool {
		_, shown, err := s.peek("/sum/opens")
		return err == nil && shown
	})
}
