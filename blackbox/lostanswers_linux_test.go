package blackbox

import (
	"fmt"
	"testing"
	"time"
)

// lossTime is for how long the answers of NATS are lost.
const lossTime = 3 * time.Second

// One of three nodes gets no answers from its server of NATS for three seconds: all that it
// stores is stored, and it is not told. To another one its server seems to stand still, and
// then the connection ends. Their clients are told neither that something is counted which is
// not, nor that something is not which is; nothing counts twice, and all goes on by itself. It
// is one round, unless the environment has CADDYWS_NODES=2m.
func TestAnswersOfNATSAreLost(t *testing.T) {
	lasts, clients := siegeTime(t)
	servers := startNATS(t, 3)
	var links []*natsLink
	for _, n := range servers {
		links = append(links, newLink(t, n))
	}
	nodes := startNodes(t, links[0].url(), links[1].url(), links[2].url())
	whole(t, servers)
	c := besiegeNodes(t, nodes, clients, lasts)
	rounds := c.rounds(lasts, func(round int) {
		deaf, still := links[round%3], links[(round+1)%3]
		c.during(fmt.Sprint("deaf-", round), alsoWithout, func() {
			deaf.lose(replies)
			still.lose(everything)
			time.Sleep(lossTime)
			deaf.lose(nothing)
			still.lose(nothing)
			still.cut()
			for _, s := range nodes {
				s.opens(t)
			}
			c.hot.until(t, 200)
		})
	})
	t.Logf("%d operations of %d clients in %d rounds", c.finish(), clients, rounds)
	if lost := links[0].lost.Load(); lost == 0 {
		t.Error("no answer was lost")
	} else {
		t.Logf("%d answers to one node were lost", lost)
	}
}
