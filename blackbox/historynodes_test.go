package blackbox

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// historyNode is of a node over servers of NATS whose rooms remember messages.
func historyNode(urls string) string {
	return strings.Replace(historyConfig, "drain off", "drain off\nengine nats "+urls, 1)
}

// startHistoryNodes starts a node for each of these, which are URLs of servers of NATS.
func startHistoryNodes(t *testing.T, urls ...string) []*server {
	t.Helper()
	return startNodesOf(t, historyNode, (*server).opensHistory, urls)
}

// startNodesOf starts a node with a configuration for each of some URLs of servers of NATS, and
// waits until rooms can be used there.
func startNodesOf(t *testing.T, config func(urls string) string, opens func(*server, *testing.T), urls []string) (nodes []*server) {
	t.Helper()
	for _, u := range urls {
		s := start(t, config(u))
		s.tolerates = []string{`"logger":"websocket.engines.nats"`, "room failed", "looking for rooms", "opening engine"}
		nodes = append(nodes, s)
	}
	for _, s := range nodes {
		opens(s, t)
	}
	return nodes
}

// opensHistory waits until rooms that remember messages can be read.
func (s *server) opensHistory(t *testing.T) {
	t.Helper()
	until(t, "rooms to be read", func() bool { return s.ask(t, http.MethodGet, "/long/opens", "").status == http.StatusOK })
}

// Readers of all ways leave one of three nodes and go on at another one, in which the room is not
// in memory the first time. All have every message in its order, once, also those that come while
// they are there. The node that they have left goes on, is reloaded, is killed, or is stopped. A
// message that it has acknowledged is no new one at the others: they tell its first place.
func TestHistoryGoesOnAtAnotherNode(t *testing.T) {
	url := urls(startNATS(t, 1))
	nodes := startHistoryNodes(t, url, url, url)
	n := found(t, nodes[0], "/long/moves")
	var readers []*subscriber
	for range readingWays {
		readers = append(readers, &subscriber{paper: n})
	}
	for i, leave := range []func(*server){
		func(*server) {},
		func(s *server) { s.reload(t, historyNode(url)+"\n# again") },
		func(s *server) { s.kill(t) },
		func(s *server) { s.stop() },
	} {
		left, next, other := nodes[i%3], nodes[(i+1)%3], nodes[(i+2)%3]
		n.issue(30, left, readers)
		leave(left)
		n.repeat(next)
		n.issue(30, next, readers)
		n.repeat(other)
		select {
		case <-left.ended:
			left.again(t)
			left.opensHistory(t)
		default:
		}
	}
	for i, s := range nodes {
		last := n.printed.Load()
		if h := s.history(t, n.path+"?limit=1&after="+n.point(last)); h.First != 1 || h.Last != last || h.Gap {
			t.Errorf("node %d: %+v, %d are acknowledged", i, h, last)
		}
	}
}

// issue publishes more messages at one node, while readers read there.
func (n *newspaper) issue(more uint64, s *server, readers []*subscriber) {
	n.doors = []string{s.address()}
	n.last.Store(n.printed.Load() + more)
	var work sync.WaitGroup
	run := func(do func() error) {
		work.Go(func() {
			if err := do(); err != nil {
				n.t.Error(err)
			}
		})
	}
	run(n.print)
	for i, r := range readers {
		run(func() error { return r.read(readingWays[i]) })
	}
	work.Wait()
}

// repeat publishes the last message again at a node, by POST and over a WebSocket.
func (n *newspaper) repeat(s *server) {
	n.t.Helper()
	last := n.printed.Load()
	text, key := strconv.FormatUint(last, 10), fmt.Sprint("press:", last)
	if a := s.ask(n.t, http.MethodPost, n.path, text, "Idempotency-Key: "+key); a.status != http.StatusOK || a.body != n.point(last) {
		n.t.Errorf("the repeat of %s is answered with %+v", n.point(last), a)
	}
	c := s.dial(n.t, n.path+"?after="+n.point(last), "Sec-WebSocket-Protocol: json")
	defer c.Close()
	c.send(fmt.Sprintf(`{"data":%q,"id":%q}`, text, key))
	if m := c.kept(); m.Type != "state" || m.Version != last {
		n.t.Errorf("behind %d: %+v", last, m)
	}
	if m := c.kept(); m.Type != "reply" || !m.Repeat || m.Epoch != n.epoch || m.Version != last || m.ID != key {
		n.t.Errorf("the repeat of %s is answered with %+v", n.point(last), m)
	}
}
