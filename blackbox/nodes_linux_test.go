package blackbox

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
)

// What is said on one node is heard on another, once, by all there in one order.
func TestNodesShareMessages(t *testing.T) {
	const each = 200
	url := urls(startNATS(t, 1))
	nodes := startNodes(t, url, url)
	a, b := nodes[0], nodes[1]
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

// Three nodes over three servers of NATS behind a load balancer. Clients with ids add to one
// hot room all the time, others to rooms in which each operation has a digit of its own.
// Each node and each server is killed and started again in turn. In the end every operation
// is acknowledged and counted once, all nodes show that, and the clients' histories are those
// of one total. It is one round, unless the environment has CADDYWS_NODES=2m.
func TestNodesAndServersAreKilledInTurn(t *testing.T) {
	lasts, clients := siegeTime(t)
	servers := startNATS(t, 3)
	nodes := startNodes(t, urls(servers), urls(servers), urls(servers))
	whole(t, servers)
	c := besiegeNodes(t, nodes, clients, lasts)
	rounds := c.rounds(lasts, func(round int) {
		for i, s := range nodes {
			c.during(fmt.Sprintf("node-%d-%d", round, i), onlyWithIDs, func() {
				s.kill(t)
				c.hot.until(t, 200)
				s.again(t)
				s.opens(t)
			})
		}
		for i, n := range servers {
			c.during(fmt.Sprintf("server-%d-%d", round, i), onlyWithIDs, func() {
				n.kill()
				c.hot.until(t, 200)
				n.start()
				whole(t, servers)
			})
		}
	})
	t.Logf("%d operations of %d clients in %d rounds", c.finish(), clients, rounds)
}
