package blackbox

import (
	"os"
	"strconv"
	"testing"
	"time"
)

// Producers and readers of three nodes over NATS. Each publishes and reads at another node
// whenever it comes back. Their connections are delayed and cut, and so are those of the nodes to
// NATS; a node is killed while the others are reloaded, in turn, and now and then a server of NATS
// is killed. With CADDYWS_CUTS in the environment there is a server for each node, of one cluster,
// else there is one for all. Every reader has all messages in their order, once; or, where it was away for
// longer than messages are kept, gaps that say truly where it goes on.
func TestReadersOfNodesBehindCuts(t *testing.T) {
	wanted := wantedCuts(t, 200)
	count := 1
	if os.Getenv("CADDYWS_CUTS") != "" {
		count = 3
	}
	servers := startNATS(t, count)
	var links, fronts []*ripper
	var urls, doors []string
	for i := range 3 {
		l := newRipper(t, servers[i%len(servers)].address(), 3*time.Second)
		links, urls = append(links, l), append(urls, "nats://"+l.Addr().String())
	}
	nodes := startHistoryNodes(t, urls...)
	for i, life := range []time.Duration{300 * time.Millisecond, 300 * time.Millisecond, 3 * time.Second} {
		f := newRipper(t, nodes[i].address(), life)
		fronts, doors = append(fronts, f), append(doors, f.Addr().String())
	}
	all := gather(t, nodes[0], doors...)
	kills, reloads, restarts := 0, 0, 0
	for ; (cutsOf(fronts) < wanted || all.lacksGaps()) && !t.Failed(); kills++ {
		victim := kills % len(nodes)
		nodes[victim].kill(t)
		for i, s := range nodes {
			if i != victim {
				s.reload(t, historyNode(urls[i])+"\n# "+strconv.Itoa(kills))
				reloads++
			}
		}
		nodes[victim].again(t)
		if kills%4 == 3 {
			n := servers[restarts%len(servers)]
			n.kill()
			n.start()
			restarts++
		}
		all.progress(10)
	}
	all.end()
	for _, s := range nodes {
		all.check(s)
	}
	t.Logf("%d cuts of clients and %d of nodes, %d kills of nodes and %d of NATS, %d reloads; %v", cutsOf(fronts), cutsOf(links), kills, restarts, reloads, all)
}

// cutsOf is how often several have cut.
func cutsOf(rippers []*ripper) (n int64) {
	for _, r := range rippers {
		n += r.cuts.Load()
	}
	return n
}
