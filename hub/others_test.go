package hub_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
)

// common is what the engines of several nodes have in common: rooms, and who wants to hear of
// them.
type common struct {
	memory.Engine
	mu     sync.Mutex
	hear   map[*func(engines.Event)]engines.Key
	faults int // so many times Load fails
}

// node is the engine of one node. It is not Volatile.
type node struct {
	engines.Engine
	common *common
}

// longestSleep is how long a node does not look by itself.
const longestSleep = time.Minute

var errFault = errors.New("cable")

func (n node) Load(ctx context.Context, key engines.Key) ([]byte, uint64, error) {
	n.common.mu.Lock()
	fails := n.common.faults > 0
	if fails {
		n.common.faults--
	}
	n.common.mu.Unlock()
	if fails {
		return nil, 0, errFault
	}
	return n.Engine.Load(ctx, key)
}

func (n node) Swap(ctx context.Context, key engines.Key, rev uint64, v engines.Value) (uint64, error) {
	now, err := n.Engine.Swap(ctx, key, rev, v)
	if err == nil {
		n.common.tell(key, engines.Event{Rev: now})
	}
	return now, err
}

func (c *common) tell(key engines.Key, event engines.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for hear, of := range c.hear {
		if of == key {
			(*hear)(event)
		}
	}
}

func (n node) Subscribe(_ context.Context, key engines.Key, hear func(engines.Event)) (func(), error) {
	c := n.common
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hear[&hear] = key
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.hear, &hear)
	}, nil
}

// expectSilence waits until nobody wants to hear of a room.
func (c *common) expectSilence(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(hubtest.Patience); ; time.Sleep(time.Millisecond) {
		c.mu.Lock()
		n := len(c.hear)
		c.mu.Unlock()
		if n == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d rooms are heard of", n)
		}
	}
}

func (node) Publish(context.Context, engines.Key, []byte) error { return nil }

func (node) Close() error { return nil }

// nodes returns the worlds of two nodes.
func nodes(t *testing.T) (a, b *hubtest.World, c *common) {
	c = &common{hear: make(map[*func(engines.Event)]engines.Key)}
	return hubtest.New(t, node{&c.Engine, c}), hubtest.New(t, node{&c.Engine, c}), c
}

// Members on one node are told what comes in over another, and both count into one total.
func TestMembersHearOfOtherNodes(t *testing.T) {
	a, b, c := nodes(t)
	ra, rb := hubtest.Route(hubtest.NewCounterApp()), hubtest.Route(hubtest.NewCounterApp())
	here, there := a.Join(ra), b.Join(rb)
	for i, want := range []string{"1", "2", "3", "4"} {
		sender, other := here, there
		if i%2 == 1 {
			sender, other = there, here
		}
		sender.Send("1")
		sender.Expect(want)
		other.Expect(want)
	}
	here.Leave()
	there.Leave()
	c.expectSilence(t)
	hubtest.Post(t, a.Hub, ra, "room", "1", "5")
	view, err := b.Hub.View(t.Context(), rb, "room")
	if err != nil || view.Version != 5 {
		t.Errorf("%+v, %v", view, err)
	}
}

// What could not be read when it was heard of is read later.
func TestWhatWasHeardOfIsReadLater(t *testing.T) {
	a, b, c := nodes(t)
	ra, rb := hubtest.Route(hubtest.NewCounterApp()), hubtest.Route(hubtest.NewCounterApp())
	here, there := a.Join(ra), b.Join(rb)
	here.Send("1")
	here.Expect("1")
	there.Expect("1")
	c.mu.Lock()
	c.faults = 1
	c.mu.Unlock()
	here.Send("1")
	here.Expect("2")
	there.Expect("2")
}

// pollNodes returns the processes of two nodes.
func pollNodes(t *testing.T) (a, b *pollHouse) {
	c := &common{hear: make(map[*func(engines.Event)]engines.Key)}
	return &pollHouse{t: t, engine: node{&c.Engine, c}}, &pollHouse{t: t, engine: node{&c.Engine, c}}
}

// A poll that was opened on a node that has died since closes on another, which has heard
// nothing of it; also if the clock of the first was behind, so that it should have closed
// before the other last looked.
func TestPollOfANodeThatHasDiedCloses(t *testing.T) {
	for _, behind := range []time.Duration{0, longestSleep - time.Second} {
		for _, lasts := range []time.Duration{time.Second, time.Hour} {
			synctest.Test(t, func(t *testing.T) {
				a, b := pollNodes(t)
				a.start(pollRoute("poll", pollApp{lasts: lasts}))
				defer a.stop()
				time.Sleep(time.Hour)
				b.set(-behind)
				rt := pollRoute("poll", pollApp{lasts: lasts})
				b.start(rt)
				b.vote(rt, "room")
				synctest.Wait()
				b.stop()
				time.Sleep(lasts + longestSleep + time.Millisecond)
				a.expectPrefix("room", "1 closed after ")
			})
		}
	}
}

// A node that has looked many times finds what was stored since, and in time.
func TestNodeLooksForWakesOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pollNodes(t)
		app := pollApp{lasts: 2 * longestSleep}
		a.start(pollRoute("poll", app))
		defer a.stop()
		time.Sleep(10*longestSleep + time.Second)
		rt := pollRoute("poll", app)
		b.start(rt)
		b.vote(rt, "room")
		synctest.Wait()
		b.stop()
		time.Sleep(app.lasts + time.Millisecond)
		a.expect("room", "1 closed after 2m0s")
	})
}
