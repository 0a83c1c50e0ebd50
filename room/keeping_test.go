package room_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddyws/caddy-websocket/apps/broadcast"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// chatInBubble runs a test with two members of a room that keeps messages and has one.
func chatInBubble(t *testing.T, test func(t *testing.T, e *hubtest.Engine, h hubtest.Bubble, rt *route.Route, c, other *hubtest.Client)) {
	e := hubtest.NewEngine()
	hubtest.InBubble(t, e, hub.Limits{}, func(t *testing.T, h hubtest.Bubble) {
		rt := chatRoute(route.History{Messages: 10, Replay: 10}, new(broadcast.App))
		join := func() *hubtest.Client {
			c, err := hubtest.Dial(t, h.Hub, rt, room.Visitor{Room: "room", Subprotocol: message.Subprotocol})
			if err != nil {
				t.Fatal(err)
			}
			hears(t, c, "state 0")
			return c
		}
		c, other := join(), join()
		c.Send(say("one"))
		hears(t, c, "1 one")
		hears(t, other, "1 one")
		test(t, e, h, rt, c, other)
	})
}

// An outcome that the engine does not tell at first is found out before anybody is told
// anything, and then everybody is told once.
func TestUnknownOutcomesOfMessages(t *testing.T) {
	for name, fail := range map[string]func(do func() error) error{
		"not stored":       func(func() error) error { return errors.New("timeout") },
		"stored":           func(do func() error) error { return errors.Join(do(), errors.New("timeout")) },
		"panic and stored": func(do func() error) error { panic(do()) },
		"conflict":         func(func() error) error { return engines.ErrConflict },
	} {
		t.Run(name, func(t *testing.T) {
			chatInBubble(t, func(t *testing.T, e *hubtest.Engine, _ hubtest.Bubble, _ *route.Route, c, other *hubtest.Client) {
				failed := false
				e.OnAppend(func(do func() error) error {
					if failed {
						return do()
					}
					failed = true
					return fail(do)
				})
				c.Send(`{"data":"two","id":"c:1"}`, say("three"))
				hears(t, c, "2 two", "reply 2 to c:1", "3 three")
				hears(t, other, "2 two", "3 three")
			})
		})
	}
}

// A message that is refused reaches nobody; the room goes on.
func TestRefusedMessages(t *testing.T) {
	chatInBubble(t, func(t *testing.T, e *hubtest.Engine, _ hubtest.Bubble, _ *route.Route, c, other *hubtest.Client) {
		e.OnAppend(func(func() error) error { return engines.ErrRefused })
		c.Send(`{"data":"two","id":"c:1"}`)
		hears(t, c, "error 0unavailable")
		e.OnAppend(nil)
		c.Send(`{"data":"two","id":"c:1"}`)
		hears(t, c, "2 two", "reply 2 to c:1")
		hears(t, other, "2 two")
	})
}

// What a client sends behind a first message that was refused is told which one is missing, and
// not that it may have counted.
func TestMessagesBehindARefusedFirstOne(t *testing.T) {
	chatInBubble(t, func(t *testing.T, e *hubtest.Engine, _ hubtest.Bubble, _ *route.Route, c, other *hubtest.Client) {
		e.OnAppend(func(func() error) error { return engines.ErrRefused })
		c.Send(`{"data":"two","id":"c:1"}`)
		hears(t, c, "error 0unavailable")
		e.OnAppend(nil)
		c.Send(`{"data":"three","id":"c:2"}`)
		hears(t, c, "error 0expected")
		c.Send(`{"data":"two","id":"c:1"}`, `{"data":"three","id":"c:2"}`)
		hears(t, c, "2 two", "reply 2 to c:1", "3 three", "reply 3 to c:2")
		hears(t, other, "2 two", "3 three")
		c.Send(`{"data":"five","id":"d:2"}`) // of which no first one has come
		hears(t, c, "error 0unknown_client")
	})
}

// A message that cannot be settled in ten seconds is answered as unknown. When it is found
// stored everybody is told it, the sender too, also if nothing else happens; and a retry has
// its place.
func TestAMessageThatStaysUnknown(t *testing.T) {
	chatInBubble(t, func(t *testing.T, e *hubtest.Engine, h hubtest.Bubble, rt *route.Route, c, other *hubtest.Client) {
		stored := false
		e.OnAppend(func(do func() error) error {
			if !stored {
				stored = true
				_ = do()
			}
			return errors.New("timeout")
		})
		e.OnRead(func() error { return errors.New("timeout") })
		began := time.Now()
		c.Send(`{"data":"two","id":"c:1"}`)
		hears(t, c, "error 0unknown")
		if waited := time.Since(began); waited != 10*time.Second {
			t.Errorf("answered after %v", waited)
		}
		hubtest.Post(t, h.Hub, rt, "room", "three", "error: unavailable, try again later")
		e.OnAppend(nil)
		e.OnRead(nil)
		hears(t, other, "2 two")
		epoch := hears(t, c, "2 two").Epoch
		c.Send(`{"data":"two","id":"c:1"}`)
		if m := hears(t, c, "reply 2 to c:1"); !m.Repeat {
			t.Errorf("%+v", m)
		}
		hubtest.Post(t, h.Hub, rt, "room", "three", fmt.Sprint(epoch, "-3"))
		hears(t, c, "3 three")
		hears(t, other, "3 three")
	})
}
