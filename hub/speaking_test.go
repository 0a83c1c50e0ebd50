package hub_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/apps/broadcast"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/tally"
)

// publish says something in a room as an operator of a node.
func publish(t *testing.T, w *hubtest.World, name, text string, members int, want error) {
	t.Helper()
	n, err := w.Hub.Publish(t.Context(), engines.Key{App: "test", Room: name}, apps.Text(text))
	if n != members || !errors.Is(err, want) {
		t.Errorf("%q is published to %d members, %v; want %d, %v", text, n, err, members, want)
	}
}

// Members of several nodes are told what anybody of them says, once. All of a node are told
// it in the same order, and what one has said in the order in which it was said.
func TestMessagesAreHeardOnOtherNodes(t *testing.T) {
	const each = 200
	a, b, c := nodes(t)
	ra, rb := hubtest.Route(new(broadcast.App)), hubtest.Route(new(broadcast.App))
	clients := []*hubtest.Client{a.Join(ra), a.Join(ra), b.Join(rb), b.Join(rb)}
	c.listening(t, 2)
	heard := make([][]string, len(clients))
	var wg sync.WaitGroup
	for i, client := range clients {
		wg.Go(func() {
			for range len(clients) * each {
				text, err := client.ReadText()
				if err != nil {
					t.Error(err)
					return
				}
				heard[i] = append(heard[i], text)
			}
		})
		wg.Go(func() {
			for n := range each {
				client.Send(fmt.Sprint(i, " ", n))
			}
		})
	}
	wg.Wait()
	if !slices.Equal(heard[0], heard[1]) || !slices.Equal(heard[2], heard[3]) {
		t.Error("members of one node are told different orders")
	}
	for _, texts := range [][]string{heard[0], heard[2]} {
		next := make([]int, len(clients))
		for _, text := range texts {
			var from, n int
			if _, err := fmt.Sscan(text, &from, &n); err != nil || n != next[from] {
				t.Fatalf("%q where %d was due, %v", text, next[from], err)
			}
			next[from]++
		}
	}
	for _, client := range clients {
		client.Leave()
	}
	c.listening(t, 0)
}

// Members of the subprotocol json on other nodes are told by whom a message is, and when it was
// sent, as those on this one are: the very same object, whatever the text is made of.
func TestWhoHasSpokenIsHeardOnOtherNodes(t *testing.T) {
	a, b, c := nodes(t)
	ra, rb := hubtest.Route(&broadcast.App{Format: "{user}: {message}"}), hubtest.Route(&broadcast.App{Format: "{user}: {message}"})
	speaks := room.Visitor{Room: "room", Subprotocol: message.Subprotocol, User: "ann"}
	here, there, text := a.Enter(ra, speaks), b.JoinJSON(rb), b.Join(rb)
	c.listening(t, 2)
	same := func(want ...string) {
		t.Helper()
		mine, err := here.ReadText()
		if err != nil {
			t.Fatal(err)
		}
		there.Expect(mine)
		for _, w := range append(want, `"time":"`) {
			if !strings.Contains(mine, w) {
				t.Errorf("told %s, want %s", mine, w)
			}
		}
	}
	here.Send(`{"data":"\"hi\""}`)
	same(`"data":"\"hi\""}`, `"user":"ann"}`, `"from":{"id":"`)
	text.Expect(`ann: "hi"`)
	here.SendBinary("\xff")
	same(`"binary":"/w=="}`, `"user":"ann"}`)
	if op, p, err := text.ReadFrame(); err != nil || op != frames.Binary || string(p) != "\xff" {
		t.Errorf("read %v %q, %v", op, p, err)
	}
	there.Send(`{"data":"nobody"}`)
	told, err := there.ReadText()
	if err != nil || strings.Contains(told, `"user"`) {
		t.Errorf("told %s, %v", told, err)
	}
	here.Expect(told)
	text.Expect(": nobody")
	publish(t, a, "room", "by an operator", 1, nil)
	same(`"data":"by an operator"}`)
	text.Expect("by an operator")
}

// Binary messages stay so, and those of plain requests and of operators are heard, too, also
// if the room is nowhere else.
func TestMessagesFromOutsideAreHeardOnOtherNodes(t *testing.T) {
	a, b, c := nodes(t)
	ra, rb := hubtest.Route(new(broadcast.App)), hubtest.Route(new(broadcast.App))
	there := b.Join(rb)
	c.listening(t, 1)
	if _, err := a.Hub.Ask(t.Context(), ra, room.Visitor{Room: "room"}, apps.Message{Data: []byte("\xff"), Binary: true}, nil); err != nil {
		t.Fatal(err)
	}
	if op, p, err := there.ReadFrame(); err != nil || op != frames.Binary || string(p) != "\xff" {
		t.Errorf("read %v %q, %v", op, p, err)
	}
	hubtest.Until(t, "the room to be gone", func() bool { return a.Rooms() == 0 })
	publish(t, a, "room", "by an operator", 0, nil)
	there.Expect("by an operator")
	here := a.Join(ra)
	publish(t, a, "room", "again", 1, nil)
	here.Expect("again")
	there.Expect("again")
	if err := a.CloseHub(); err != nil {
		t.Fatal(err)
	}
	publish(t, a, "room", "too late", 0, hub.ErrClosed)
	publish(t, b, "room", "last", 1, nil)
	there.Expect("last")
}

// What cannot be said to others is counted, and heard here.
func TestWhatOthersCannotBeTold(t *testing.T) {
	a, b, c := nodes(t)
	counted := tally.NewSet()
	a.CountIn(counted, "common")
	ra, rb := hubtest.Route(new(broadcast.App)), hubtest.Route(new(broadcast.App))
	here, there := a.Join(ra), b.Join(rb)
	c.listening(t, 2)
	c.set(func() { c.broken = true })
	here.Send("one", "two")
	here.Expect("one", "two")
	hubtest.Until(t, "it to be counted", func() bool {
		return counted.EngineErrors()[tally.EngineCall{Engine: "common", Operation: "publish"}] > 0
	})
	c.set(func() { c.broken = false })
	large := strings.Repeat("x", 900)
	for range 30 { // more than one message of the engine
		here.Send(large)
		here.Expect(large)
		there.Expect(large)
	}
}

// A message that the engine does not take is heard here only.
func TestMessageTooLargeForOthers(t *testing.T) {
	a, b, c := nodes(t)
	ra, rb := hubtest.Route(new(broadcast.App)), hubtest.Route(new(broadcast.App))
	here, there := a.Join(ra), b.Join(rb)
	c.listening(t, 2)
	large := strings.Repeat("x", 4<<10)
	publish(t, a, "room", large, 1, nil)
	publish(t, a, "elsewhere", large, 0, room.ErrTooLarge)
	here.Expect(large)
	here.Send("small")
	here.Expect("small")
	there.Expect("small")
}

// What no node has said is passed over.
func TestNonsenseOfOthers(t *testing.T) {
	a, _, c := nodes(t)
	here := a.Join(hubtest.Route(new(broadcast.App)))
	for _, nonsense := range []string{"", "nonsense", "\x01\x00\xff"} {
		c.tell(nil, engines.Key{App: "test", Room: "room"}, engines.Event{Message: []byte(nonsense)})
	}
	c.tell(nil, engines.Key{App: "test", Room: "room"}, engines.Event{Rev: 7})
	here.Send("sense")
	here.Expect("sense")
}

// dialNode lets a client into the hub of a node, in a bubble. end closes the hub.
func dialNode(t *testing.T, n *node) (c *hubtest.Client, end func()) {
	t.Helper()
	h := hub.New(n, hub.Limits{}, zap.NewNop)
	c, err := hubtest.Dial(t, h, hubtest.Route(new(broadcast.App)), room.Visitor{Room: "room"})
	if err != nil {
		t.Fatal(err)
	}
	return c, func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := h.Close(hubtest.Patience, frames.GoingAway, ""); err != nil {
			t.Error(err)
		}
	}
}

// While the engine takes nothing, publishers are not read on without end, and all that was
// read is said in the end.
func TestPublishersAreHeldUntilOthersAreTold(t *testing.T) {
	const messages, most = 1000, 200 // at once: 64, and what is read together
	synctest.Test(t, func(t *testing.T) {
		c := newCommon()
		here, endHere := dialNode(t, c.node())
		defer endHere()
		there, endThere := dialNode(t, c.node())
		defer endThere()
		c.pause = make(chan struct{})
		var work sync.WaitGroup
		work.Go(func() {
			for i := range messages {
				here.Send(fmt.Sprint(i))
			}
		})
		for _, client := range []*hubtest.Client{here, there} {
			work.Go(func() {
				for i := range messages {
					client.Expect(fmt.Sprint(i))
				}
			})
		}
		synctest.Wait()
		if n := here.Member.Stats().MessagesIn; n == 0 || n > most {
			t.Errorf("%d messages were read", n)
		}
		close(c.pause)
		work.Wait()
	})
}

// Rooms that keep nothing are there while the engine is not, and are heard elsewhere when it
// can be reached.
func TestMessagesWhileTheEngineIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCommon()
		far := c.node()
		far.opened = time.Now().Add(20 * time.Second)
		there, endThere := dialNode(t, c.node())
		defer endThere()
		here, endHere := dialNode(t, far)
		defer endHere()
		here.Send("alone")
		here.Expect("alone")
		time.Sleep(time.Minute)
		here.Send("heard")
		here.Expect("heard")
		there.Expect("heard")
		there.Send("back")
		there.Expect("back")
		here.Expect("back")
	})
}

// A room whose subscription fails hears of others later, and is not tried again once it has
// left memory.
func TestRoomsThatAreDeaf(t *testing.T) {
	a, b, c := nodes(t)
	c.set(func() { c.broken = true })
	ra := hubtest.Route(new(broadcast.App))
	here, gone := a.Join(ra), a.Enter(ra, room.Visitor{Room: "another"})
	gone.Leave()
	here.Send("alone")
	here.Expect("alone")
	c.set(func() { c.broken = false })
	c.listening(t, 1)
	if _, err := b.Hub.Ask(context.Background(), hubtest.Route(new(broadcast.App)), room.Visitor{Room: "room"}, apps.Text("heard"), nil); err != nil {
		t.Fatal(err)
	}
	here.Expect("heard")
}
