package caddyws

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// limited is a Caddyfile with global options and routes.
func limited(global, routes string) string {
	return "GLOBAL\n websocket {\n" + global + "\n }\n servers {\n trusted_proxies static 127.0.0.0/8\n }\nEND\n:PORT {\n" + routes + "\n}"
}

// refuses checks that a WebSocket and an event stream are not let in for the
// moment.
func (s *server) refuses(path string, status int, headers ...string) {
	s.t.Helper()
	_, answer, err := s.tryDial(path, headers...)
	if err == nil || answer == nil || answer.StatusCode != status || answer.Header.Get("Retry-After") == "" {
		s.t.Errorf("WebSocket %s %v: %v, %v, want %d", path, headers, answer, err, status)
	}
	got, _ := s.request(http.MethodGet, path, "", append(headers, "Accept: text/event-stream")...)
	if got.StatusCode != status || got.Header.Get("Retry-After") == "" {
		s.t.Errorf("events %s %v: %s, %v, want %d", path, headers, got.Status, got.Header, status)
	}
}

// request sends a plain request.
func (s *server) request(method, path, body string, headers ...string) (*http.Response, string) {
	s.t.Helper()
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: localhost:%d\r\nConnection: close\r\nContent-Length: %d\r\n", method, path, s.Port, len(body))
	for _, h := range headers {
		head += h + "\r\n"
	}
	return s.raw(head + "\r\n" + body)
}

// posts sends a message, which must be answered so.
func (s *server) posts(path, message string, status int, want string, headers ...string) {
	s.t.Helper()
	answer, body := s.request(http.MethodPost, path, message, headers...)
	if answer.StatusCode != status || body != want {
		s.t.Errorf("POST %q to %s: %s %q, want %d %q", message, path, answer.Status, body, status, want)
	}
}

// dialSoon connects as soon as there is a place.
func (s *server) dialSoon(path string, headers ...string) *client {
	s.t.Helper()
	for end := time.Now().Add(patience); ; {
		c, answer, err := s.tryDial(path, headers...)
		if err == nil {
			return c
		}
		if time.Now().After(end) {
			s.t.Fatalf("no place for %s %v: %v, %v", path, headers, answer, err)
		}
	}
}

// listen opens an event stream.
func (s *server) listen(path string) *http.Response {
	s.t.Helper()
	r, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://localhost:%d%s", s.Port, path), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	answer, err := roundTrip(s.t, &http.Transport{DisableKeepAlives: true}, r)
	if err != nil || answer.StatusCode != http.StatusOK {
		s.t.Fatalf("following %s: %v, %v", path, answer, err)
	}
	return answer
}

// WebSockets and event streams count, plain requests do not.
func TestMaxConnections(t *testing.T) {
	s := start(t, limited("max_connections 2", "websocket /sum sum\n websocket /other echo"))
	c, events := s.dial("/sum"), s.listen("/sum")
	s.refuses("/sum", http.StatusServiceUnavailable)
	if _, answer, err := s.tryDial("/other"); err == nil || answer.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("another route: %v", answer)
	}
	s.posts("/sum", "1", http.StatusOK, "1")
	c.expect("1")
	events.Body.Close()
	again := s.dialSoon("/other")
	s.refuses("/sum", http.StatusServiceUnavailable)
	again.Close()
	s.dialSoon("/sum")
	c.ask("1", "2")
}

// Who is not let in, or leaves during the handshake, takes no place.
func TestFailedHandshakesTakeNoPlace(t *testing.T) {
	s := start(t, limited("max_connections 1", `
		websocket /guarded test_panic
		route /hidden {
			test_hiding
			websocket /hidden sum
		}
		websocket /origin sum
		websocket /ip sum {
			max_connections_per_ip 1
		}`))
	for _, test := range []struct {
		path, header string
		status       int
	}{
		{"guarded?refuse", "", http.StatusForbidden},
		{"guarded?panic", "", http.StatusInternalServerError},
		{"hidden", "", http.StatusNotImplemented},
		{"origin", "Origin: https://evil.example\r\n", http.StatusForbidden},
		{"origin", "Sec-WebSocket-Key: second\r\n", http.StatusBadRequest},
	} {
		for range 3 {
			answer, _ := s.raw(fmt.Sprintf(goodHandshake, test.path, test.header))
			if answer.StatusCode != test.status {
				t.Errorf("%+v: %s", test, answer.Status)
			}
		}
	}
	if answer, _ := s.request(http.MethodHead, "/ip", "", "Accept: text/event-stream"); answer.StatusCode != http.StatusOK {
		t.Error(answer.Status)
	}
	s.dial("/ip").ask("1", "1")
}

// Clients are counted by the address that a trusted proxy tells, one network of
// IPv6 as one.
func TestMaxConnectionsPerIP(t *testing.T) {
	s := start(t, limited("", "websocket /sum sum {\n max_connections_per_ip 1\n}\n websocket /other echo {\n max_connections_per_ip 1\n}"))
	from := func(ip string) string { return "X-Forwarded-For: " + ip }
	first := s.dial("/sum", from("192.0.2.1"))
	for _, test := range []struct{ one, same, another string }{
		{"", "192.0.2.1", "192.0.2.2"},
		{"", "::ffff:192.0.2.1", "::ffff:192.0.2.3"},
		{"2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", "2001:db8:0:1::1"},
		{"::ffff:192.0.2.9", "192.0.2.9", "192.0.2.10"},
	} {
		if test.one != "" {
			s.dial("/sum", from(test.one))
		}
		s.refuses("/sum", http.StatusTooManyRequests, from(test.same))
		s.dial("/sum", from(test.another))
	}
	s.posts("/sum", "0", http.StatusOK, "0", from("192.0.2.1"))
	s.dial("/other", from("192.0.2.1")) // each route counts for itself
	first.Close()
	s.dialSoon("/sum", from("192.0.2.1"))
}

// A reload forgets no connection, and a changed limit holds for those who come.
func TestReloadChangesLimitsOfConnections(t *testing.T) {
	for name, test := range map[string]struct {
		config func(n int) string
		status int
	}{
		"in all": {func(n int) string { return limited(fmt.Sprint("max_connections ", n), "websocket /sum sum") }, http.StatusServiceUnavailable},
		"per address": {func(n int) string {
			return limited("", fmt.Sprintf("websocket /sum sum {\n max_connections_per_ip %d\n}", n))
		}, http.StatusTooManyRequests},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, test.config(2))
			members := []*client{s.dial("/sum"), s.dial("/sum")}
			s.refuses("/sum", test.status)
			s.load(test.config(3))
			members = append(members, s.dial("/sum"))
			s.refuses("/sum", test.status)
			s.load(test.config(1))
			s.refuses("/sum", test.status)
			members[2].Close()
			members[0].ask("1", "1")
			members[1].expect("1")
			s.refuses("/sum", test.status)
			members[0].Close()
			members[1].Close()
			s.dialSoon("/sum")
			s.refuses("/sum", test.status)
		})
	}
}

// Rooms count while they have members; who only looks or posts needs none.
func TestMaxRooms(t *testing.T) {
	s := start(t, limited("max_rooms 2", "websocket /sum/* sum\n websocket /chat broadcast"))
	s.posts("/sum/c", "5", http.StatusOK, "5")
	a, chat := s.dial("/sum/a"), s.dial("/chat")
	s.refuses("/sum/c", http.StatusServiceUnavailable)
	s.posts("/sum/c", "0", http.StatusOK, "5")
	s.listen("/sum/a")
	s.posts("/sum/a", "1", http.StatusOK, "1")
	a.expect("1")
	chat.Close()
	c := s.dialSoon("/sum/c")
	c.ask("1", "6")
	s.refuses("/chat", http.StatusServiceUnavailable)
	s.load(limited("max_rooms 3", "websocket /sum/* sum\n websocket /chat broadcast"))
	s.dial("/chat").ask("x", "x")
	a.ask("1", "2")
}

// The state of one more room is not stored, and that is told. Once a room has
// been forgotten there is place again.
func TestMaxStoredRooms(t *testing.T) {
	const full = "error: no more rooms can be stored"
	s := start(t, limited("max_stored_rooms 1", "websocket /sum/* sum {\n forget 10ms\n}"))
	a := s.dial("/sum/a")
	a.ask("1", "1")
	b := s.dial("/sum/b")
	b.ask("7", full)
	b.ask("seven", "error: not a number")
	s.posts("/sum/b", "7", http.StatusInsufficientStorage, full)
	s.posts("/sum/c", "7", http.StatusInsufficientStorage, full)
	if answer, body := s.request(http.MethodGet, "/sum/b", ""); answer.StatusCode != http.StatusOK || body != "0" {
		t.Errorf("a visit: %s %q", answer.Status, body)
	}
	a.ask("1", "2")
	s.posts("/sum/a", "1", http.StatusOK, "3")
	a.expect("3")
	a.Close()
	for end := time.Now().Add(patience); ; {
		b.send("7")
		if _, text, err := b.ReadMessage(); err != nil || string(text) == "7" {
			break
		} else if string(text) != full || time.Now().After(end) {
			t.Fatalf("%s", text)
		}
	}
	s.posts("/sum/b", "1", http.StatusOK, "8")
	s.posts("/sum/a", "1", http.StatusInsufficientStorage, full)
}

// A room that nobody uses begins anew. One of the same age that has a member does
// not.
func TestForget(t *testing.T) {
	s := start(t, limited("", "websocket /sum/* sum {\n forget 20ms\n}\n websocket /kept sum"))
	s.posts("/kept", "1", http.StatusOK, "1")
	member := s.dial("/sum/used")
	member.ask("1", "1")
	used := s.state("/sum/used")
	var before shownState
	answer, body := s.request(http.MethodPost, "/sum/unused", "1", "Accept: application/json")
	if err := json.Unmarshal([]byte(body), &before); err != nil || before.Version != 1 || before.Total != "1" {
		t.Fatal(answer.Status, body, err)
	}
	after := before
	for end := time.Now().Add(patience); after.Epoch == before.Epoch; after = s.state("/sum/unused") {
		if time.Now().After(end) {
			t.Fatal("the room is not forgotten")
		}
		time.Sleep(100 * time.Millisecond) // looking is use
	}
	if after.Version != 0 || after.Total != "0" {
		t.Errorf("the room begins with %+v", after)
	}
	if now := s.state("/sum/used"); now != used {
		t.Errorf("a room with a member shows %+v after %+v", now, used)
	}
	member.ask("1", "2")
	s.posts("/kept", "1", http.StatusOK, "2")
}

// shownState is a state as JSON.
type shownState struct {
	Epoch   string
	Version int
	Total   json.Number
}

// state looks at a room.
func (s *server) state(path string) (state shownState) {
	s.t.Helper()
	answer, body := s.request(http.MethodGet, path, "", "Accept: application/json")
	if err := json.Unmarshal([]byte(body), &state); err != nil {
		s.t.Fatal(answer.Status, body, err)
	}
	return state
}

// Connections of an age are closed, those that were opened together not together:
// some up to a tenth early.
func TestMaxAge(t *testing.T) {
	const age, connections = 4, 40
	s := start(t, limited("", fmt.Sprintf("websocket sum {\n max_age %ds\n}", age)))
	var members []*client
	for range connections {
		members = append(members, s.dial("/sum"))
	}
	events := s.listen("/sum")
	var ends sync.WaitGroup
	for _, c := range members {
		ends.Go(func() {
			if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseGoingAway) {
				t.Error(err)
			}
		})
	}
	ends.Wait()
	if _, err := io.ReadAll(events.Body); err != nil {
		t.Errorf("events end with %v", err)
	}
	early := 0
	for _, e := range logged.waitAll(t, "the ends", connections+1, isMessage("connection ended")) {
		lasted, _ := e["duration"].(float64)
		if lasted < 0.9*age || e["code"] != 1001.0 || !strings.Contains(e["reason"].(string), "age") {
			t.Errorf("a connection ended with %v", e)
		}
		if lasted < 0.98*age {
			early++
		}
	}
	if early == 0 {
		t.Error("all connections ended together")
	}
}

// An event stream is closed on a reload, or lives on, as a WebSocket does.
func TestCloseEventsOnReload(t *testing.T) {
	for option, closed := range map[string]bool{"close_on_reload": true, "": false} {
		s := start(t, site("/sum", "sum", "name s\n"+option))
		events := s.listen("/sum")
		s.load(site("/sum", "sum", "name s\n ping 20s\n"+option))
		s.dial("/sum").ask("7", "7")
		if closed {
			if _, err := io.ReadAll(events.Body); err != nil {
				t.Errorf("events end with %v", err)
			}
			continue
		}
		for lines := bufio.NewScanner(events.Body); lines.Text() != "data: 7"; {
			if !lines.Scan() {
				t.Fatalf("events have ended: %v", lines.Err())
			}
		}
		s.stop()
	}
}

// Each route counts its own, also those without a name.
func TestMaxConnectionsPerIPIsThatOfTheRoute(t *testing.T) {
	two := "websocket /a echo {\n max_connections_per_ip 1\n%s\n}\n websocket /b echo {\n max_connections_per_ip 1\n page\n}"
	s := start(t, limited("", fmt.Sprintf(two, "")))
	s.dial("/a").ask("x", "x")
	s.dial("/b").ask("x", "x")
	s.load(limited("", fmt.Sprintf(two, "max_message_size 10B")))
	for _, path := range []string{"/a", "/b"} {
		if _, answer, err := s.tryDial(path); err == nil || answer.StatusCode != http.StatusTooManyRequests {
			t.Errorf("%s after a reload: %v", path, err)
		}
	}
}
