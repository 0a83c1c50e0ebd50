package room_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/apps/broadcast"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
	"github.com/caddyws/caddy-websocket/socket"
)

// Of 1,000 members one reads nothing. The others get every message, in order;
// the dead one is closed, whether its queue or the write timeout is over first.
func TestADeadReaderHoldsUpNobody(t *testing.T) {
	for name, limit := range map[string]func(*socket.Settings){
		"queue":         func(s *socket.Settings) { s.MaxQueue = 64 << 10 },
		"write timeout": func(s *socket.Settings) { s.WriteTimeout = 100 * time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			w := hubtest.New(t, new(memory.Engine))
			alive := hubtest.Route(new(broadcast.App))
			dead := joinNarrow(t, w, hubtest.Route(new(broadcast.App), limit))
			readers := make([]*hubtest.Client, scaled(1000)-1)
			for i := range readers {
				readers[i] = w.Join(alive)
			}
			room := dead.Member.App().Room()
			const messages = 300
			payload := strings.Repeat("x", 1<<10)
			all := room.Len()
			var wg sync.WaitGroup
			for _, c := range readers {
				wg.Go(func() {
					for i := range messages {
						if got, err := c.ReadText(); err != nil || got[:4] != fmt.Sprintf("%04d", i) || len(got) != 4+len(payload) {
							t.Errorf("message %d: %d bytes, %v", i, len(got), err)
							return
						}
					}
				})
			}
			for i := range messages {
				readers[0].Send(fmt.Sprintf("%04d", i) + payload)
			}
			wg.Wait()
			hubtest.Until(t, "the dead one to be gone", func() bool { return room.Len() == all-1 })
		})
	}
}

// joinNarrow lets in a client whose connection takes little before it is full.
func joinNarrow(t *testing.T, w *hubtest.World, route *route.Route) *hubtest.Client {
	m, err := w.Hub.Join(context.Background(), route, room.Visitor{Room: "room"})
	if err != nil {
		t.Fatal(err)
	}
	server, client := w.Pair()
	if err := errors.Join(server.(*net.TCPConn).SetWriteBuffer(4<<10), client.(*net.TCPConn).SetReadBuffer(4<<10)); err != nil {
		t.Fatal(err)
	}
	return w.Connect(m, server, client)
}

// All members see the messages of several senders in one order, each sender's
// in its own.
func TestMessagesHaveOneOrder(t *testing.T) {
	const senders, each = 4, 200
	w := hubtest.New(t, new(memory.Engine))
	route := hubtest.Route(new(broadcast.App))
	clients := make([]*hubtest.Client, 70) // more than are served inline
	for i := range clients {
		clients[i] = w.Join(route)
	}
	seen := make([][]string, len(clients))
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() {
			for range senders * each {
				text, err := c.ReadText()
				if err != nil {
					t.Error(err)
					return
				}
				seen[i] = append(seen[i], text)
			}
		})
	}
	for s, c := range clients[:senders] {
		wg.Go(func() {
			for i := range each {
				if _, err := c.Write(hubtest.Texts(fmt.Sprintf("%d %d", s, i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	var next [senders]int
	for _, text := range seen[0] {
		var s, i int
		if _, err := fmt.Sscan(text, &s, &i); err != nil || next[s] != i {
			t.Fatalf("message %q where %d was due, %v", text, next[s], err)
		}
		next[s]++
	}
	for i := range seen {
		if strings.Join(seen[i], ",") != strings.Join(seen[0], ",") {
			t.Fatalf("member %d saw another order", i)
		}
	}
}

// publisher is an app whose members say who is not to be sent their message.
type publisher struct {
	mu      sync.Mutex
	clients map[string]apps.Conn // guarded by mu
}

func (*publisher) Inline() {}

func (p *publisher) Receive(c apps.Conn, m apps.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var except []apps.Conn
	for name := range strings.FieldsSeq(string(m.Data)) {
		except = append(except, p.clients[name])
	}
	c.Room().Publish(m, except...)
	return nil
}

// Whom a message excepts gets all others, and only those, also of one read.
func TestExceptedMembersGetTheOtherMessages(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	app := new(publisher)
	route := hubtest.Route(app)
	a, b, c := w.Join(route), w.Join(route), w.Join(route)
	stranger := w.Enter(route, room.Visitor{Room: "another"})
	app.mu.Lock()
	app.clients = map[string]apps.Conn{"a": a.Member.App(), "b": b.Member.App(), "s": stranger.Member.App()}
	app.mu.Unlock()
	a.Send("a", "", "a b", "b b", "s", "b a", "end")
	a.Expect("", "b b", "s", "end")
	b.Expect("a", "", "s", "end")
	c.Expect("a", "", "a b", "b b", "s", "b a", "end")
	stranger.Send("own")
	stranger.Expect("own")
}

// The opcode of a message goes with it.
func TestPublishedMessagesKeepTheirOpcode(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	route := hubtest.Route(new(broadcast.App))
	a, b := w.Join(route), w.Join(route)
	a.SendBinary("\xff")
	if op, p, err := b.ReadFrame(); err != nil || op != frames.Binary || string(p) != "\xff" {
		t.Errorf("read %v %q, %v", op, p, err)
	}
}

// An event stream is sent events also where a message is left out for it.
func TestExceptedEventStreamsGetEvents(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	app := new(publisher)
	route := hubtest.Route(app)
	stream, speaker := w.Follow(route, ""), w.Join(route)
	app.mu.Lock()
	app.clients = map[string]apps.Conn{"s": stream.Member.App()}
	app.mu.Unlock()
	for _, texts := range [][]string{{"one", "s", "two"}, {"s", "three"}, {"four", "s"}, {"s"}, {"end"}} {
		speaker.Send(texts...)
		speaker.Expect(texts...)
	}
	stream.Expect("data: one", "data: two", "data: three", "data: four", "data: end")
}
