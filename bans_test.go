package caddyws

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"github.com/caddyws/caddy-websocket/frames"
)

// withoutBans has a test begin and end without any.
func withoutBans(t *testing.T) {
	forget := func() { refusedForNow.until = make(map[banned]time.Time) }
	forget()
	t.Cleanup(forget)
}

// closes deletes connections, which must be so many.
func (s *server) closes(query string, n int) {
	s.t.Helper()
	var answer closeAnswer
	s.asks(http.MethodDelete, "/websocket/connections?"+query, "", &answer)
	if answer.Closed != n || answer.Banned != nil {
		s.t.Errorf("%q: closed %+v, want %d", query, answer, n)
	}
}

// leave waits until there is no such connection any more.
func (s *server) leave(query string) {
	s.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		var page connectionPage
		if s.get("/websocket/connections?"+query, &page); len(page.Connections) == 0 {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("there still are %+v", page.Connections)
		}
	}
}

// bansSome deletes connections and refuses their clients.
func (s *server) bansSome(query string, closed, refused int) {
	s.t.Helper()
	var answer closeAnswer
	s.asks(http.MethodDelete, "/websocket/connections?ban=10m&"+query, "", &answer)
	if answer.Closed != closed || answer.Banned == nil || *answer.Banned != refused {
		s.t.Errorf("%q: %+v, want %d closed and %d banned", query, answer, closed, refused)
	}
}

// expectReason is expectClose with what the client is told.
func (c *client) expectReason(code int, reason string) {
	c.t.Helper()
	_, got, err := c.ReadMessage()
	if end, ok := errors.AsType[*websocket.CloseError](err); !ok || end.Code != code || end.Text != reason {
		c.t.Errorf("got %q, %v, want the end with %d %q", got, err, code, reason)
	}
}

// Connections are closed with the code and reason that is asked for, and no others.
func TestConnectionsAreClosed(t *testing.T) {
	s := start(t, adminSite)
	withoutBans(t)
	alice, bob, carol := s.chats("a", "alice")[0], s.chats("a", "bob")[0], s.chats("b", "carol")[0]
	s.closes("user=alice", 1)
	alice.expectReason(websocket.ClosePolicyViolation, "")
	var page connectionPage
	s.get("/websocket/connections?user=bob", &page)
	s.closes("code=4001&reason="+url.QueryEscape("bis später")+"&id="+page.Connections[0].ID, 1)
	bob.expectReason(4001, "bis später")
	carol.ask("still here", "still here")
	dave := s.chats("b", "dave")[0]
	s.closes("code=1001&room="+url.QueryEscape(s.roomOf("/chat/b")), 2)
	carol.expectReason(websocket.CloseGoingAway, "")
	dave.expectReason(websocket.CloseGoingAway, "")
	s.leave("user=alice")
	s.closes("user=alice", 0)
	s.chats("a", "alice")[0].ask("back", "back")
	if e := logged.wait(t, "the closing", isMessage("connections closed by an operator")); e["connections"] != 1.0 || e["code"] != 1008.0 {
		t.Error(e)
	}
}

// Who is banned gets 403 over every transport until the ban ends; others come in.
func TestBans(t *testing.T) {
	s := start(t, adminSite)
	withoutBans(t)
	alice := s.chats("a", "alice")[0]
	s.bansSome("user=alice", 1, 1)
	alice.expectReason(websocket.ClosePolicyViolation, "")
	forbidden := func(header string) {
		t.Helper()
		if _, answer, err := s.tryDial("/chat/a", header); err == nil || answer.StatusCode != http.StatusForbidden {
			t.Errorf("%s: WebSocket: %v, %v", header, answer, err)
		}
		for method, accept := range map[string]string{http.MethodGet: "Accept: text/event-stream", http.MethodPost: "Accept: */*"} {
			if answer, _ := s.request(method, "/sum/1", "1", header, accept); answer.StatusCode != http.StatusForbidden {
				t.Errorf("%s: %s: %s", header, method, answer.Status)
			}
		}
	}
	forbidden("Remote-User: alice")
	s.chats("a", "bob")[0].ask("hello", "hello")
	if e := logged.wait(t, "the ban", isMessage("client is refused from now on")); e["user"] != "alice" || e["until"] == nil {
		t.Error(e)
	}
	logged.wait(t, "the refusal", func(e entry) bool {
		return e["reason"] == errBanned.Error() && e["status"] == 403.0 && e["user"] == "alice"
	})

	s.leave("user=alice")
	s.bansSome("ip=127.0.0.1", 1, 1) // bob
	forbidden("Remote-User: bob")
	var page banPage
	s.get("/websocket/bans?limit=1", &page)
	if len(page.Bans) != 1 || page.Bans[0].User != "alice" || time.Until(page.Bans[0].Until) > 10*time.Minute || page.Next != "1" {
		t.Errorf("%+v", page)
	}
	page = banPage{}
	s.get("/websocket/bans?limit=1&after=1", &page)
	if len(page.Bans) != 1 || page.Bans[0].IP != "127.0.0.1" {
		t.Errorf("%+v", page)
	}
	if status, body := s.admin(http.MethodDelete, "/websocket/bans?ip=127.0.0.1", "", ""); status != http.StatusNoContent {
		t.Error(status, body)
	}
	s.chats("a", "bob")[0].ask("hello", "hello")
	forbidden("Remote-User: alice")
	s.load(adminSite) // a reload ends no ban
	forbidden("Remote-User: alice")
	s.refusesAdmin(http.MethodDelete, "/websocket/bans?user=bob", "", http.StatusNotFound, "no such ban")
}

// Of a room, and of one connection, the users are banned, and the addresses of those
// without one.
func TestBanOfARoom(t *testing.T) {
	s := start(t, adminSite)
	withoutBans(t)
	s.chats("a", "alice", "alice", "bob")
	s.chats("b", "carol")
	s.bansSome("room="+url.QueryEscape(s.roomOf("/chat/a")), 3, 2)
	var page banPage
	s.get("/websocket/bans", &page)
	if len(page.Bans) != 2 || page.Bans[0].User != "alice" || page.Bans[1].User != "bob" {
		t.Errorf("%+v", page)
	}
	s.dial("/named?room=x")
	var one connectionPage
	s.get("/websocket/connections?route=named", &one)
	s.bansSome("id="+one.Connections[0].ID, 1, 1)
	page = banPage{}
	s.get("/websocket/bans", &page)
	if len(page.Bans) != 3 || page.Bans[2].IP != "127.0.0.1" {
		t.Errorf("%+v", page)
	}
	s.bansSome("user=nobody", 0, 1)
}

func TestWrongDeletions(t *testing.T) {
	s := start(t, adminSite)
	withoutBans(t)
	alice := s.chats("a", "alice")[0]
	for uri, reason := range map[string]string{
		"connections":                                                              "nothing says which connections",
		"connections?code=1000":                                                    "nothing says which connections",
		"connections?user=alice&code=999":                                          `code is "999"`,
		"connections?user=alice&code=1005":                                         `code is "1005"`,
		"connections?user=alice&code=70000":                                        `code is "70000"`,
		"connections?user=alice&code=x":                                            `code is "x"`,
		"connections?user=alice&ban=0s":                                            `ban is "0s", expected a duration from 1s to 8784h`,
		"connections?user=alice&ban=367d":                                          `ban is "367d"`,
		"connections?user=alice&ban=soon":                                          `ban is "soon"`,
		"connections?route=chat&ban=1m":                                            "ban needs one of id, room, user, ip, and only one",
		"connections?user=alice&ip=::1&ban=1m":                                     "ban needs one of id, room, user, ip, and only one",
		"connections?user=alice&reason=%ff":                                        "reason must be at most 123 bytes of printable text",
		"connections?user=alice&reason=%0a":                                        "reason must be",
		"connections?user=alice&reason=" + strings.Repeat("x", frames.MaxReason+1): "reason must be",
		"bans":                   "expected one of user, ip",
		"bans?user=alice&ip=::1": "expected one of user, ip",
	} {
		s.refusesAdmin(http.MethodDelete, "/websocket/"+uri, "", http.StatusBadRequest, reason)
	}
	alice.ask("still here", "still here")
}

// There are only so many bans; one more closes nobody, and is possible once others have
// ended.
func TestBansAreBounded(t *testing.T) {
	s := start(t, adminSite)
	withoutBans(t)
	var all []banned
	for i := range maxBans - 1 {
		all = append(all, banned{user: strconv.Itoa(i)})
	}
	if err := refusedForNow.add(all, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	members := s.chats("a", "alice", "bob")
	s.refusesAdmin(http.MethodDelete, "/websocket/connections?ban=1m&room="+url.QueryEscape(s.roomOf("/chat/a")), "", http.StatusInsufficientStorage, "that is the most")
	for _, m := range members {
		m.ask("x", "x")
		break
	}
	s.bansSome("user=0", 0, 1) // it is one of them
	s.bansSome("user=alice", 1, 1)
	s.refusesAdmin(http.MethodDelete, "/websocket/connections?ban=1m&user=bob", "", http.StatusInsufficientStorage, "that is the most")
}

// A ban ends by itself, and counts IPv6 addresses by their networks.
func TestBansEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := banList{until: make(map[banned]time.Time)}
		is := func(want bool) {
			t.Helper()
			if b.refuses("alice", "") != want || b.refuses("", "2001:db8::7") != want || b.refuses("bob", "2001:db8::7") != want {
				t.Errorf("refused: %v", !want)
			}
			if b.refuses("bob", "2001:db8:0:1::7") || b.refuses("", "") || b.refuses("bob", "@") {
				t.Error("others are refused")
			}
		}
		is(false)
		if err := b.add([]banned{{user: "alice"}, {network: netip.MustParseAddr("2001:db8::")}}, time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		is(true)
		time.Sleep(time.Minute - time.Nanosecond)
		is(true)
		time.Sleep(time.Nanosecond)
		is(false)
		if n := len(b.all()); n != 0 || b.lift(banned{user: "alice"}) {
			t.Errorf("%d bans are left", n)
		}
	})
}
