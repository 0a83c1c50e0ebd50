package room_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/apps/echo"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
)

// A room with 16 MiB of operations that wait takes no more, until some are carried out.
func TestABusyRoomTakesNoMore(t *testing.T) {
	w, route, e, g := gated(t)
	c := w.Join(route)
	c.Send("op")
	<-g.Taken
	const each, fit = 256 << 10, 64
	member := c.Member.App()
	for range fit {
		member.Room().Apply(member, make([]byte, each))
	}
	waiting(t, w, 2+fit*each)
	more := w.Join(route)
	more.Send("x")
	more.Expect("error: busy, try again later")
	e.OnSwap(nil)
	g.Pass <- nil
	for n := range 1 + fit {
		c.Expect(fmt.Sprint(n + 1))
	}
	more.Expect("1", "65")
	more.Send("x")
	more.Expect("66")
}

// appliesApp applies what it is sent, in a room that keeps nothing.
type appliesApp struct{ echo.App }

func (*appliesApp) Receive(c apps.Conn, m apps.Message) error {
	c.Room().Apply(c, m.Data)
	return nil
}

func TestAnOperationInARoomThatKeepsNothing(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	c := w.Join(hubtest.Route(new(appliesApp)))
	c.Send("op")
	c.Expect("error: this room keeps no state")
}

// Alerts that begin are counted, other events are not.
func TestAlertsAreCounted(t *testing.T) {
	hubtest.InBubble(t, new(memory.Engine), hub.Limits{}, func(t *testing.T, b hubtest.Bubble) {
		rt := hubtest.Route(hubtest.NewAlarmApp())
		c := b.Client(t, rt)
		c.Send("tell all fire", "name other", "tell press stop")
		c.Expect("1", "all fire", "2", "all named", "3")
		synctest.Wait()
		if n := rt.Tally.Gather().Counts().Alerts["other"]; n != 2 {
			t.Errorf("%d alerts", n)
		}
	})
}
