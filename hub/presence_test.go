package hub_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/apps/broadcast"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/presence"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
	"github.com/caddyws/caddy-websocket/socket"
)

// presenceNode is one of several nodes in a bubble that tell who is there.
type presenceNode struct {
	*hub.Hub
	t      *testing.T
	engine *node
	route  *route.Route
	ending sync.Once
}

func (c *common) presenceNode(t *testing.T) *presenceNode {
	n := c.node()
	return &presenceNode{Hub: hub.New(n, hub.Limits{}, zap.NewNop), t: t, engine: n, route: route.New("party", "test", route.Config{
		App: new(broadcast.App), Settings: socket.Settings{MaxMessageSize: 1 << 10, MaxQueue: 1 << 20},
		Presence: route.Presence{On: true, Grace: time.Second},
	})}
}

// enter lets somebody in, and returns its client.
func (n *presenceNode) enter(user string) *hubtest.Client {
	n.t.Helper()
	c, err := hubtest.Dial(n.t, n.Hub, n.route, room.Visitor{Room: "room", User: user, Subprotocol: message.Subprotocol})
	if err != nil {
		n.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(2 * time.Hour)) // nodes tell each other again and again: time would go on for ever
	return c
}

// shows fails the test unless a GET on the node is told this.
func (n *presenceNode) shows(want string) {
	n.t.Helper()
	got, err := n.Presence(n.t.Context(), n.route, "room")
	if err != nil || string(got) != `{"type":"presence","event":"state",`+want+`}` {
		n.t.Errorf("%s, %v, want %s", got, err, want)
	}
}

// end ends the node, once.
func (n *presenceNode) end() {
	n.t.Helper()
	n.ending.Do(func() {
		if err := n.Close(time.Minute, frames.GoingAway, ""); err != nil {
			n.t.Error(err)
		}
	})
}

// onNodes runs a test with three nodes.
func onNodes(t *testing.T, test func(t *testing.T, c *common, a, b, other *presenceNode)) {
	synctest.Test(t, func(t *testing.T) {
		c := newCommon()
		nodes := []*presenceNode{c.presenceNode(t), c.presenceNode(t), c.presenceNode(t)}
		test(t, c, nodes[0], nodes[1], nodes[2])
		for _, n := range nodes {
			n.end()
		}
	})
}

// A user is one member on whatever nodes it is, and each node tells of all.
func TestPeopleOnSeveralNodes(t *testing.T) {
	onNodes(t, func(t *testing.T, _ *common, a, b, other *presenceNode) {
		ann := a.enter("ann")
		ann.ExpectPrefix(`{"type":"presence","event":"state","count":1,`)
		again := b.enter("ann")
		time.Sleep(time.Second)
		guest := b.enter("")
		id := guest.Member.ID()
		ann.Expect(`{"type":"presence","event":"change","count":2,"joined":[{"id":"` + id + `"}]}`)
		guest.Expect(`{"type":"presence","event":"state","count":2,"members":[{"user":"ann","connections":2},{"id":"` + id + `"}]}`)
		other.shows(`"count":2,"members":[{"user":"ann","connections":2},{"id":"` + id + `"}]`)
		time.Sleep(time.Minute)
		if n := other.Rooms(); n != 0 {
			t.Errorf("%d rooms stay in memory", n)
		}
		again.Close()
		time.Sleep(time.Minute)
		guest.Close()
		ann.Expect(`{"type":"presence","event":"change","count":1,"left":[{"id":"` + id + `"}]}`)
		ann.Close()
	})
}

// The members of a node that is gone have left a little later, and nobody else has. A node
// that is cut off shows what it last knew, and all agree when it is back.
func TestPeopleOfANodeThatIsCutOff(t *testing.T) {
	onNodes(t, func(t *testing.T, c *common, a, b, other *presenceNode) {
		ann, bob := a.enter("ann"), b.enter("bob")
		time.Sleep(time.Second)
		both := `"count":2,"members":[{"user":"ann","connections":1},{"user":"bob","connections":1}]`
		a.shows(both)
		c.set(func() { b.engine.cut = true })
		begun := time.Now()
		ann.ExpectPrefix(`{"type":"presence","event":"state","count":2,`)
		ann.Expect(`{"type":"presence","event":"change","count":1,"left":[{"user":"bob"}]}`)
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
		time.Sleep(time.Hour)
		people, err := b.Presence(t.Context(), b.route, "room")
		if err != nil || !strings.Contains(string(people), `"ann"`) || !strings.Contains(string(people), `"count":2`) {
			t.Errorf("the node that is cut off shows %s, %v", people, err)
		}
		other.shows(`"count":1,"members":[{"user":"ann","connections":1}]`)
		c.set(func() { b.engine.cut = false })
		ann.Expect(`{"type":"presence","event":"change","count":2,"joined":[{"user":"bob","connections":1}]}`)
		ann.Close()
		bob.Close()
	})
}

// The first to join on a node is told everybody that is there, as the first that it is told.
func TestTheFirstOnANodeIsToldOfAll(t *testing.T) {
	onNodes(t, func(t *testing.T, c *common, a, b, other *presenceNode) {
		ann, bob := a.enter("ann"), b.enter("bob")
		time.Sleep(time.Second)
		carl := other.enter("carl")
		said, err := carl.ReadText()
		if err != nil || !strings.HasPrefix(said, `{"type":"presence","event":"state","count":3,`) {
			t.Errorf("told %s, %v", said, err)
		}
		for _, c := range []*hubtest.Client{ann, bob, carl} {
			c.Close()
		}
	})
}

// A client that joins a node which cannot reach the others is told at once who is here.
func TestTheFirstOnANodeThatIsCutOff(t *testing.T) {
	onNodes(t, func(t *testing.T, c *common, a, _, _ *presenceNode) {
		c.set(func() { a.engine.cut = true })
		begun := time.Now()
		ann := a.enter("ann")
		ann.ExpectPrefix(`{"type":"presence","event":"state","count":1,`)
		if took := time.Since(begun); took > presence.Pace {
			t.Errorf("it took %v", took)
		}
		ann.Close()
	})
}

// A node that finds that what it has published was lost tells it again at once, and asks.
func TestPeopleAfterALoss(t *testing.T) {
	onNodes(t, func(t *testing.T, c *common, a, b, _ *presenceNode) {
		ann := a.enter("ann")
		ann.ExpectPrefix(`{"type":"presence","event":"state","count":1,`)
		b.Presence(t.Context(), b.route, "elsewhere") // which opens the engine
		c.set(func() { b.engine.mute = true })
		bob := b.enter("bob")
		bob.ExpectPrefix(`{"type":"presence","event":"state","count":1,`)
		c.set(func() { b.engine.mute = false })
		begun := time.Now()
		c.tellOne(b.engine, engines.Event{Cut: true})
		ann.Expect(`{"type":"presence","event":"change","count":2,"joined":[{"user":"bob","connections":1}]}`)
		bob.Expect(`{"type":"presence","event":"change","count":2,"joined":[{"user":"ann","connections":1}]}`)
		if took := time.Since(begun); took > time.Second {
			t.Errorf("it took %v", took)
		}
		ann.Close()
		bob.Close()
	})
}

// A node that ends says so: its guests have left at once, and its users may come to another.
func TestPeopleOfANodeThatEnds(t *testing.T) {
	onNodes(t, func(t *testing.T, c *common, a, b, _ *presenceNode) {
		ann := a.enter("ann")
		bob, guest := b.enter("bob"), b.enter("")
		time.Sleep(time.Second)
		told := make(chan string, 100)
		go func() {
			for {
				text, err := ann.ReadText()
				if err != nil {
					close(told)
					return
				}
				told <- text
			}
		}()
		for _, c := range []*hubtest.Client{bob, guest} {
			go func() { // until it is told to go
				defer c.Close()
				for {
					if _, err := c.ReadText(); err != nil {
						return
					}
				}
			}()
		}
		left := guest.Member.ID()
		next := c.presenceNode(t)
		defer next.end()
		b.end()
		back := next.enter("bob")
		time.Sleep(time.Minute)
		a.shows(`"count":2,"members":[{"user":"ann","connections":1},{"user":"bob","connections":1}]`)
		ann.Close()
		back.Close()
		var all []string
		for text := range told {
			all = append(all, text)
		}
		if last := all[len(all)-1]; last != `{"type":"presence","event":"change","count":2,"left":[{"id":"`+left+`"}]}` {
			t.Errorf("ann is told %q", all)
		}
	})
}

// Users that may come back do not keep a room from being what a reload has made of its route.
func TestARoomWithUsersThatMayComeBackIsSwitched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(new(memory.Opener), hub.Limits{}, zap.NewNop)
		config := route.Config{
			App: new(broadcast.App), Settings: socket.Settings{MaxMessageSize: 1 << 10, MaxQueue: 1 << 20},
			Presence: route.Presence{On: true, Grace: time.Hour},
		}
		c, err := hubtest.Dial(t, h, route.New("party", "test", config), room.Visitor{Room: "room", User: "ann", Subprotocol: message.Subprotocol})
		if err != nil {
			t.Fatal(err)
		}
		c.Leave()
		synctest.Wait()
		config.History = route.History{Messages: 10}
		keeps := route.New("party", "test", config)
		if _, err := hubtest.Dial(t, h, keeps, room.Visitor{Room: "room"}); !errors.Is(err, hub.ErrSwitched) {
			t.Errorf("at first: %v", err)
		}
		synctest.Wait()
		if _, err := hubtest.Dial(t, h, keeps, room.Visitor{Room: "room"}); err != nil {
			t.Errorf("then: %v", err)
		}
		checkClosed(t, h)
	})
}

// When rooms are kept elsewhere from now on, in this process, all have left them. When the
// process ends nobody is told that.
func TestPeopleOfAHubThatEnds(t *testing.T) {
	for code, want := range map[frames.CloseCode]string{
		frames.ServiceRestart: `joined {"user":"ann","count":1} joined {"user":"bob","count":2} left {"user":"ann","count":1} left {"user":"bob","count":0}`,
		frames.GoingAway:      `joined {"user":"ann","count":1} joined {"user":"bob","count":2}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			h := hub.New(new(memory.Opener), hub.Limits{}, zap.NewNop)
			var told []string
			h.Watch(func(n room.News) bool {
				told = append(told, n.Name, string(n.Body.JSON))
				return true
			})
			rt := patientRoute()
			for _, user := range []string{"ann", "bob"} {
				c, err := hubtest.Dial(t, h, rt, room.Visitor{Room: "room", User: user})
				if err != nil {
					t.Fatal(err)
				}
				go func() { // until it is told to go
					defer c.Close()
					for {
						if _, err := c.ReadText(); err != nil {
							return
						}
					}
				}()
			}
			synctest.Wait()
			if err := h.Close(time.Minute, code, ""); err != nil {
				t.Error(err)
			}
			if got := strings.Join(told, " "); got != want {
				t.Errorf("%d: told %s, want %s", code, got, want)
			}
		})
	}
}
