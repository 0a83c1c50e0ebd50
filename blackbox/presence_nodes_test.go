package blackbox

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// nodePresence is of a node over servers of NATS whose room tells who is there.
func nodePresence(all []*natsServer) string {
	site := strings.Replace(presenceSite(100), "engine memory", "engine nats "+urls(all), 1)
	return strings.Replace(site, "/patient/* broadcast {", "/patient/* broadcast {\n room chat", 1)
}

// Members of two nodes are told of each other. When one is killed its members have left a
// little later, and nobody else has. A node that ends says so.
func TestPresenceOverNodes(t *testing.T) {
	config := nodePresence(startNATS(t, 1))
	a, b, c := start(t, config), start(t, config), start(t, config)
	ann := a.follows(t, "/patient/a", basicAuth("ann", "secret"))
	ann.client.patience = 2 * patience
	b.dial(t, "/patient/a", basicAuth("ann", "secret"))
	b.dial(t, "/patient/a", basicAuth("bob", "secret"))
	guest := b.follows(t, "/patient/a")
	ann.until(t, 3)
	guest.until(t, 3)
	c.dial(t, "/patient/a")
	ann.until(t, 4)
	guest.until(t, 4)
	begun := time.Now()
	b.kill(t)
	for ann.count > 2 {
		if p := ann.hear(t); len(p.Joined) > 0 {
			t.Errorf("told %+v", p)
		}
	}
	if !ann.there["ann"] || ann.there["bob"] {
		t.Errorf("%v are there", ann.there)
	}
	t.Logf("the members of the node that was killed have left after %v", time.Since(begun).Round(time.Second))
	b.again(t)
	until(t, "the node that has begun anew to hear of the others", func() bool {
		p := b.people(t, "/patient/a")
		return p.Count == 2 && slices.Contains(p.Members, person{User: "ann", Connections: 1})
	})
	begun = time.Now()
	c.stop()
	ann.until(t, 1)
	t.Logf("the guest of the node that was stopped has left after %v", time.Since(begun).Round(10*time.Millisecond))
}
