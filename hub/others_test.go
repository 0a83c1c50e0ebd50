package hub_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/apps/broadcast"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
	"github.com/caddyws/caddy-websocket/socket"
)

// common is what the engines of several nodes have in common: rooms, and who wants to hear of
// them.
type common struct {
	memory.Engine
	mu     sync.Mutex
	hear   map[*func(engines.Event)]listener
	faults int           // so many times Load fails
	broken bool          // Publish and Subscribe fail
	pause  chan struct{} // nil, or Publish waits until it is closed
}

// listener is somebody who wants to hear of a room.
type listener struct {
	key  engines.Key
	node *node
}

// node is the engine of one node. It is not Volatile.
type node struct {
	engines.Engine
	common *common
	opened time.Time // before that it cannot be reached
	loads  atomic.Int64
	cut    bool // it can neither be heard nor hear; guarded by common.mu
	mute   bool // the same, and it does not know; guarded by common.mu
}

func newCommon() *common { return &common{hear: make(map[*func(engines.Event)]listener)} }

func (c *common) node() *node { return &node{Engine: &c.Engine, common: c} }

// MaxState is small.
func (*node) MaxState() int { return 4 << 10 }

func (*node) Identity() string { return "" }

// IsShared reports that other nodes use the rooms.
func (*node) IsShared() bool { return true }

// Open returns the engine itself once it can be reached.
func (n *node) Open(context.Context) (engines.Engine, error) {
	if time.Now().Before(n.opened) {
		return nil, errAway
	}
	return n, nil
}

const (
	// longestSleep is how long a node does not look by itself.
	longestSleep = time.Minute
	// longestStagger is how much later than a room is due a node looks for it.
	longestStagger = 500 * time.Millisecond
)

var errFault = errors.New("cable")

func (n *node) Load(ctx context.Context, key engines.Key) ([]byte, uint64, error) {
	n.loads.Add(1)
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

func (n *node) Swap(ctx context.Context, key engines.Key, rev uint64, v engines.Value) (uint64, error) {
	now, err := n.Engine.Swap(ctx, key, rev, v)
	if err == nil {
		n.common.tell(nil, key, engines.Event{Rev: now})
	}
	return now, err
}

// log is the log that the nodes have in common.
func (n *node) log() engines.Log { return &n.common.Engine }

func (n *node) Append(ctx context.Context, key engines.Key, epoch string, after uint64, entries [][]byte) (uint64, error) {
	last, err := n.log().Append(ctx, key, epoch, after, entries)
	if err == nil {
		n.common.tell(n, key, engines.Event{Epoch: epoch, Last: last})
	}
	return last, err
}

func (n *node) Read(ctx context.Context, key engines.Key, epoch string, after uint64, count int) ([][]byte, uint64, uint64, error) {
	return n.log().Read(ctx, key, epoch, after, count)
}

func (n *node) Trim(ctx context.Context, key engines.Key, epoch string, upTo uint64) error {
	return n.log().Trim(ctx, key, epoch, upTo)
}

// tell tells all nodes but one.
func (c *common) tell(except *node, key engines.Key, event engines.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for hear, l := range c.hear {
		if l.key == key && l.node != except && !l.node.cut && !l.node.mute {
			(*hear)(event)
		}
	}
}

// tellOne tells one node, about all its rooms.
func (c *common) tellOne(n *node, event engines.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for hear, l := range c.hear {
		if l.node == n {
			(*hear)(event)
		}
	}
}

func (n *node) Subscribe(_ context.Context, key engines.Key, hear func(engines.Event)) (func(), error) {
	c := n.common
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken {
		return nil, errFault
	}
	c.hear[&hear] = listener{key, n}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.hear, &hear)
	}, nil
}

func (n *node) Publish(_ context.Context, key engines.Key, message []byte) error {
	n.common.mu.Lock()
	broken, mute, pause := n.common.broken || n.cut, n.mute, n.common.pause
	n.common.mu.Unlock()
	if pause != nil {
		<-pause
	}
	switch {
	case broken:
		return errFault
	case mute:
		return nil
	}
	n.common.tell(n, key, engines.Event{Message: message})
	return nil
}

func (c *common) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

// listening waits until so many want to hear of rooms.
func (c *common) listening(t *testing.T, want int) {
	t.Helper()
	hubtest.Until(t, fmt.Sprint(want, " rooms are heard of"), func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.hear) == want
	})
}

func (*node) Close() error { return nil }

// nodes returns the worlds of two nodes.
func nodes(t *testing.T) (a, b *hubtest.World, c *common) {
	c = newCommon()
	return hubtest.New(t, c.node()), hubtest.New(t, c.node()), c
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
	c.listening(t, 0)
	hubtest.Post(t, a.Hub, ra, "room", "1", "5")
	view, err := b.Hub.View(t.Context(), rb, "room")
	if err != nil || view.Version != 5 {
		t.Errorf("%+v, %v", view, err)
	}
}

// keeping returns a route whose rooms keep messages.
func keeping() *route.Route {
	rt := route.Config{App: new(broadcast.App), Settings: socket.Settings{MaxMessageSize: 1 << 10, MaxQueue: 1 << 20}}
	rt.History = route.History{Messages: 100, Replay: 100}
	return route.New("test", "test", rt)
}

// parted is two nodes with a member each. The second one has heard the message "one", and hears
// nothing from then on.
type parted struct {
	*common
	deaf        *node
	a, b        *hubtest.World
	ra, rb      *route.Route
	here, there *hubtest.Client
}

func newParted(t *testing.T) *parted {
	t.Helper()
	p := &parted{common: newCommon(), ra: keeping(), rb: keeping()}
	p.deaf = p.node()
	p.a, p.b = hubtest.New(t, p.node()), hubtest.New(t, p.deaf)
	p.here, p.there = p.a.Join(p.ra), p.b.Join(p.rb)
	p.listening(t, 2)
	p.here.Send("one")
	p.here.Expect("one")
	p.there.Expect("one")
	p.set(func() { p.deaf.cut = true })
	return p
}

// A client that comes to a node that has not heard yet of what it has seen on another one is
// told no gap, and nothing twice.
func TestAClientIsAheadOfTheNode(t *testing.T) {
	p := newParted(t)
	for _, text := range []string{"two", "three"} {
		p.here.Send(text)
		p.here.Expect(text)
	}
	view, err := p.a.History(t.Context(), p.ra, "room", room.Seen{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	seen, err := room.ParseSeen(view.Epoch + "-3")
	if err != nil {
		t.Fatal(err)
	}
	h, err := p.b.History(t.Context(), p.rb, "room", seen, 10)
	if err != nil || h.Gap || h.Last != 3 || len(h.Text()) != 0 {
		t.Errorf("%+v, %q, %v", h, h.Text(), err)
	}
	p.there.Expect("two")
	p.there.Expect("three")
}

// A client that comes to a node that can neither hear of what the client has seen on another one
// nor read it is refused, and comes back later. Somebody else is let in.
func TestAClientIsAheadOfANodeThatCannotRead(t *testing.T) {
	p := newParted(t)
	p.here.Send("two")
	p.here.Expect("two")
	view, err := p.a.History(t.Context(), p.ra, "room", room.Seen{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	ahead, err := room.ParseSeen(view.Epoch + "-2")
	if err != nil {
		t.Fatal(err)
	}
	p.set(func() { p.faults = 1_000_000 }) // for those that try again, too
	if _, err := p.b.Hub.Join(t.Context(), p.rb, room.Visitor{Room: "room", Seen: ahead}); !errors.Is(err, room.ErrUnavailable) || !errors.Is(err, errFault) {
		t.Errorf("joining: %v", err)
	}
	if h, err := p.b.History(t.Context(), p.rb, "room", ahead, 10); !errors.Is(err, room.ErrUnavailable) || !errors.Is(err, errFault) {
		t.Errorf("%+v, %v", h, err)
	}
	p.set(func() { p.faults = 0 })
	p.b.Join(p.rb).Expect("one")
	p.b.Logs.TakeAll()
	back := p.b.Enter(p.rb, room.Visitor{Room: "room", Seen: ahead})
	p.set(func() { p.deaf.cut = false })
	p.here.Send("three")
	back.Expect("three")
	p.there.Expect("two")
	p.there.Expect("three")
}

// Members of a room with history are told what is said over other nodes, in one order, whoever
// has begun it.
func TestMembersHearMessagesKeptByOtherNodes(t *testing.T) {
	a, b, c := nodes(t)
	ra, rb := keeping(), keeping()
	here, there := a.Join(ra), b.Join(rb)
	c.listening(t, 2)
	for i := range 20 {
		sender, other := here, there
		if i%2 == 1 {
			sender, other = there, here
		}
		text := fmt.Sprint("message ", i)
		sender.Send(text)
		sender.Expect(text)
		other.Expect(text)
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
	c.set(func() { c.faults = 1 })
	here.Send("1")
	here.Expect("2")
	there.Expect("2")
}

// pollNodes returns the processes of two nodes.
func pollNodes(t *testing.T) (a, b *pollHouse) {
	c := newCommon()
	return &pollHouse{t: t, engine: c.node()}, &pollHouse{t: t, engine: c.node()}
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
				time.Sleep(lasts + longestSleep + longestStagger + time.Millisecond)
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
		time.Sleep(app.lasts + longestStagger + time.Millisecond)
		a.expectPrefix("room", "1 closed after 2m0")
	})
}

// Of several nodes that know of rooms that are due, in which nobody is, one loads and wakes
// them. The others find nothing to do.
func TestOneNodeWakesWhatIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rooms = 100
		c := newCommon()
		var nodes []*node
		for range 3 {
			nodes = append(nodes, c.node())
			p, rt := &pollHouse{t: t, engine: nodes[len(nodes)-1]}, pollRoute("poll", hourly)
			p.start(rt)
			defer p.stop()
			for n := range rooms {
				if len(nodes) == 1 {
					p.vote(rt, fmt.Sprint(n))
				}
			}
		}
		time.Sleep(time.Hour - time.Second)
		for _, n := range nodes {
			n.loads.Store(0)
		}
		time.Sleep(time.Second + longestStagger)
		synctest.Wait()
		var loads []int64
		for _, n := range nodes {
			loads = append(loads, n.loads.Load())
		}
		slices.Sort(loads)
		if want := []int64{0, 0, 2 * rooms}; !slices.Equal(loads, want) { // the route of each, and then its state
			t.Errorf("the nodes have loaded %d times", loads)
		}
		due, err := c.Due(t.Context(), time.Now().Add(time.Hour), engines.Wake{}, 1)
		if err != nil || len(due) > 0 {
			t.Errorf("still due: %v, %v", due, err)
		}
	})
}

// A poll that is in memory on two nodes when its time comes closes once, and the members of
// both are told.
func TestPollOnTwoNodesClosesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pollNodes(t)
		var members []*hubtest.Client
		for _, p := range []*pollHouse{a, b} {
			rt := pollRoute("poll", hourly)
			p.start(rt)
			defer p.stop()
			c, err := hubtest.Dial(t, p.Hub, rt, room.Visitor{Room: "room"})
			if err != nil {
				t.Fatal(err)
			}
			members = append(members, c)
		}
		members[0].Send("vote")
		for _, c := range members {
			c.Expect("1")
		}
		time.Sleep(time.Hour + time.Minute)
		a.expect("room", "1 closed after 1h0m0s")
		for _, c := range members {
			c.Expect("1 closed after 1h0m0s")
			c.Send("vote")
			c.Expect("error: closed")
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}
