package caddyws

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
)

// traced is a trace that runs.
type traced struct {
	t    *testing.T
	body *bufio.Reader
	end  func()
}

// trace begins a trace.
func (s *server) trace(query string) *traced {
	s.t.Helper()
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(s.dir, "admin.sock"))
		},
	}
	r, err := http.NewRequest(http.MethodGet, "http://caddy/websocket/trace?"+query, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	answer, err := roundTrip(s.t, transport, r)
	for end := time.Now().Add(patience); errors.Is(err, io.EOF) && time.Now().Before(end); {
		answer, err = roundTrip(s.t, transport, r) // the endpoint of the configuration before had taken it
	}
	if err != nil || answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/event-stream" {
		s.t.Fatal(answer, err)
	}
	tr := &traced{s.t, bufio.NewReader(answer.Body), func() { answer.Body.Close() }}
	tr.line(":")
	tr.line("")
	return tr
}

func (tr *traced) line(want string) {
	tr.t.Helper()
	if line, err := tr.body.ReadString('\n'); err != nil || line != want+"\n" {
		tr.t.Fatalf("the trace has %q, %v, want %q", line, err, want)
	}
}

// next returns what the trace shows next.
func (tr *traced) next() (p shownPassage) {
	tr.t.Helper()
	line, err := tr.body.ReadString('\n')
	data, ok := strings.CutPrefix(line, "data: ")
	if err != nil || !ok || json.Unmarshal([]byte(data), &p) != nil {
		tr.t.Fatalf("the trace has %q, %v", line, err)
	}
	tr.line("")
	return p
}

// shows checks what the trace shows next: kind, user and data of each.
func (tr *traced) shows(want ...string) {
	tr.t.Helper()
	for _, w := range want {
		p := tr.next()
		got := p.Kind + " " + p.User
		if p.Data != nil {
			got += " " + *p.Data
		}
		if strings.TrimSpace(got) != w || p.Time.IsZero() || p.Room == "" || p.App == "" || p.LeftOut != 0 {
			tr.t.Fatalf("the trace shows %q %+v, want %q", got, p, w)
		}
	}
}

// A trace of a room shows who comes and goes, what is said, and what everybody is told.
func TestTraceOfARoom(t *testing.T) {
	s := start(t, adminSite)
	tr := s.trace("room=" + url.QueryEscape(s.roomOf("/sum/a")))
	s.chats("a", "bob")[0].ask("elsewhere", "elsewhere")
	alice := s.dial("/sum/a", "Remote-User: alice")
	alice.ask("5", "5")
	alice.ask("x", "error: not a number")
	s.posts("/sum/a", "1", http.StatusOK, "6")
	alice.expect("6")
	alice.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(4001, "bye"))
	alice.expectClose(4001)
	tr.shows("joined alice", "received alice 5", "sent alice 5", "received alice x", "sent alice error: not a number")
	tr.shows("received  1", "sent  6", "updated  6")
	if p := tr.next(); p.Kind != "left" || p.Code != 4001 || *p.Data != "bye" || p.ID == "" {
		t.Errorf("%+v", p)
	}
}

// A trace shows what a member is told of the past: what stands for the names that it
// claims, and the state.
func TestTraceOfArrivals(t *testing.T) {
	s := start(t, strings.Replace(adminSite, "websocket /sum", `websocket /hall {
 app meter {
  alert stop each last above 900 {
   to key
   message stop
  }
 }
}
websocket /sum`, 1))
	tr := s.trace("room=" + url.QueryEscape(s.roomOf("/hall")))
	s.posts("/hall", `{"key":"a","value":950}`, http.StatusOK, "950")
	late := s.dial("/hall?claim=a")
	late.expect("stop")
	tr.shows(`received  {"key":"a","value":950}`, "raised  stop", "sent  950", "joined", "sent  stop")
	late.send(`{"key":"b","value":901}`)
	late.expect("901", "stop")
	tr.shows(`received  {"key":"b","value":901}`, "raised  stop", "sent  901", "sent  stop")
}

// A trace of a user shows what he says and is told, wherever he is, and nothing of other
// rooms.
func TestTraceOfAUser(t *testing.T) {
	s := start(t, adminSite)
	alice, bob := s.chats("a", "alice")[0], s.chats("a", "bob")[0]
	other := s.chats("b", "bob")[0]
	tr := s.trace("user=alice")
	other.ask("elsewhere", "elsewhere")
	bob.ask("hello", "hello")
	alice.expect("hello")
	alice.ask("hi", "hi")
	again := s.chats("b", "alice")[0]
	other.ask("now here", "now here")
	again.expect("now here")
	alice.Close()
	tr.shows("published bob hello", "received alice hi", "published alice hi", "joined alice", "published bob now here", "left alice")
	bob.expect("hi")
	bob.ask("alone", "alone")
	again.ask("still", "still")
	tr.shows("received alice still", "published alice still")
	var page connectionPage
	s.get("/websocket/connections?route=chat&user=bob&limit=1", &page)
	one := s.trace("id=" + page.Connections[0].ID)
	bob.ask("x", "x")
	one.shows("received bob x", "published bob x")
}

// Long messages are cut, binary ones are shown as base64, and of many in a second some
// are left out: all of that is said.
func TestTracesAreCut(t *testing.T) {
	s := start(t, adminSite)
	alice := s.chats("a", "alice")[0]
	tr := s.trace("user=alice")
	long := strings.Repeat("x", 255) + "é" + strings.Repeat("y", 1000)
	alice.ask(long, long)
	for range 2 {
		if p := tr.next(); *p.Data != strings.Repeat("x", 255) || p.Size != len(long) {
			t.Errorf("%+v", p)
		}
	}
	alice.WriteMessage(websocket.BinaryMessage, []byte(strings.Repeat("\xff", 300)))
	for range 2 {
		if p := tr.next(); p.Data != nil || string(p.Binary) != strings.Repeat("\xff", 256) || p.Size != 300 {
			t.Errorf("%+v", p)
		}
	}
	alice.ReadMessage()
	const sent = 400
	for i := range sent {
		text := fmt.Sprint(i)
		alice.ask(text, text)
	}
	shown, leftOut := 0, 0
	for shown+leftOut < 2*sent {
		p := tr.next()
		if leftOut += int(p.LeftOut); p.Kind != "left out" {
			shown++
		}
	}
	if shown+leftOut != 2*sent || leftOut == 0 {
		t.Errorf("%d are shown and %d left out, of %d", shown, leftOut, 2*sent)
	}
}

// A trace ends, and says so, whenever a configuration stops: Caddy would wait for it.
func TestTracesEndWithTheConfiguration(t *testing.T) {
	s := start(t, adminSite)
	s.chats("a", "alice")
	for range 2 {
		tr := s.trace("user=alice")
		s.load(adminSite)
		tr.line("event: end")
		tr.line(`data: {"reason":"the configuration is replaced, or Caddy stops"}`)
	}
	tr := s.trace("user=alice")
	s.stop()
	tr.line("event: end")
}

// Only so many traces run; one more can when another has ended.
func TestTracesAreBounded(t *testing.T) {
	s := start(t, adminSite)
	var all []*traced
	for range 10 {
		all = append(all, s.trace("user=alice"))
	}
	s.refusesAdmin(http.MethodGet, "/websocket/trace?user=alice", "", http.StatusTooManyRequests, "10 traces run already")
	all[3].end()
	hubtest.Until(t, "a trace to end", func() bool {
		trace, err := started.Load().hub.Trace(hub.Filter{User: "x"})
		if err == nil {
			started.Load().hub.EndTrace(trace)
		}
		return err == nil
	})
	s.trace("user=alice")
	for query, reason := range map[string]string{
		"":         "nothing says what to trace",
		"room=x":   `room is "x"`,
		"ip=::1":   `unknown parameter "ip"`,
		"id=short": "expected the id of a connection",
	} {
		s.refusesAdmin(http.MethodGet, "/websocket/trace?"+query, "", http.StatusBadRequest, reason)
	}
}
