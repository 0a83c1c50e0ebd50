package room_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/apps/broadcast"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
	"github.com/caddyws/caddy-websocket/socket"
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

// The room goes on while old messages are removed, however long that takes.
func TestRemovingHoldsUpNobody(t *testing.T) {
	chatInBubble(t, func(t *testing.T, e *hubtest.Engine, _ hubtest.Bubble, _ *route.Route, c, other *hubtest.Client) {
		begun, goOn := make(chan struct{}), make(chan struct{})
		e.OnTrim(func() error {
			close(begun)
			<-goOn
			return errors.New("the disk fails")
		})
		version := 1
		speak := func(times int) {
			for range times {
				version++
				c.Send(say("x"))
				hears(t, c, fmt.Sprint(version, " x"))
				hears(t, other, fmt.Sprint(version, " x"))
			}
		}
		speak(20)
		time.Sleep(time.Minute) // they are not kept any more by then
		speak(100)
		<-begun
		speak(100) // would begin with it again, if it were over
		e.OnTrim(nil)
		close(goOn)
		speak(100)
	})
}

// What waits is counted, the text and the object.
func TestWaitingMessagesAreCounted(t *testing.T) {
	e := hubtest.NewEngine()
	hubtest.InBubble(t, e, hub.Limits{}, func(t *testing.T, h hubtest.Bubble) {
		c := h.Client(t, chatRoute(route.History{Messages: 10}, &broadcast.App{Format: "{message}!"}))
		g := hubtest.NewGate()
		e.OnAppend(g.Swap)
		c.Send(strings.Repeat("x", 1000))
		<-g.Taken
		if n := h.WaitingBytes(); n < 2000 || n > 2100 {
			t.Errorf("%d bytes wait", n)
		}
		g.Pass <- nil
		synctest.Wait()
		if n := h.WaitingBytes(); n != 0 {
			t.Errorf("%d bytes wait in the end", n)
		}
	})
}

// The answer to a message that was sent while what came before is still being read comes behind
// the message, also if that cannot be read.
func TestAnswersWhileCatchingUp(t *testing.T) {
	for name, fails := range map[string]error{"": nil, "and failing": errors.New("the disk fails")} {
		t.Run(name, func(t *testing.T) {
			e := hubtest.NewEngine()
			hubtest.InBubble(t, e, hub.Limits{}, func(t *testing.T, h hubtest.Bubble) {
				rt := chatRoute(route.History{Messages: 10, Replay: 10}, new(broadcast.App))
				ask := func() { // and the room leaves memory
					if x, err := h.Ask(t.Context(), rt, room.Visitor{Room: "room"}, apps.Text("x"), nil); err != nil || x.Err != nil {
						t.Fatalf("%+v, %v", x, err)
					}
					synctest.Wait()
				}
				ask()
				ask()
				first := h.Client(t, rt)
				first.Expect("x", "x")
				goOn := make(chan struct{})
				e.OnRead(func() error {
					<-goOn
					return fails
				})
				c, err := hubtest.Dial(t, h.Hub, rt, room.Visitor{Room: "room", Subprotocol: message.Subprotocol, Seen: seen(t, "ELSEWHER-1")})
				if err != nil {
					t.Fatal(err)
				}
				c.Send(`{"data":"mine","id":"c:1"}`, `{"data":"mine too","id":"c:2"}`)
				first.Expect("mine", "mine too")
				synctest.Wait()
				close(goOn)
				if fails != nil {
					hears(t, c, "reply 3 to c:1", "reply 4 to c:2")
					c.ExpectClose(frames.TryAgainLater)
					return
				}
				hears(t, c, "gap before 1", "state 0", "1 x", "2 x", "3 mine", "4 mine too", "reply 3 to c:1", "reply 4 to c:2")
				c.Send(`{"data":"more","id":"c:3"}`)
				hears(t, c, "5 more", "reply 5 to c:3")
			})
		})
	}
}

// What came before does not fill the queue of somebody who joins, who would be closed for it.
func TestCatchingUpLeavesRoomInTheQueue(t *testing.T) {
	hubtest.InBubble(t, hubtest.NewEngine(), hub.Limits{}, func(t *testing.T, h hubtest.Bubble) {
		rt := chatRoute(route.History{Messages: 100, Replay: 100}, new(broadcast.App), func(s *socket.Settings) { s.MaxQueue = 8 << 10 })
		speaker := h.Client(t, rt)
		text := strings.Repeat("x", 1000)
		for range 40 { // all of them are recent
			speaker.Send(text)
			speaker.Expect(text)
		}
		c, err := hubtest.Dial(t, h.Hub, rt, room.Visitor{Room: "room", Subprotocol: message.Subprotocol})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for range 10 {
			speaker.Send(text)
			speaker.Expect(text)
			synctest.Wait()
		}
		hears(t, c, "state 0")
		for i := range 50 {
			hears(t, c, fmt.Sprint(i+1, " ", text))
		}
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
