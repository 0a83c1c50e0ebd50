package room_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/apps/broadcast"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
	"github.com/caddyws/caddy-websocket/socket"
)

// Time in these tests is that of a bubble: however busy the machine is, what is
// waited for is what the rules say.

// paced is a connection that is read at a rate, in bytes a second, from when the
// gate is closed.
type paced struct {
	net.Conn
	rate int
	gate <-chan struct{}
}

func (p paced) Read(b []byte) (n int, err error) {
	n, err = p.Conn.Read(b)
	select {
	case <-p.gate:
		time.Sleep(time.Duration(n) * time.Second / time.Duration(p.rate))
	default:
	}
	return n, err
}

// enter lets in a member over a connection that keeps nothing, read at a rate from
// when the gate is closed.
func enter(t *testing.T, h hubtest.Bubble, rt *route.Route, rate int, gate <-chan struct{}) *hubtest.Client {
	t.Helper()
	m, err := h.Join(context.Background(), rt, room.Visitor{Room: "room"})
	if err != nil {
		t.Fatal(err)
	}
	server, client := net.Pipe()
	return hubtest.Connect(t, m, server, paced{client, rate, gate})
}

// flood publishes so many bytes as fast as they are taken.
func flood(c *hubtest.Client, bytes, size int) {
	message := hubtest.Texts(strings.Repeat("x", size))
	for range bytes / size {
		if _, err := c.Write(message); err != nil {
			return // the test has ended
		}
	}
}

func others(change ...func(*socket.Settings)) *route.Route {
	return hubtest.Route(&broadcast.App{Others: true}, change...)
}

func queueOf(bytes int) func(*socket.Settings) {
	return func(s *socket.Settings) { s.MaxQueue = bytes }
}

// A member that reads all the time gets every message of a publisher that sends as
// fast as it can: the publisher is held up.
func TestASteadyReaderIsWaitedFor(t *testing.T) {
	const rate, bytes = 2 * room.ReaderPace, 4 << 20
	for _, test := range []struct{ publishers, size, queue int }{
		{1, 8 << 10, 64 << 10},
		{1, 8 << 10, 1 << 20},
		{1, 64 << 10, 64 << 10},
		{1, 500, 1 << 10},
		{2, 8 << 10, 64 << 10},
	} {
		t.Run(fmt.Sprintf("%+v", test), func(t *testing.T) {
			hubtest.InBubble(t, new(memory.Engine), hub.Limits{}, func(t *testing.T, h hubtest.Bubble) {
				gate := make(chan struct{})
				route := others(queueOf(test.queue))
				reader := enter(t, h, route, rate, gate)
				var publishers []*hubtest.Client
				for range test.publishers {
					publishers = append(publishers, enter(t, h, others(), 0, nil))
				}
				close(gate)
				begin := time.Now()
				var wg sync.WaitGroup
				for _, p := range publishers {
					wg.Go(func() { flood(p, bytes/test.publishers, test.size) })
				}
				for got := 0; got < bytes-bytes%(test.publishers*test.size); {
					text, err := reader.ReadText()
					if err != nil {
						t.Fatalf("after %d bytes: %v", got, err)
					}
					got += len(text)
				}
				wg.Wait()
				if took, most := time.Since(begin), 2*time.Second*bytes/rate; took > most {
					t.Errorf("took %v, not %v at most", took, most)
				}
			})
		})
	}
}

// A member that reads nothing holds up the others for a moment, once.
func TestADeadMemberIsWaitedForOnce(t *testing.T) {
	hubtest.InBubble(t, new(memory.Engine), hub.Limits{}, func(t *testing.T, h hubtest.Bubble) {
		const messages = 2000
		gate := make(chan struct{})
		dead := enter(t, h, others(queueOf(8<<20)), 0, gate)
		reader := enter(t, h, others(), 0, nil)
		publisher := enter(t, h, others(), 0, nil)
		close(gate)
		begin := time.Now()
		go flood(publisher, messages*8<<10, 8<<10)
		for i := range messages {
			if _, err := reader.ReadText(); err != nil {
				t.Fatalf("message %d: %v", i, err)
			}
		}
		if took := time.Since(begin); took != room.FirstPatience {
			t.Errorf("the others were held up for %v, want %v", took, room.FirstPatience)
		}
		hubtest.Until(t, "the dead member to be out", func() bool { return dead.Member.App().Room().Len() == 2 })
	})
}

// Events of an app are like messages: they are never left out, and their senders
// are held up for a member that reads.
func TestASteadyReaderGetsAllEvents(t *testing.T) {
	hubtest.InBubble(t, hubtest.NewEngine(), hub.Limits{}, func(t *testing.T, h hubtest.Bubble) {
		const operations = 20000
		gate := make(chan struct{})
		route := hubtest.Route(hubtest.NewCounterApp(), queueOf(4<<10))
		reader := enter(t, h, route, 2*room.ReaderPace, gate)
		sender := enter(t, h, hubtest.Route(hubtest.NewCounterApp()), 0, nil)
		close(gate)
		go func() { // its replies and events
			for {
				if _, err := sender.ReadText(); err != nil {
					return
				}
			}
		}()
		go func() {
			for range operations / 100 {
				sender.Write(hubtest.Texts(strings.Split(strings.Repeat(",event", 100)[1:], ",")...))
			}
		}()
		for n := 0; n < operations; {
			text, err := reader.ReadText()
			if err != nil {
				t.Fatalf("after event %d: %v", n, err)
			}
			if event, ok := strings.CutPrefix(text, "event "); ok {
				if n++; event != fmt.Sprint(n) {
					t.Fatalf("event %s comes after %d", event, n-1)
				}
			}
		}
	})
}

// A POST is answered when the members that read have taken most of what it brought,
// and in any case soon.
func TestAPostWaitsForReaders(t *testing.T) {
	hubtest.InBubble(t, new(memory.Engine), hub.Limits{}, func(t *testing.T, h hubtest.Bubble) {
		gate := make(chan struct{})
		reader := enter(t, h, others(queueOf(64<<10)), 2*room.ReaderPace, gate)
		close(gate)
		go func() {
			for {
				if _, _, err := reader.ReadFrame(); err != nil {
					return
				}
			}
		}()
		begin := time.Now()
		for range 64 {
			post(t, h, apps.Binary(make([]byte, 64<<10)))
		}
		if took := time.Since(begin); took < 7*time.Second || took > 9*time.Second { // 4 MiB
			t.Errorf("took %v", took)
		}
	})
}

// post publishes by a plain request.
func post(t *testing.T, h hubtest.Bubble, msg apps.Message) {
	a, err := h.Ask(context.Background(), others(), room.Visitor{Room: "room"}, msg, nil)
	if err != nil || (a.Err != nil || a.Code != 0 || a.Data != nil) {
		t.Errorf("answered with %+v, %v", a, err)
	}
}

// When the hub closes nobody waits for readers.
func TestCloseEndsTheWaitForReaders(t *testing.T) {
	hubtest.InBubble(t, new(memory.Engine), hub.Limits{}, func(t *testing.T, h hubtest.Bubble) {
		gate := make(chan struct{})
		enter(t, h, others(queueOf(64<<10)), 0, gate)
		close(gate)
		begin, answered := time.Now(), make(chan time.Duration)
		go func() {
			post(t, h, apps.Binary(make([]byte, 64<<10)))
			answered <- time.Since(begin)
		}()
		synctest.Wait()
		select {
		case <-answered:
			t.Error("the request does not wait")
		default:
			h.End()
			if took := <-answered; took > 0 {
				t.Errorf("the request waited for %v", took)
			}
		}
	})
}
