package appstest_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/apps/appstest"
	"github.com/caddyws/caddy-websocket/apps/broadcast"
	"github.com/caddyws/caddy-websocket/apps/echo"
	"github.com/caddyws/caddy-websocket/apps/lowercase"
	"github.com/caddyws/caddy-websocket/apps/sum"
	"github.com/caddyws/caddy-websocket/leaktest"
)

// A room leaves no goroutine behind.
func TestMain(m *testing.M) { leaktest.Main(m) }

func TestEcho(t *testing.T) {
	room := appstest.NewRoom(t, new(echo.App))
	c := room.Join()
	c.Send("hello")
	c.Expect("hello")
	c.SendBinary([]byte{0, 255})
	c.ExpectBinary([]byte{0, 255})
	big := strings.Repeat("x", 65536)
	c.Send(big)
	c.Expect(big)
	c.Send(big + "x")
	c.ExpectClosed(1009)
	room.Post("by POST").Expect("by POST")
}

func TestEchoOnceCloses(t *testing.T) {
	c := appstest.NewRoom(t, &echo.App{Once: true}).Join()
	c.Send("one")
	c.Send("two")
	c.Expect("one")
	c.ExpectClosed(1000)
}

func TestLowercaseClosesOnBinary(t *testing.T) {
	c := appstest.NewRoom(t, new(lowercase.App)).Join()
	c.Send("ÄÖÜ")
	c.Expect("äöü")
	c.SendBinary([]byte("X"))
	c.ExpectClosed(1003)
}

func TestSumInBothLanguages(t *testing.T) {
	room := appstest.NewRoom(t, new(sum.App))
	ann, bob := room.Join(), room.Join(appstest.JSON)
	bob.ExpectJSON(`{"type":"state","total":0,"version":0}`)
	ann.Send("6")
	ann.Expect("6")
	bob.ExpectJSON(`{"type":"update","total":6}`)
	bob.Send(`{"value":-0.5}`)
	bob.ExpectJSON(`{"type":"reply","total":5.5,"version":2}`)
	ann.Expect("5.5")
	ann.Send("six")
	ann.Expect("error: not a number")
	bob.ExpectNothing()
	room.Post("1").Expect("6.5")
	room.Post("six").ExpectRefused("not a number")
	ann.Expect("6.5")
	room.ExpectState("6.5")
}

func TestStateOutlivesRestart(t *testing.T) {
	room := appstest.NewRoom(t, &sum.App{Greet: true})
	c := room.Join()
	c.Expect("0")
	c.Send("6")
	c.Expect("6")
	room.Restart()
	room.ExpectState("6")
	room.Join().Expect("6")
}

func TestBroadcastReachesEverybodyButThoseWhoLeft(t *testing.T) {
	room := appstest.NewRoom(t, &broadcast.App{Format: "{user}: {message}"})
	ann, bob := room.Join(appstest.User("ann")), room.Join()
	ann.Send("hi")
	ann.Expect("ann: hi")
	bob.Expect("ann: hi")
	bob.Leave()
	ann.Send("bye")
	ann.Expect("ann: bye")
	room.Post("from outside", appstest.User("bot")).ExpectNothing()
	ann.Expect("bot: from outside")
}

// doorman refuses who does not say please, and panics when told to.
type doorman struct{ left chan string }

func (*doorman) Join(c apps.Conn, h apps.Handshake) error {
	if h.Query.Get("say") != "please" && h.Header.Get("Say") != "please" {
		return errors.New("impolite")
	}
	return nil
}

func (*doorman) Receive(_ apps.Conn, m apps.Message) error { panic(string(m.Data)) }
func (d *doorman) Leave(c apps.Conn)                       { d.left <- c.ClientIP() }

func TestJoinAndPanic(t *testing.T) {
	app := &doorman{left: make(chan string, 3)}
	room := appstest.NewRoom(t, app)
	room.ExpectForbidden()
	room.ExpectForbidden(appstest.Query("say", "now"))
	c := room.Join(appstest.Query("say", "please"), appstest.ClientIP("192.0.2.7"))
	c.Send("ouch")
	c.ExpectClosed(1011)
	room.ExpectLogged("panic in app test: ouch")
	room.Join(appstest.Header("Say", "please")).Cut()
	got := []string{<-app.left, <-app.left} // in any order: the app is not inline
	slices.Sort(got)
	if !slices.Equal(got, []string{"192.0.2.1", "192.0.2.7"}) {
		t.Fatalf("left: %q", got)
	}
}

// record is a testing.TB that takes note of failures.
type record struct {
	testing.TB
	mu     sync.Mutex
	failed string // guarded by mu: what was said
}

func (r *record) Helper() {}
func (r *record) Fatalf(format string, args ...any) {
	r.mu.Lock()
	r.failed = fmt.Sprintf(format, args...)
	r.mu.Unlock()
	runtime.Goexit()
}

// failureOf returns what a test says that does this with a client of echo.
func failureOf(t *testing.T, do func(room *appstest.Room, c *appstest.Client)) string {
	r := &record{TB: t}
	room := appstest.NewRoom(r, new(echo.App))
	c := room.Join()
	done := make(chan struct{})
	go func() {
		defer close(done)
		do(room, c)
	}()
	<-done
	return r.failed
}

func TestFailuresTellWhatCame(t *testing.T) {
	tests := map[string]struct {
		do   func(room *appstest.Room, c *appstest.Client)
		want string
	}{
		"another text": {func(_ *appstest.Room, c *appstest.Client) {
			c.Send("a")
			c.Send("b")
			c.Expect("a", "c")
		}, `expected "c", got "b"; before that: "a"`},
		"nothing": {func(_ *appstest.Room, c *appstest.Client) {
			c.Expect("a")
		}, `expected "a", got nothing within 1m0s; before that: nothing`},
		"close": {func(_ *appstest.Room, c *appstest.Client) {
			c.Cut()
			c.Expect("a")
		}, `expected "a", got close 1006 ""; before that: nothing`},
		"another code": {func(_ *appstest.Room, c *appstest.Client) {
			c.Leave()
			c.ExpectClosed(1001)
		}, `expected close 1001, got close 1000 ""; before that: nothing`},
		"binary": {func(_ *appstest.Room, c *appstest.Client) {
			c.SendBinary([]byte("a"))
			c.Expect("a")
		}, `expected "a", got binary "a"; before that: nothing`},
		"text for binary": {func(_ *appstest.Room, c *appstest.Client) {
			c.Send("a")
			c.ExpectBinary([]byte("a"))
		}, `expected binary "a", got "a"; before that: nothing`},
		"other JSON": {func(_ *appstest.Room, c *appstest.Client) {
			c.Send(`{"a":1.0,"b":[2]}`)
			c.Send(`{"a":1.0,"b":[2]}`)
			c.ExpectJSON(`{"b":[2]}`)
			c.ExpectJSON(`{"a":1}`)
		}, `expected {"a":1}, got "{\"a\":1.0,\"b\":[2]}"; before that: "{\"a\":1.0,\"b\":[2]}"`},
		"no JSON": {func(_ *appstest.Room, c *appstest.Client) {
			c.Send("a")
			c.ExpectJSON(`{}`)
		}, `expected {}, got "a"; before that: nothing`},
		"something": {func(_ *appstest.Room, c *appstest.Client) {
			c.Send("a")
			c.ExpectNothing()
		}, `expected nothing, got "a"; before that: nothing`},
		"response": {func(room *appstest.Room, _ *appstest.Client) {
			room.Post("a").ExpectNothing()
		}, `posting: got reply "a", expected nothing`},
		"subprotocol": {func(room *appstest.Room, _ *appstest.Client) {
			room.Join(appstest.JSON)
		}, `the app does not know the subprotocol "json"`},
		"log": {func(room *appstest.Room, _ *appstest.Client) {
			room.ExpectLogged("panic")
		}, `nothing with "panic" was logged`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if got := failureOf(t, test.do); got != test.want {
					t.Fatalf("got  %s\nwant %s", got, test.want)
				}
			})
		})
	}
}

// noting is an app whose state tells the time of its last operation, and a word of its
// configuration.
type noting struct{ word string }

func (*noting) Receive(c apps.Conn, m apps.Message) error {
	c.Room().Apply(c, m.Data)
	return nil
}

func (*noting) Inline()                {}
func (n *noting) NewState() apps.State { return &note{word: n.word} }

type note struct {
	word string
	at   time.Time
}

func (n *note) Apply(op apps.Op) (apps.Outcome, error) {
	n.at = op.At
	return apps.Outcome{Reply: n.View()}, nil
}

func (n *note) View() apps.Body {
	return apps.Body{Text: []byte(n.word + " " + n.at.Format(time.DateTime))}
}
func (n *note) MarshalBinary() ([]byte, error) { return n.at.MarshalBinary() }
func (n *note) UnmarshalBinary(p []byte) error { return n.at.UnmarshalBinary(p) }

func TestTheClockIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := appstest.NewRoom(t, &noting{"at"})
		room.Join() // so that it stays in memory
		room.Post("x").Expect("at 2000-01-01 00:00:00")
		room.SetClock(24 * time.Hour)
		room.Post("x").Expect("at 2000-01-02 00:00:00")
		room.SetClock(-time.Hour)
		time.Sleep(10 * time.Second)
		room.Post("x").Expect("at 2000-01-02 00:00:05") // at half pace
		room.RestartAfter(10 * time.Second)
		room.Join()
		room.Post("x").Expect("at 2000-01-02 00:00:10")
	})
}

// A reload keeps clients and state, and has another app.
func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := appstest.NewRoom(t, &noting{"first"})
		c := room.Join()
		c.Send("x")
		c.Expect("first 2000-01-01 00:00:00")
		time.Sleep(time.Minute)
		for _, word := range []string{"second", "third"} {
			room.Reload(&noting{word})
			room.ExpectState(word + " 2000-01-01 00:00:00")
		}
		c.Send("x")
		c.Expect("third 2000-01-01 00:01:00")
	})
}
