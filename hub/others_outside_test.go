package hub_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// alarmNode is a node with alarms, whose events are told to a watcher.
type alarmNode struct {
	hubtest.Bubble
	*watcher
	t     *testing.T
	route *route.Route
	ended bool
}

func startAlarmNode(t *testing.T, c *common) *alarmNode {
	t.Helper()
	return startAlarmNodeOver(t, c.node())
}

func startAlarmNodeOver(t *testing.T, engine *node) *alarmNode {
	t.Helper()
	n := &alarmNode{watcher: new(watcher), t: t, route: hubtest.Route(hubtest.NewAlarmApp())}
	n.Hub = hub.New(engine, hub.Limits{}, zap.NewNop)
	n.Watch(n.watch)
	if err := n.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.Begin([]*route.Route{n.route})
	return n
}

func (n *alarmNode) post(room, text, want string) {
	n.t.Helper()
	hubtest.Post(n.t, n.Hub, n.route, room, text, want)
}

// end closes the node, once.
func (n *alarmNode) end() {
	n.t.Helper()
	if n.ended {
		return
	}
	n.ended = true
	if err := n.Close(time.Second, frames.GoingAway, ""); err != nil && !errors.Is(err, hub.ErrUnfinished) {
		n.t.Errorf("closing: %v", err)
	}
}

// withAlarmNodes runs a test with two nodes, each with a member of the room "room" or not.
func withAlarmNodes(t *testing.T, members bool, test func(t *testing.T, a, b *alarmNode, c *common)) {
	synctest.Test(t, func(t *testing.T) {
		c := newCommon()
		a, b := startAlarmNode(t, c), startAlarmNode(t, c)
		defer a.end()
		defer b.end()
		if members {
			for _, n := range []*alarmNode{a, b} {
				m := n.Client(t, n.route)
				defer func() {
					if err := m.Close(); err != nil {
						t.Error(err)
					}
				}()
			}
		}
		test(t, a, b, c)
	})
}

// An event is told outside by the node that has committed it, at once, and by no other one.
func TestOneNodeTellsAnEvent(t *testing.T) {
	for _, members := range []bool{true, false} {
		withAlarmNodes(t, members, func(t *testing.T, a, b *alarmNode, c *common) {
			for i, n := range []*alarmNode{a, b, b, a, b} {
				n.post("room", fmt.Sprint("tell all ", i), fmt.Sprint(i+1))
				n.expect(t, fmt.Sprint("all ", i))
				time.Sleep(time.Duration(i) * time.Second)
			}
			time.Sleep(time.Hour)
			a.expect(t)
			b.expect(t)
			next := startAlarmNode(t, c)
			defer next.end()
			time.Sleep(time.Hour)
			next.expect(t)
		})
	}
}

// So it is if nodes commit events of one room at the same time.
func TestNodesTellEachTheirEvents(t *testing.T) {
	withAlarmNodes(t, true, func(t *testing.T, a, b *alarmNode, _ *common) {
		const each = 200
		var all sync.WaitGroup
		for name, n := range map[string]*alarmNode{"a": a, "b": b} {
			all.Go(func() {
				for i := range each {
					answer, err := n.Ask(t.Context(), n.route, room.Visitor{Room: "room"}, apps.Text(fmt.Sprint("tell all ", name, i)), nil)
					if err != nil || answer.Err != nil {
						t.Errorf("%v, %v", err, answer.Err)
					}
					time.Sleep(time.Duration(i%7) * 100 * time.Millisecond)
				}
			})
		}
		all.Wait()
		time.Sleep(time.Hour)
		for name, n := range map[string]*alarmNode{"a": a, "b": b} {
			var want []string
			for i := range each {
				want = append(want, fmt.Sprint("all ", name, i))
			}
			n.expect(t, want...)
		}
	})
}

// What a node could not tell before it ended another one tells, after a while and once; what
// that one has committed itself meanwhile is told at once.
func TestAnotherNodeTellsWhatADeadOneHasNot(t *testing.T) {
	for _, members := range []bool{true, false} {
		withAlarmNodes(t, members, func(t *testing.T, a, b *alarmNode, c *common) {
			a.setDeaf(true)
			a.post("room", "tell all first", "1")
			b.expect(t)
			b.post("room", "tell all second", "2")
			b.expect(t, "all second")
			time.Sleep(time.Second)
			b.expect(t)
			time.Sleep(time.Minute)
			b.expect(t, "all first")
			time.Sleep(time.Hour)
			b.expect(t)
			next := startAlarmNode(t, c)
			defer next.end()
			time.Sleep(time.Hour)
			next.expect(t)
		})
	}
}

// A node that is closed while it holds back the events of another does not wait for that, and
// leaves them.
func TestANodeThatEndsLeavesWhatItHoldsBack(t *testing.T) {
	withAlarmNodes(t, false, func(t *testing.T, a, b *alarmNode, c *common) {
		a.setDeaf(true)
		a.post("room", "tell all first", "1")
		b.post("room", "tell all second", "2")
		b.expect(t, "all second")
		next := startAlarmNode(t, c)
		defer next.end()
		before := time.Now()
		b.end()
		if took := time.Since(before); took > 100*time.Millisecond {
			t.Errorf("closing took %v", took)
		}
		b.expect(t)
		time.Sleep(time.Minute)
		next.expect(t, "all first", "all second") // that the second was told could not be stored
	})
}
