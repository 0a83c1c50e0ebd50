package room_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/route"
)

// counterInBubble runs a test with two members of a room that has counted 1.
func counterInBubble(t *testing.T, test func(t *testing.T, e *hubtest.Engine, h hubtest.Bubble, rt *route.Route, c, other *hubtest.Client)) {
	e := hubtest.NewEngine()
	hubtest.InBubble(t, e, hub.Limits{}, func(t *testing.T, h hubtest.Bubble) {
		rt := hubtest.Route(hubtest.NewCounterApp())
		c, other := h.Client(t, rt), h.Client(t, rt)
		c.Send("op")
		c.Expect("1")
		other.Expect("1")
		test(t, e, h, rt, c, other)
	})
}

// An outcome that the engine does not tell at first is found out before anybody is told
// anything.
func TestUnknownOutcomesAreSettled(t *testing.T) {
	for name, fail := range map[string]func(do func() error) error{
		"not stored":       func(func() error) error { return errors.New("timeout") },
		"stored":           func(do func() error) error { return errors.Join(do(), errors.New("timeout")) },
		"panic":            func(func() error) error { panic("ouch") },
		"panic and stored": func(do func() error) error { panic(do()) },
		"conflict":         func(func() error) error { return engines.ErrConflict },
	} {
		t.Run(name, func(t *testing.T) {
			counterInBubble(t, func(t *testing.T, e *hubtest.Engine, _ hubtest.Bubble, _ *route.Route, c, other *hubtest.Client) {
				failed := false
				e.OnSwap(func(do func() error) error {
					if failed {
						return do()
					}
					failed = true
					return fail(do)
				})
				c.Send("op", "op")
				c.Expect("2", "3")
				other.Expect("3")
			})
		})
	}
}

// What cannot be settled in ten seconds is answered as unknown, once. Until it is
// settled nothing new is taken; then everybody but the sender is told what it led to,
// also if nothing else happens.
func TestAnOutcomeThatStaysUnknown(t *testing.T) {
	counterInBubble(t, func(t *testing.T, e *hubtest.Engine, h hubtest.Bubble, rt *route.Route, c, other *hubtest.Client) {
		e.OnSwap(func(func() error) error { return errors.New("timeout") })
		began := time.Now()
		c.Send("op")
		c.Expect("error: outcome unknown")
		if waited := time.Since(began); waited != 10*time.Second {
			t.Errorf("answered after %v", waited)
		}
		hubtest.Post(t, h.Hub, rt, "room", "op", "error: unavailable, try again later")
		e.OnSwap(nil)
		other.Expect("2")
		c.Expect("2")
		c.Send("op")
		c.Expect("3")
	})
}

// A room that nobody is in stays in memory until it is known what is stored of it.
func TestARoomStaysUntilItsOutcomeIsKnown(t *testing.T) {
	counterInBubble(t, func(t *testing.T, e *hubtest.Engine, h hubtest.Bubble, rt *route.Route, c, other *hubtest.Client) {
		e.OnSwap(func(func() error) error { return errors.New("timeout") })
		c.Send("op")
		c.Expect("error: outcome unknown")
		c.Close()
		other.Close()
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := h.Rooms(); n != 1 {
			t.Errorf("%d rooms", n)
		}
		e.OnSwap(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := h.Rooms(); n != 0 {
			t.Errorf("%d rooms", n)
		}
		if view, err := h.View(context.Background(), rt, "room"); err != nil || view.Version != 2 {
			t.Errorf("stored is %s, %v", view.ID(), err)
		}
	})
}

// Closing does not wait for an engine that does not answer.
func TestClosingGivesUpWhatCannotBeSettled(t *testing.T) {
	counterInBubble(t, func(t *testing.T, e *hubtest.Engine, h hubtest.Bubble, _ *route.Route, c, _ *hubtest.Client) {
		e.OnSwap(func(func() error) error { return errors.New("timeout") })
		c.Send("op")
		c.Expect("error: outcome unknown")
	})
}
