package nats

import (
	"fmt"
	"testing"

	"github.com/caddyws/caddy-websocket/hub/hubtest"
)

// Two nodes over a cluster count into one total, and members of each hear of it.
func TestTwoHubsShareARoom(t *testing.T) {
	c := startCluster(t)
	bucket := newBucket()
	a := hubtest.New(t, openEngine(t, &Opener{URLs: []string{c[0].url()}, Bucket: bucket}))
	b := hubtest.New(t, openEngine(t, &Opener{URLs: []string{c[1].url()}, Bucket: bucket}))
	ra, rb := hubtest.Route(hubtest.NewCounterApp()), hubtest.Route(hubtest.NewCounterApp())
	here, there := a.Join(ra), b.Join(rb)
	for i := range 20 {
		sender, other := here, there
		if i%2 == 1 {
			sender, other = there, here
		}
		sender.Send("1")
		sender.Expect(fmt.Sprint(i + 1))
		other.Expect(fmt.Sprint(i + 1))
	}
}
