package nats

import (
	"fmt"
	"testing"
	"time"

	"github.com/caddyws/caddy-websocket/apps/broadcast"
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

// Members of two nodes over a cluster are told what anybody says, in the order of each.
func TestTwoHubsShareMessages(t *testing.T) {
	const messages = 500
	c := startCluster(t)
	bucket := newBucket()
	a := hubtest.New(t, openEngine(t, &Opener{URLs: []string{c[0].url()}, Bucket: bucket}))
	b := hubtest.New(t, openEngine(t, &Opener{URLs: []string{c[1].url()}, Bucket: bucket}))
	here, there := a.Join(hubtest.Route(new(broadcast.App))), b.Join(hubtest.Route(new(broadcast.App)))
	greet(t, here, there)
	greet(t, there, here)
	go func() {
		for i := range messages {
			here.Send(fmt.Sprint(i))
		}
	}()
	for i := range messages {
		there.Expect(fmt.Sprint(i))
		here.Expect(fmt.Sprint(i))
	}
	there.Send("back")
	here.Expect("back")
}

// greet has one client say something until another hears it: servers of a cluster take a
// moment until they know who listens. What comes later than it is heard by both.
func greet(t *testing.T, from, to *hubtest.Client) {
	t.Helper()
	heard := make(chan error, 2)
	go func() {
		for told := false; ; {
			text, err := to.ReadText()
			if err != nil || text == "hello, last" {
				heard <- err
				return
			}
			if !told {
				told = true
				heard <- nil
			}
		}
	}()
	for {
		from.Send("hello")
		from.Expect("hello")
		select {
		case err := <-heard:
			if err != nil {
				t.Fatal(err)
			}
			from.Send("hello, last")
			from.Expect("hello, last")
			if err := receive(t, "the last greeting", heard); err != nil {
				t.Fatal(err)
			}
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}
