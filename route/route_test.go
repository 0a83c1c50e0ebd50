package route

import (
	"errors"
	"testing"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/socket"
)

// blocking is an app that may block; inline is one that does not.
type blocking struct{}

func (blocking) Receive(apps.Conn, apps.Message) error { return nil }

type inline struct{ blocking }

func (inline) Inline() {}

type paced struct {
	blocking
	every func() time.Duration
}

func (p paced) Every() time.Duration { return p.every() }

func TestNewTellsWhatTheAppIs(t *testing.T) {
	settings := socket.Settings{MaxMessageSize: 7}
	r := New("name", "app", Config{App: inline{}, Settings: settings})
	if r.Name != "name" || r.AppName != "app" || !r.Inline || r.App() != (inline{}) || r.Settings.Load().MaxMessageSize != 7 {
		t.Errorf("%+v", r)
	}
	if New("", "", Config{App: blocking{}}).Inline {
		t.Error("an app that may block counts as inline")
	}
}

// Follow gives a route all that its successor is, but for what never changes.
func TestFollow(t *testing.T) {
	r := New("chat", "app", Config{App: blocking{}, Source: "old"})
	r.End(Gone)
	if !r.HasEnded() || r.CloseReason() != Gone {
		t.Fatalf("ended: %v, %v", r.HasEnded(), r.CloseReason())
	}
	next := New("chat", "app", Config{App: inline{}, Settings: socket.Settings{MaxQueue: 9}, Source: "new"})
	r.Follow(next)
	if r.HasEnded() || r.CloseReason() != nil || r.App() != (inline{}) || r.Settings.Load().MaxQueue != 9 || !r.isConfiguredLike(next) {
		t.Errorf("%+v", r)
	}
}

// Only connections from before a reload are closed by close_on_reload.
func TestCloseOnReload(t *testing.T) {
	closing := Config{App: blocking{}, CloseOnReload: true}
	r := New("chat", "app", closing)
	if why := r.CloseReason(); why != nil {
		t.Errorf("closed before a reload: %v", why)
	}
	r.Follow(New("chat", "app", closing))
	if why := r.CloseReason(); why == nil || why.Code != frames.ServiceRestart {
		t.Errorf("closed with %v", why)
	}
	r.Follow(New("chat", "app", Config{App: blocking{}}))
	if why := r.CloseReason(); why != nil {
		t.Errorf("closed without the option: %v", why)
	}
}

func TestEvery(t *testing.T) {
	asked := func(app apps.App) (time.Duration, error) { return (&Config{App: app}).Every() }
	if every, err := asked(blocking{}); every != 0 || err != nil {
		t.Errorf("an app without Every: %v, %v", every, err)
	}
	if every, err := asked(paced{every: func() time.Duration { return time.Second }}); every != time.Second || err != nil {
		t.Errorf("%v, %v", every, err)
	}
	if every, err := asked(paced{every: func() time.Duration { panic("ouch") }}); every != 0 || err == nil {
		t.Errorf("an app that panics: %v, %v", every, err)
	}
}

// routeOf returns a route, written as: "!" if the configuration names it, its name, its app and
// how it is configured.
func routeOf(text string) *Route {
	named := text[0] == '!'
	if named {
		text = text[1:]
	}
	return New(text[:1], text[1:2], Config{App: blocking{}, Named: named, Source: text[2:]})
}

func TestSuccessor(t *testing.T) {
	for name, test := range map[string]struct {
		before, now []string
		of, want    int // indexes; -1 for none
		why         *CloseReason
	}{
		"the same":                         {[]string{"axS"}, []string{"axS"}, 0, 0, nil},
		"gone":                             {[]string{"axS"}, []string{"byS"}, 0, -1, Gone},
		"nothing left":                     {[]string{"axS"}, nil, 0, -1, Gone},
		"another app":                      {[]string{"!axS"}, []string{"!ayS"}, 0, -1, Other},
		"named, changed":                   {[]string{"!axS"}, []string{"!axT"}, 0, 0, nil},
		"named, several":                   {[]string{"!axS", "!axT"}, []string{"!axU", "!axV"}, 1, 0, nil},
		"the only one, changed":            {[]string{"axS"}, []string{"axT"}, 0, 0, nil},
		"one of two, changed":              {[]string{"axS", "axT"}, []string{"axU", "axT"}, 0, 0, nil},
		"the other of two":                 {[]string{"axS", "axT"}, []string{"axU", "axT"}, 1, 1, nil},
		"both changed":                     {[]string{"axS", "axT"}, []string{"axU", "axV"}, 0, -1, Unsure},
		"one of two removed":               {[]string{"axS", "axT"}, []string{"axT"}, 0, -1, Gone},
		"one of two removed, other":        {[]string{"axS", "axT"}, []string{"axT"}, 1, 0, nil},
		"one added":                        {[]string{"axS"}, []string{"axS", "axT"}, 0, 0, nil},
		"one added and changed":            {[]string{"axS"}, []string{"axU", "axT"}, 0, -1, Unsure},
		"two alike, one changed":           {[]string{"axS", "axS"}, []string{"axS", "axT"}, 0, -1, Unsure},
		"two alike, both changed to alike": {[]string{"axS", "axS"}, []string{"axT", "axT"}, 0, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var m Matching
			for _, text := range test.before {
				m.Before = append(m.Before, routeOf(text))
			}
			for _, text := range test.now {
				m.Now = append(m.Now, routeOf(text))
			}
			got, why := m.Successor(m.Before[test.of])
			if why != test.why {
				t.Errorf("ended with %v, want %v", why, test.why)
			}
			if test.want >= 0 && got != m.Now[test.want] || test.want < 0 && got != nil {
				t.Errorf("became %+v", got)
			}
		})
	}
}

func TestClientsAreCountedByNetwork(t *testing.T) {
	r := New("chat", "app", Config{App: blocking{}, MaxConnectionsPerIP: 2})
	enter := func(ip string, want bool) {
		t.Helper()
		if got := r.Enter(ip); got != want {
			t.Errorf("%q may enter: %v, want %v", ip, got, want)
		}
	}
	enter("192.0.2.1", true)
	enter("::ffff:192.0.2.1", true)
	enter("192.0.2.1", false)
	enter("192.0.2.2", true)
	enter("2001:db8:0:1::1", true)
	enter("2001:db8:0:1:ffff::2%eth0", true)
	enter("2001:db8:0:1::3", false)
	enter("2001:db8:0:2::1", true)
	for range 5 {
		enter("@", true) // no address: nobody can be told apart
	}
	r.Leave("192.0.2.1")
	enter("192.0.2.1", true)
	enter("192.0.2.1", false)
}

func TestNoLimitOfClients(t *testing.T) {
	r := New("chat", "app", Config{App: blocking{}})
	for range 1000 {
		if !r.Enter("192.0.2.1") {
			t.Fatal(errors.New("refused"))
		}
	}
}

// Connections go on counting for the route that theirs has become, in any order and
// more than once.
func TestClientsThroughReloads(t *testing.T) {
	config := Config{App: blocking{}, MaxConnectionsPerIP: 3}
	first, second, third := New("a", "x", config), New("a", "x", config), New("a", "x", config)
	const ip = "192.0.2.1"
	first.Enter(ip)
	second.Enter(ip) // before the reload is over
	first.Follow(second)
	third.Enter(ip)
	second.Follow(third)
	first.Follow(third)
	for _, r := range []*Route{first, second, third} {
		if r.Enter(ip) {
			t.Error("a fourth connection is let in")
		}
	}
	first.Leave(ip)
	if !third.Enter(ip) {
		t.Error("a place that is free again is not given")
	}
	third.Follow(third)
	if first.Enter(ip) {
		t.Error("a fourth connection is let in")
	}
	for range 3 {
		second.Leave(ip)
	}
	if n := len(first.lastClients().by); n != 0 {
		t.Errorf("%d addresses are left", n)
	}
}

// A route whose history is switched on or off is another one: its rooms are of another kind.
func TestSwitchingHistoryIsNoSuccession(t *testing.T) {
	keeps := func(n int, source string) *Route {
		return New("chat", "app", Config{App: blocking{}, History: History{Messages: n}, Source: source})
	}
	off, on, longer := keeps(0, "off"), keeps(10, "on"), keeps(20, "longer")
	for _, test := range []struct {
		before, now *Route
		why         *CloseReason
	}{{off, on, Switched}, {on, off, Switched}, {on, longer, nil}, {longer, on, nil}} {
		next, why := Matching{Before: []*Route{test.before}, Now: []*Route{test.now}}.Successor(test.before)
		if why != test.why || (next != nil) != (why == nil) {
			t.Errorf("from %s to %s: %v, %v", test.before.source, test.now.source, next, why)
		}
	}
	if !on.Stores() || off.Stores() {
		t.Error("a route stores what it keeps")
	}
}
