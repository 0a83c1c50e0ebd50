package hub_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/apps/broadcast"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
	"github.com/caddyws/caddy-websocket/socket"
)

// patientRoute has users that may come back within an hour.
func patientRoute() *route.Route {
	return route.New("party", "test", route.Config{
		App: new(broadcast.App), Settings: socket.Settings{MaxMessageSize: 1 << 10, MaxQueue: 1 << 20},
		Presence: route.Presence{On: true, Grace: time.Hour},
	})
}

// keeper is a bubble whose rooms are kept by users that may come back.
type keeper struct {
	hubtest.Bubble
	t     *testing.T
	route *route.Route

	mu   sync.Mutex
	left []string // from where somebody has left, in this order
}

// withKeeper runs a test with at most so many rooms.
func withKeeper(t *testing.T, rooms int, test func(k *keeper)) {
	hubtest.InBubble(t, new(memory.Engine), hub.Limits{MaxRooms: rooms}, func(t *testing.T, b hubtest.Bubble) {
		k := &keeper{Bubble: b, t: t, route: patientRoute()}
		k.Watch(func(n room.News) bool {
			k.mu.Lock()
			defer k.mu.Unlock()
			if n.Name == "left" {
				k.left = append(k.left, n.Room)
			}
			return true
		})
		k.Begin([]*route.Route{k.route})
		test(k)
	})
}

// enter lets a user into a room, who must not be refused.
func (k *keeper) enter(name string) *hubtest.Client {
	k.t.Helper()
	c, err := hubtest.Dial(k.t, k.Hub, k.route, room.Visitor{Room: name, User: "ann", Subprotocol: message.Subprotocol})
	if err != nil {
		k.t.Fatalf("%s: %v", name, err)
	}
	synctest.Wait()
	return c
}

// visit has a user come and go.
func (k *keeper) visit(name string) {
	k.t.Helper()
	k.enter(name).Leave()
	synctest.Wait()
}

// expect fails the test unless so many rooms are in memory, and their users have left these,
// since the last time.
func (k *keeper) expect(rooms int, left ...string) {
	k.t.Helper()
	synctest.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	if n := k.Rooms(); n != rooms || !slices.Equal(k.left, left) {
		k.t.Errorf("%d rooms, want %d; left are %q, want %q", n, rooms, k.left, left)
	}
	k.left = nil
}

// Rooms to which users may come back are no more than the limit: the one that waits longest
// gives way. Members do not.
func TestRoomsThatWaitForUsersGiveWay(t *testing.T) {
	withKeeper(t, 3, func(k *keeper) {
		for _, name := range []string{"1", "2", "3"} {
			k.visit(name)
		}
		k.expect(3)
		k.visit("1") // which waits the least time now
		k.visit("4")
		k.expect(3, "2")
		here := k.enter("5")
		k.expect(3, "3")
		k.enter("6").Leave()
		k.expect(3, "1")
		back := k.enter("6")
		k.expect(3)
		last := k.enter("7")
		k.expect(3, "4")
		if _, err := hubtest.Dial(k.t, k.Hub, k.route, room.Visitor{Room: "8"}); err != hub.ErrTooManyRooms {
			k.t.Errorf("one room too many: %v", err)
		}
		for _, c := range []*hubtest.Client{here, back, last} {
			c.Leave()
		}
		k.expect(3)
		time.Sleep(time.Hour)
		k.expect(0, "5", "6", "7")
	})
}

// However many rooms a client opens, those in memory are no more than the limit.
func TestManyRoomsThatWaitForUsers(t *testing.T) {
	withKeeper(t, 10, func(k *keeper) {
		for i := range 200 {
			k.visit(fmt.Sprint(i))
			if n := k.Rooms(); n > 10 {
				t.Fatalf("%d rooms are in memory", n)
			}
		}
	})
}

// A reload that lowers the limit has rooms give way.
func TestALowerLimitOfRooms(t *testing.T) {
	withKeeper(t, 3, func(k *keeper) {
		for _, name := range []string{"1", "2", "3"} {
			k.visit(name)
		}
		next := patientRoute()
		k.Adopt([]*route.Route{k.route}, []*route.Route{next}, hub.Limits{MaxRooms: 1})
		k.route = next
		k.expect(1, "1", "2")
	})
}

// A room that is switched has its users leave, since it is another one then.
func TestUsersLeaveARoomThatIsSwitched(t *testing.T) {
	withKeeper(t, 3, func(k *keeper) {
		k.visit("1")
		k.route = route.New("party", "test", route.Config{
			App: new(broadcast.App), History: route.History{Messages: 10}, Settings: socket.Settings{MaxMessageSize: 1 << 10, MaxQueue: 1 << 20},
		})
		if _, err := hubtest.Dial(k.t, k.Hub, k.route, room.Visitor{Room: "1"}); err != hub.ErrSwitched {
			t.Errorf("at first: %v", err)
		}
		k.expect(0, "1")
	})
}

// Asking who is in rooms, at several nodes, keeps no more of them than the limit. Each answer
// is the right one.
func TestRoomsThatAreAskedForGiveWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCommon()
		a := c.presenceNode(t)
		asked := &presenceNode{Hub: hub.New(c.node(), hub.Limits{MaxRooms: 10}, zap.NewNop), t: t, route: a.route}
		ann := a.enter("ann")
		var asking sync.WaitGroup
		for i := range 100 {
			asking.Go(func() {
				if _, err := asked.Presence(t.Context(), asked.route, fmt.Sprint(i)); err != nil {
					t.Error(err)
				}
			})
			asking.Go(func() {
				people, err := asked.Presence(t.Context(), asked.route, "room")
				if err != nil || !strings.Contains(string(people), `"count":1`) {
					t.Errorf("told %s, %v", people, err)
				}
			})
		}
		asking.Wait()
		time.Sleep(500 * time.Millisecond) // others are told that nobody is here
		if n := asked.Rooms(); n > 10 || n == 0 {
			t.Errorf("%d rooms are in memory", n)
		}
		time.Sleep(time.Minute)
		if n := asked.Rooms(); n != 0 {
			t.Errorf("%d rooms stay in memory", n)
		}
		ann.Close()
		a.end()
		asked.end()
	})
}
