package hub_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
)

// slowApp blocks on the message "wait" until it is let go, and notes all calls.
type slowApp struct {
	pass  chan struct{}
	calls atomic.Int64 // of Receive
	left  atomic.Bool  // Leave has been called

	mu   sync.Mutex
	said map[string][]string // by connection
}

func newSlowApp() *slowApp {
	return &slowApp{pass: make(chan struct{}), said: make(map[string][]string)}
}

func (a *slowApp) note(c apps.Conn, text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.said[c.ID()] = append(a.said[c.ID()], text)
}

func (a *slowApp) of(c *hubtest.Client) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.said[c.Member.App().ID()]...)
}

func (a *slowApp) Receive(c apps.Conn, m apps.Message) error {
	a.calls.Add(1)
	text := string(m.Data)
	if text == "wait" {
		<-a.pass
	}
	a.note(c, text)
	if text == "panic" {
		panic(text)
	}
	c.Send(apps.Text(text))
	return nil
}

func (a *slowApp) Leave(c apps.Conn) { a.note(c, "leave"); a.left.Store(true) }

// An app that blocks stalls its own connection only, which is read on up to 64
// waiting messages; then they are all worked through, in order.
func TestABlockedAppStallsItsConnectionOnly(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	app := newSlowApp()
	route := hubtest.Route(app)
	stuck, other := w.Join(route), w.Join(route)
	const more = 100
	wants := []string{"wait"}
	for i := range more {
		wants = append(wants, fmt.Sprint(i))
	}
	stuck.Send(wants[0])
	hubtest.Until(t, "the app to be stuck", func() bool { return app.calls.Load() == 1 })
	stuck.Send(wants[1:]...)
	hubtest.Until(t, "reading to stop", func() bool { return stuck.Member.Waiting() == 63 })
	other.Send("a", "b", "c")
	other.Expect("a", "b", "c")
	if n := stuck.Member.Waiting(); n != 63 {
		t.Errorf("%d messages wait behind the one at work", n)
	}
	close(app.pass)
	stuck.Expect(wants...)
}

// Leave comes once, after the last message, whatever the app was at when the
// connection ended.
func TestLeaveComesLastAndOnce(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	app := newSlowApp()
	route := hubtest.Route(app)
	idle, stuck, panicked := w.Join(route), w.Join(route), w.Join(route)
	stuck.Send("wait")
	hubtest.Until(t, "the app to be stuck", func() bool { return app.calls.Load() == 1 })
	stuck.Send("a", "b")
	hubtest.Until(t, "the messages", func() bool { return stuck.Member.Waiting() == 2 })
	panicked.Send("panic")
	panicked.ExpectClose(1011)
	panicked.Close()
	idle.Leave()
	stuck.Leave()
	close(app.pass)
	if err := w.CloseHub(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		c    *hubtest.Client
		want string
	}{{idle, "[leave]"}, {stuck, "[wait a b leave]"}, {panicked, "[panic leave]"}} {
		if got := fmt.Sprint(app.of(test.c)); got != test.want {
			t.Errorf("the app saw %s, want %s", got, test.want)
		}
	}
}
