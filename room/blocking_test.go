package room_test

import (
	"fmt"
	"testing"

	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
)

// An app that blocks stalls its own connection only, which is read on up to 64
// waiting messages; then they are all worked through, in order.
func TestABlockedAppStallsItsConnectionOnly(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	app := hubtest.NewSlowApp()
	route := hubtest.Route(app)
	stuck, other := w.Join(route), w.Join(route)
	const more = 100
	wants := []string{"wait"}
	for i := range more {
		wants = append(wants, fmt.Sprint(i))
	}
	stuck.Send(wants[0])
	hubtest.Until(t, "the app to be stuck", func() bool { return app.Calls.Load() == 1 })
	stuck.Send(wants[1:]...)
	hubtest.Until(t, "reading to stop", func() bool { return stuck.Member.Waiting() == 63 })
	other.Send("a", "b", "c")
	other.Expect("a", "b", "c")
	if n := stuck.Member.Waiting(); n != 63 {
		t.Errorf("%d messages wait behind the one at work", n)
	}
	close(app.Pass)
	stuck.Expect(wants...)
}

// Leave comes once, after the last message, whatever the app was at when the
// connection ended.
func TestLeaveComesLastAndOnce(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	app := hubtest.NewSlowApp()
	route := hubtest.Route(app)
	idle, stuck, panicked := w.Join(route), w.Join(route), w.Join(route)
	stuck.Send("wait")
	hubtest.Until(t, "the app to be stuck", func() bool { return app.Calls.Load() == 1 })
	stuck.Send("a", "b")
	hubtest.Until(t, "the messages", func() bool { return stuck.Member.Waiting() == 2 })
	panicked.Send("panic")
	panicked.ExpectClose(1011)
	panicked.Close()
	idle.Leave()
	stuck.Cut()
	close(app.Pass)
	if err := w.CloseHub(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		c    *hubtest.Client
		want string
	}{{idle, "[leave]"}, {stuck, "[wait a b leave]"}, {panicked, "[panic leave]"}} {
		if got := fmt.Sprint(app.Said(test.c)); got != test.want {
			t.Errorf("the app saw %s, want %s", got, test.want)
		}
	}
}
