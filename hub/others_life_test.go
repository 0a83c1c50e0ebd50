package hub_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddyws/caddy-websocket/apps/broadcast"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/route"
	"github.com/caddyws/caddy-websocket/socket"
)

// A member of a room in which nothing was said hears all that has been said elsewhere meanwhile,
// also what is up to a checkpoint.
func TestMembersOfASilentRoomHearAll(t *testing.T) {
	c := newCommon()
	ra, rb, deaf := keeping(), keeping(), c.node()
	a, b := hubtest.New(t, c.node()), hubtest.New(t, deaf)
	here, there := a.Join(ra), b.Join(rb)
	c.listening(t, 2)
	c.set(func() { deaf.cut = true })
	for i := range 80 {
		here.Send(fmt.Sprint("message ", i))
		here.Expect(fmt.Sprint("message ", i))
	}
	c.set(func() { deaf.cut = false })
	here.Send("last")
	for i := range 80 {
		there.Expect(fmt.Sprint("message ", i))
	}
	there.Expect("last")
}

// Members that have missed the beginning of another life of the room are told a gap, and then all
// that is kept of it, whether it is little or much.
func TestMembersHearAllOfAnotherLife(t *testing.T) {
	for name, queue := range map[string]int{"little": 1 << 20, "much": 1 << 10} {
		t.Run(name, func(t *testing.T) {
			c := newCommon()
			rt := func() *route.Route {
				config := route.Config{App: new(broadcast.App), Settings: socket.Settings{MaxMessageSize: 1 << 10, MaxQueue: queue}}
				config.History = route.History{Messages: 100, Replay: 2}
				return route.New("test", "test", config)
			}
			ra, rb, deaf := rt(), rt(), c.node()
			a, b := hubtest.New(t, c.node()), hubtest.New(t, deaf)
			here, there := a.Join(ra), b.Join(rb)
			c.listening(t, 2)
			here.Send("one")
			here.Expect("one")
			there.Expect("one")
			c.set(func() { deaf.cut = true })
			if _, err := a.Hub.DeleteRoom(t.Context(), engines.Key{App: ra.AppName, Room: "room"}); err != nil {
				t.Fatal(err)
			}
			here = a.Join(ra)
			text := func(i int) string { return fmt.Sprint(i, strings.Repeat("x", 100)) }
			for i := range 80 {
				here.Send(text(i))
				here.Expect(text(i))
			}
			c.set(func() { deaf.cut = false })
			here.Send("last")
			if got, err := there.ReadText(); err != nil || !strings.HasPrefix(got, "gap: what happened before ") || !strings.Contains(got, "-1 is not known") {
				t.Fatalf("%q, %v", got, err)
			}
			for i := range 80 {
				there.Expect(text(i))
			}
			there.Expect("last")
		})
	}
}
