package hub_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddyws/caddy-websocket/apps/echo"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
	"github.com/caddyws/caddy-websocket/socket"
)

// logging runs a test with a hub whose lines it can look at, and ends it.
func logging(t *testing.T, limits hub.Limits, test func(t *testing.T, h hubtest.Bubble, logs *observer.ObservedLogs)) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		log := zap.New(core)
		h := hub.New(hubtest.Opens(new(memory.Engine)), limits, func() *zap.Logger { return log })
		end := sync.OnceFunc(func() {
			if err := h.Close(time.Second, frames.GoingAway, ""); err != nil && !errors.Is(err, hub.ErrUnfinished) {
				t.Error(err)
			}
		})
		test(t, hubtest.Bubble{Hub: h, End: end}, logs)
		end()
	})
}

// lines counts the lines with a text.
func lines(logs *observer.ObservedLogs, text string) int { return logs.FilterMessage(text).Len() }

func TestAFullEngineIsLoggedOnceAMinute(t *testing.T) {
	const full = "max_stored_rooms is reached: new rooms are not stored"
	logging(t, hub.Limits{MaxStoredRooms: 1}, func(t *testing.T, h hubtest.Bubble, logs *observer.ObservedLogs) {
		rt := forgetting(hubtest.NewCounterApp())
		hubtest.Post(t, h.Hub, rt, "first", "op", "1")
		for _, test := range []struct {
			after time.Duration
			lines int
		}{{0, 1}, {0, 1}, {59 * time.Second, 1}, {time.Second, 2}, {30 * time.Second, 2}, {30 * time.Second, 3}} {
			time.Sleep(test.after)
			hubtest.Post(t, h.Hub, rt, "another", "op", "error: no more rooms can be stored")
			if n := lines(logs, full); n != test.lines {
				t.Errorf("%d lines, want %d", n, test.lines)
			}
		}
		time.Sleep(2 * time.Hour) // the first room is forgotten, and gives its place
		hubtest.Post(t, h.Hub, rt, "another", "op", "1")
		hubtest.Post(t, h.Hub, rt, "first", "op", "error: no more rooms can be stored")
	})
}

func TestRoutesInDoubtAreLoggedOnce(t *testing.T) {
	logging(t, hub.Limits{}, func(t *testing.T, h hubtest.Bubble, logs *observer.ObservedLogs) {
		unnamed := func(source string) *route.Route {
			return route.New("echo", "echo", route.Config{App: new(echo.App), Source: source})
		}
		for range 2 {
			h.Adopt(routes(unnamed("d"), unnamed("e")), routes(unnamed("d"), unnamed("e")), hub.Limits{})
			if n := logs.Len(); n != 0 {
				t.Errorf("%d lines without a doubt: %v", n, logs.All())
			}
		}
		h.Adopt(routes(unnamed("a"), unnamed("b"), unnamed("c")), routes(unnamed("d"), unnamed("e"), unnamed("f")), hub.Limits{})
		if n := logs.Len(); n != 1 {
			t.Errorf("%d lines: %v", n, logs.All())
		}
	})
}

// A line tells how a connection ended, and its error only if it had one.
func TestEndsAreLogged(t *testing.T) {
	logging(t, hub.Limits{}, func(t *testing.T, h hubtest.Bubble, logs *observer.ObservedLogs) {
		c := h.Client(t, hubtest.Route(new(echo.App)))
		c.Send("hello")
		c.Expect("hello")
		closing := frames.AppendMasked(nil, frames.Header{Fin: true, Opcode: frames.Close}, frames.AppendClose(nil, frames.NormalClosure, "bye"))
		if _, err := c.Write(closing); err != nil {
			t.Fatal(err)
		}
		c.ExpectClose(frames.NormalClosure)
		synctest.Wait()
		h.Client(t, hubtest.Route(new(echo.App), func(s *socket.Settings) { s.PingInterval, s.PingTimeout = time.Second, time.Second }))
		time.Sleep(time.Minute) // it says nothing
		synctest.Wait()
		ends := logs.FilterMessage("connection ended").All()
		if len(ends) != 2 {
			t.Fatalf("%d lines: %v", len(ends), ends)
		}
		closed, lost := ends[0].ContextMap(), ends[1].ContextMap()
		if _, failed := closed["error"]; failed || fmt.Sprintf("%v %v %v %v %v", closed["code"], closed["reason"], closed["by_client"], closed["messages_in"], closed["messages_out"]) != "1000 bye true 1 1" {
			t.Errorf("a close is logged as %v", closed)
		}
		if _, failed := lost["error"]; !failed || fmt.Sprint(lost["code"]) != "1006" {
			t.Errorf("a cut is logged as %v", lost)
		}
	})
}

// Those that do not answer a close are cut, which is logged once for all.
func TestClientsThatDoNotAnswerACloseAreLogged(t *testing.T) {
	const left = "clients did not finish the close handshake in time"
	for _, silent := range []int{0, 3} {
		logging(t, hub.Limits{}, func(t *testing.T, h hubtest.Bubble, logs *observer.ObservedLogs) {
			for range silent {
				h.Client(t, hubtest.Route(new(echo.App)))
			}
			h.End()
			if n := lines(logs, left); n != min(silent, 1) {
				t.Errorf("%d lines for %d clients", n, silent)
			}
		})
	}
}

// Connections are counted when they come and when they go, and those that are refused
// are not.
func TestConnectionsAreLimited(t *testing.T) {
	hubtest.InBubble(t, new(memory.Engine), hub.Limits{MaxConnections: 3}, func(t *testing.T, h hubtest.Bubble) {
		rt := route.New("test", "test", route.Config{App: new(echo.App), MaxConnectionsPerIP: 2})
		join := func(ip string, want error) *hub.Connection {
			t.Helper()
			c, err := h.Join(context.Background(), rt, room.Visitor{Room: "room", ClientIP: ip})
			if !errors.Is(err, want) {
				t.Fatalf("joining from %s: %v, want %v", ip, err, want)
			}
			return c
		}
		a := join("192.0.2.1", nil)
		b := join("192.0.2.1", nil)
		for range 5 {
			join("192.0.2.1", hub.ErrTooManyForClient)
		}
		c := join("192.0.2.2", nil)
		for range 5 {
			join("192.0.2.3", hub.ErrTooManyConnections)
		}
		c.Abandon()
		d := join("192.0.2.3", nil)
		join("192.0.2.3", hub.ErrTooManyConnections)
		for _, m := range []*hub.Connection{a, b, d} {
			m.Abandon()
		}
		for _, ip := range []string{"192.0.2.1", "192.0.2.1", "192.0.2.2"} {
			defer join(ip, nil).Abandon()
		}
	})
}
