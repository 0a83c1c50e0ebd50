package blackbox

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
)

// Operations that one node has acknowledged are sent again over others, by WebSocket and by
// POST: to a node that had the room in memory, and to one that has not; while the first node
// is away, and after NATS was killed. They are answered as they were. After thousands of others
// they are still no new ones, and are shown the present total, also by a node that has just
// not heard of it.
func TestRetriesOverOtherNodes(t *testing.T) {
	const path = "/sum/retries"
	servers := startNATS(t, 1)
	nodes := startNodes(t, urls(servers), urls(servers), urls(servers))
	nodes[1].dial(t, path) // has the room in memory

	point := nodes[0].state(t, path).point()
	var all []retried
	for i := range 20 {
		all = append(all, retried{o: operation{id: fmt.Sprintf("client%d:1", i), at: point, value: "1"}, post: i%2 == 0})
	}
	all = append(all, retried{o: operation{id: aRandomKey, value: "1"}, post: true})
	for i := range all {
		r := &all[i]
		if r.first = nodes[0].sender(t, path, r.post).do(r.o); r.first.Type != "reply" || r.first.Repeat || r.first.Version != uint64(i+1) {
			t.Fatal(r.first.raw)
		}
	}
	nodes[1].repeats(t, path, all)
	nodes[2].repeats(t, path, all)
	nodes[0].kill(t)
	servers[0].kill()
	servers[0].start()
	nodes[1].repeats(t, path, all)
	nodes[0].again(t)
	nodes[0].opens(t)
	nodes[0].repeats(t, path, all)

	others := clients{name: "others", count: 100, each: 30, connections: 4, value: "1"}
	others.send(t, nodes[1], path)
	now := uint64(len(all) + others.count*others.each)
	for i, s := range nodes {
		for _, r := range all {
			isLateRepeat(t, fmt.Sprint("node ", i), s.sender(t, path, r.post).do(r.o), now)
		}
		s.shows(t, path, strconv.FormatUint(now, 10))
	}
}

// retried is an operation with its first answer.
type retried struct {
	o     operation
	post  bool
	first told
}

// repeats expects operations to be answered as they were, over a transport and the other one.
func (s *server) repeats(t *testing.T, path string, all []retried) {
	t.Helper()
	for _, r := range all {
		for _, post := range []bool{r.post, true} {
			a := s.sender(t, path, post).do(r.o)
			if !a.Repeat || a.first() != r.first.first() || post && a.status != http.StatusOK {
				t.Errorf("%s was answered with %s, and is over another node with %d %s", r.o.id, r.first.raw, a.status, a.raw)
			}
		}
	}
}
