package caddyws

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/gorilla/websocket"

	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/options"
)

// site is a Caddyfile with one route of the given options.
func site(path, app, options string) string {
	return ":PORT {\n websocket " + path + " " + app + " {\n" + options + "\n}\n}"
}

// New limits and new options of an app hold from the next message on, also for
// who was there before, and again after the next reload.
func TestReloadChangesConnections(t *testing.T) {
	s := start(t, ":PORT {\n websocket /x {\n app broadcast \"0 {message}\"\n name x\n }\n}")
	c := s.dial("/x")
	c.ask("Hello", "0 Hello")
	for i := 1; i <= 3; i++ {
		s.load(fmt.Sprintf(":PORT {\n websocket /x {\n app broadcast \"%d {message}\"\n name x\n max_message_size %dB\n }\n}", i, 100-i))
		c.ask("Hello", fmt.Sprintf("%d Hello", i))
	}
	c.send(strings.Repeat("x", 98))
	c.expectClose(websocket.CloseMessageTooBig)
}

// The state of a room goes on under the new options of its app.
func TestReloadChangesTheAppOfARoom(t *testing.T) {
	s := start(t, site("/sum", "sum", ""))
	a, b := s.dial("/sum"), s.dial("/sum")
	a.ask("5", "5")
	b.expect("5")
	s.load(":PORT {\n websocket /sum {\n app sum {\n reply_only\n }\n }\n}")
	a.ask("1", "6")
	b.ask("1", "7")
	a.ask("1", "8") // and not the 7 before it
}

// Limits of time hold for connections that had none.
func TestReloadShortensConnections(t *testing.T) {
	s := start(t, site("/echo", "echo", "ping off\n name e"))
	c := s.dial("/echo")
	c.ask("x", "x")
	s.load(site("/echo", "echo", "ping off\n name e\n max_age 10ms"))
	c.expectClose(websocket.CloseGoingAway)
}

func TestReloadClosesConnectionsOfARouteThatIsGone(t *testing.T) {
	two := ":PORT {\n websocket /a echo {\n name a\n }\n websocket /b %s {\n name b\n }\n}"
	s := start(t, fmt.Sprintf(two, "sum"))
	a, b := s.dial("/a"), s.dial("/b")
	a.ask("x", "x")
	b.ask("1", "1")
	s.load(fmt.Sprintf(two, "echo"))
	b.expectClose(websocket.CloseServiceRestart) // its name has another app
	again := s.dial("/b")
	again.ask("y", "y")
	s.load(site("/b", "echo", "name b"))
	a.expectClose(websocket.CloseGoingAway)
	again.ask("z", "z")
	s.load(":PORT {\n websocket /c sum {\n name c\n }\n}")
	again.expectClose(websocket.CloseGoingAway)
}

// Routes without names are told apart by how they are configured.
func TestReloadOfRoutesWithoutNames(t *testing.T) {
	const sameAgain, changed, gone, sentBack = 0, websocket.CloseMessageTooBig, websocket.CloseGoingAway, websocket.CloseServiceRestart
	for name, test := range map[string]struct {
		before, now []int // max_message_size of /0, /1 and so on
		ends        []int // what becomes of the connections, which send 10 bytes
	}{
		"one has changed":              {[]int{10, 20}, []int{10, 5}, []int{sameAgain, changed}},
		"the only one has changed":     {[]int{10}, []int{5}, []int{changed}},
		"one is new":                   {[]int{10}, []int{10, 20}, []int{sameAgain}},
		"one is gone":                  {[]int{10, 20, 30}, []int{10, 20}, []int{sameAgain, sameAgain, gone}},
		"twins stay":                   {[]int{10, 10}, []int{10, 10}, []int{sameAgain, sameAgain}},
		"twins have changed alike":     {[]int{10, 10}, []int{5, 5}, []int{changed, changed}},
		"several have changed":         {[]int{10, 20}, []int{30, 40}, []int{sentBack, sentBack}},
		"one of twins has changed":     {[]int{10, 10}, []int{10, 5}, []int{sentBack, sentBack}},
		"one of twins is gone":         {[]int{10, 10}, []int{10}, []int{sentBack, sentBack}},
		"one is gone, one has changed": {[]int{10, 20}, []int{30}, []int{sentBack, sentBack}},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, sized(test.before))
			var all []*client
			for i := range test.before {
				c := s.dial("/" + strconv.Itoa(i))
				c.ask("x", "x")
				all = append(all, c)
			}
			s.load(sized(test.now))
			for i, c := range all {
				switch test.ends[i] {
				case sameAgain:
					c.ask("ten bytes.", "ten bytes.")
					continue
				case changed:
					c.send("ten bytes.")
				}
				c.expectClose(test.ends[i])
			}
		})
	}
}

// sized is a Caddyfile with routes of the same app.
func sized(limits []int) string {
	config := ":PORT {\n"
	for i, limit := range limits {
		config += fmt.Sprintf("websocket /%d echo {\n max_message_size %dB\n }\n", i, limit)
	}
	return config + "}"
}

// That routes could not be told apart is logged once for each name.
func TestDoubtsAreLogged(t *testing.T) {
	s := start(t, sized([]int{10, 20, 30}))
	s.load(sized([]int{11, 21, 31}))
	doubt := func(e entry) bool { return e["level"] == "warn" && e["route"] == "echo" }
	logged.wait(t, "the doubt", doubt)
	all, _ := logged.snapshot()
	if n := len(find(t, all, doubt)); n != 1 {
		t.Errorf("logged %d times", n)
	}
}

// More at once may come as soon as the configuration says so.
func TestReloadChangesTheBurst(t *testing.T) {
	s := start(t, site("/x", "echo", "message_rate 1/s 2"))
	c := s.dial("/x")
	c.ask("x", "x")
	s.load(site("/x", "echo", "message_rate 1/s 100"))
	for range 10 {
		c.ask("x", "x")
	}
}

// A configuration may fail after it has begun to serve: whom it has let in is
// sent back.
func TestReloadFailsAtTheEnd(t *testing.T) {
	s := start(t, site("/sum", "sum", ""))
	sum := s.dial("/sum")
	sum.ask("5", "5")
	var let *client
	loader := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for end := time.Now().Add(patience); let == nil && time.Now().Before(end); { // the configuration before serves, too
			let, _, _ = s.tryDial("/new")
		}
		http.Error(w, "no", http.StatusInternalServerError)
	}))
	defer loader.Close()
	config := string(s.json(":PORT {\n websocket /new echo\n websocket /sum sum {\n room other\n }\n}"))
	config = strings.Replace(config, `"config":{`, `"config":{"load":{"module":"http","url":"`+loader.URL+`"},`, 1)
	s.loadFails([]byte(config), "load")
	if let == nil {
		t.Fatal("the configuration that fails has let nobody in")
	}
	let.expectClose(websocket.CloseServiceRestart)
	sum.ask("1", "6")
}

func TestCloseOnReload(t *testing.T) {
	s := start(t, site("/echo", "echo", "close_on_reload"))
	c := s.dial("/echo")
	c.ask("x", "x")
	answer, events := s.follow("/echo")
	if answer != http.StatusNotAcceptable {
		t.Fatal(answer, events)
	}
	s.load(site("/echo", "echo", "close_on_reload"))
	c.expectClose(websocket.CloseServiceRestart)
	again := s.dial("/echo")
	again.ask("y", "y")
	s.load(site("/echo", "echo", ""))
	again.ask("z", "z")
}

// follow asks for an event stream, with headers "Name: value".
func (s *server) follow(path string, headers ...string) (status int, answer *http.Response) {
	s.t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+strconv.Itoa(s.Port)+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	answer, err = (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { answer.Body.Close() })
	return answer.StatusCode, answer
}

// What cannot both be is told when the configuration is loaded.
func TestContradictingRoutes(t *testing.T) {
	s := start(t, ":PORT {\n respond ok\n}")
	for _, test := range []struct{ config, reason string }{
		{":PORT {\n websocket /a echo {\n name x\n}\n websocket /b echo {\n name x\n page\n}\n}", `two routes that differ have the name "x"`},
		{":PORT {\n websocket /a echo\n websocket /b sum {\n name echo\n}\n}", `two routes that differ have the name "echo"`},
		{":PORT {\n websocket /a broadcast {\n room r\n history 5\n}\n websocket /b broadcast {\n room r\n}\n}", `two routes lead to the rooms "r" of the app broadcast, with different options history`},
		{":PORT {\n websocket /a sum {\n room r\n}\n websocket /b {\n app sum {\n greet\n}\n room r\n}\n}", `two routes lead to the rooms "r" of the app sum`},
	} {
		s.loadFails(s.json(test.config), test.reason)
	}
	s.load(":PORT {\n websocket /a echo {\n name x\n}\n websocket /b echo {\n name x\n}\n}")
	s.dial("/b").ask("x", "x")
}

// placedEngine is the memory engine in one of several places.
type placedEngine struct {
	memory.Opener
	Place string `json:"place"`
}

func init() { caddy.RegisterModule(new(placedEngine)) }

func (*placedEngine) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "websocket.engines.test_placed", New: func() caddy.Module { return new(placedEngine) }}
}

func (e *placedEngine) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return options.Set{"place": options.Text(&e.Place)}.App(d)
}

func (e *placedEngine) Identity() string { return e.Place }

// An engine with another identity is another hub: the connections of the one
// before are told to come back.
func TestReloadToAnotherEngine(t *testing.T) {
	placed := func(place, limit string) string {
		return "GLOBAL\n websocket {\n engine test_placed {\n place " + place + "\n }\n" + limit + "\n }\nEND\n" + site("/sum", "sum", "")
	}
	s := start(t, placed("here", ""))
	c := s.dial("/sum")
	c.ask("5", "5")
	s.load(placed("here", "max_rooms 5")) // limits are no part of it
	c.ask("1", "6")
	s.reloading = true
	done := make(chan error, 1)
	go func() { done <- caddy.Load(s.json(placed("there", "")), true) }()
	c.expectClose(websocket.CloseServiceRestart)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	s.dial("/sum").ask("1", "1")
	if _, ok := hubs.References("websocket.engines.test_placed here"); ok {
		t.Error("the engine before is still there")
	}
}

// soakReloads is how many reloads a room of busy clients goes through.
const soakReloads = 50

// 50 reloads under load: no connection is lost, no acknowledged number is lost
// or counted twice, and nothing piles up.
func TestReloadsUnderLoad(t *testing.T) {
	config := func(i int) string {
		return site("/sum", "sum", fmt.Sprintf("name s\n max_message_size %dB\n ping %ds", 1000+i, 20+i%2))
	}
	s := start(t, config(0))
	const clients = 8
	var (
		acknowledged atomic.Int64
		working      sync.WaitGroup
		stop         = make(chan struct{})
	)
	for range clients {
		c := s.dial("/sum", "Sec-WebSocket-Protocol: json")
		working.Go(func() { addUntil(t, c, stop, &acknowledged) })
	}
	var first, last heap
	for i := range soakReloads {
		before := acknowledged.Load()
		s.load(config(i + 1))
		for end := time.Now().Add(patience); acknowledged.Load() < before+clients; { // all of it under load
			if time.Now().After(end) {
				t.Fatal("nothing is acknowledged any more")
			}
			time.Sleep(time.Millisecond)
		}
		switch i {
		case soakReloads / 5:
			first = measureHeap()
		case soakReloads - 1:
			last = measureHeap()
		}
	}
	if grown := int(last.bytes) - int(first.bytes); grown > 4<<20 || last.goroutines > first.goroutines+2*clients {
		t.Errorf("%+v after a fifth of the reloads, %+v after all", first, last)
	}
	t.Logf("%+v after a fifth of the reloads, %+v after all", first, last)
	close(stop)
	working.Wait()
	s.dial("/sum").ask("0", strconv.FormatInt(acknowledged.Load(), 10))
}

// heap is what a process has in use.
type heap struct {
	bytes      uint64
	goroutines int // of this module
}

func measureHeap() heap {
	runtime.GC()
	runtime.GC() // what finalizers let go
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return heap{m.HeapAlloc, len(ourGoroutines())}
}

// addUntil sends 1 after 1, each after the reply to the one before.
func addUntil(t *testing.T, c *client, stop <-chan struct{}, acknowledged *atomic.Int64) {
	for {
		if err := c.WriteMessage(websocket.TextMessage, []byte("1")); err != nil {
			t.Error(err)
			return
		}
		for isReply := false; !isReply; {
			_, text, err := c.ReadMessage()
			if err != nil {
				t.Error(err)
				return
			}
			isReply = strings.Contains(string(text), `"type":"reply"`)
		}
		acknowledged.Add(1)
		select {
		case <-stop:
			return
		default:
		}
	}
}
