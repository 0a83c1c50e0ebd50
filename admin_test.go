package caddyws

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/caddyws/caddy-websocket/hub/hubtest"
)

// get asks the admin API, which must answer with a value.
func (s *server) get(uri string, into any) {
	s.t.Helper()
	s.asks(http.MethodGet, uri, "", into)
}

// asks sends a request to the admin API, which must answer with a value.
func (s *server) asks(method, uri, body string, into any) {
	s.t.Helper()
	status, answer := s.admin(method, uri, "", body)
	if status != http.StatusOK {
		s.t.Fatalf("%s %s: %d %s", method, uri, status, answer)
	}
	if err := json.Unmarshal([]byte(answer), into); err != nil {
		s.t.Fatalf("%s %s: %v in %s", method, uri, err, answer)
	}
}

// refusesAdmin sends a request to the admin API, which must be refused for a reason.
func (s *server) refusesAdmin(method, uri, body string, status int, reason string) {
	s.t.Helper()
	got, answer := s.admin(method, uri, "", body)
	var e struct{ Error string }
	if err := json.Unmarshal([]byte(answer), &e); err != nil || got != status || !strings.Contains(e.Error, reason) {
		s.t.Errorf("%s %s: %d %s, want %d with %q", method, uri, got, answer, status, reason)
	}
}

// withUser is an option of a site that takes the user from a header.
const withUser = "map {header.Remote-User} {http.auth.user.id} {\n ~(.+) ${1}\n}\n"

const adminSite = ":PORT {\n" + withUser + `
	websocket /chat/* {
		app broadcast
		name chat
	}
	websocket /named {
		app broadcast
		name named
		room {query.room}
	}
	websocket /sum/* sum
}`

// chats connects users to rooms of the chat.
func (s *server) chats(room string, users ...string) (all []*client) {
	for _, user := range users {
		all = append(all, s.dial("/chat/"+room, "Remote-User: "+user))
	}
	return all
}

// url is how the admin API names the room of a path.
func (s *server) roomOf(path string) string { return fmt.Sprintf("//localhost:%d%s", s.Port, path) }

func users(page connectionPage) string {
	var all []string
	for _, c := range page.Connections {
		all = append(all, c.User)
	}
	return strings.Join(all, " ")
}

func TestConnectionsAreListed(t *testing.T) {
	s := start(t, adminSite)
	s.chats("a", "alice", "bob")
	s.chats("b", "alice")
	s.dial("/named?room=a").send("x")
	s.listen("/sum/1")
	for query, want := range map[string]string{
		"":            "alice bob alice  ",
		"user=alice":  "alice alice",
		"route=chat":  "alice bob alice",
		"route=named": "",
		"room=" + url.QueryEscape(s.roomOf("/chat/b")):      "alice",
		"room=" + url.QueryEscape("=a"):                     "",
		"ip=127.0.0.1&user=bob":                             "bob",
		"ip=127.0.0.2":                                      "nobody",
		"user=carol":                                        "nobody",
		"ip=::ffff:127.0.0.1&route=chat&user=alice&limit=1": "alice",
	} {
		var page connectionPage
		s.get("/websocket/connections?"+query, &page)
		got := users(page)
		if len(page.Connections) == 0 {
			got = "nobody"
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", query, got, want)
		}
	}
}

// What a connection has sent and was sent is shown while it goes on.
func TestAConnectionIsShown(t *testing.T) {
	s := start(t, adminSite)
	began := time.Now().Add(-time.Second)
	c := s.chats("a", "alice")[0]
	c.ask("hello", "hello")
	c.ask("again", "again")
	events := s.listen("/chat/a")
	var page connectionPage
	s.get("/websocket/connections", &page)
	if len(page.Connections) != 2 || page.Next != "" {
		t.Fatalf("%+v", page)
	}
	a := page.Connections[0]
	if a.Since.Before(began) || a.Since.After(time.Now()) {
		t.Errorf("since %v", a.Since)
	}
	want := shownConnection{
		ID: a.ID, Route: "chat", App: "broadcast", Room: s.roomOf("/chat/a"), User: "alice", IP: "127.0.0.1", Transport: "websocket",
		Since: a.Since, MayWrite: true, MessagesIn: 2, MessagesOut: 2, BytesIn: 2 * (2 + 4 + 5), BytesOut: 2 * (2 + 5),
	}
	if a != want {
		t.Errorf("got %+v, want %+v", a, want)
	}
	if b := page.Connections[1]; b.Transport != "events" || b.MessagesIn != 0 || b.ID == a.ID {
		t.Errorf("event stream: %+v", b)
	}
	events.Body.Close()
	var one connectionPage
	s.get("/websocket/connections?id="+a.ID, &one)
	if len(one.Connections) != 1 || one.Connections[0].ID != a.ID {
		t.Errorf("by its id: %+v", one)
	}
}

// Page after page has every connection once, in the order in which they came, whatever
// comes and goes meanwhile.
func TestPagesOfConnections(t *testing.T) {
	s := start(t, adminSite)
	all := s.chats("a", "1", "2", "3", "4", "5")
	var first, second, third connectionPage
	s.get("/websocket/connections?limit=2", &first)
	all[1].Close()
	logged.wait(t, "the end", isMessage("connection ended"))
	s.chats("b", "6")
	s.get("/websocket/connections?limit=2&after="+first.Next, &second)
	s.get("/websocket/connections?limit=2&after="+second.Next, &third)
	if got := users(first) + ", " + users(second) + ", " + users(third); got != "1 2, 3 4, 5 6" {
		t.Error(got)
	}
	var end connectionPage
	s.get("/websocket/connections?limit=2&after="+third.Next, &end)
	if len(end.Connections) != 0 || end.Next != "" || end.Connections == nil {
		t.Errorf("after the last: %+v", end)
	}
}

func TestRoutesAreListed(t *testing.T) {
	s := start(t, adminSite)
	s.chats("a", "alice", "bob")
	s.chats("b", "carol")
	var page routePage
	s.get("/websocket/routes", &page)
	want := []shownRoute{{"chat", "broadcast", "", 3, 2}, {"named", "broadcast", "{http.request.uri.query.room}", 0, 0}, {"sum", "sum", "", 0, 0}}
	if fmt.Sprint(page.Routes) != fmt.Sprint(want) || page.Next != "" {
		t.Errorf("got %+v", page)
	}
	s.get("/websocket/routes?limit=1&after=1", &page)
	if fmt.Sprint(page.Routes) != fmt.Sprint(want[1:2]) || page.Next != "2" {
		t.Errorf("second page: %+v", page)
	}
}

func rooms(page roomPage) (names string) {
	for _, r := range page.Rooms {
		names += r.App + r.Room[strings.LastIndex(r.Room, "/")+1:] + " "
	}
	return names
}

// Rooms are listed by app and name, those that are only stored too.
func TestRoomsAreListed(t *testing.T) {
	s := start(t, adminSite)
	for _, name := range []string{"b", "a", "c"} {
		s.posts("/sum/"+name, "5", http.StatusOK, "5")
	}
	s.chats("z", "alice", "bob")
	s.dial("/named?room=z")
	s.dial("/sum/b")
	s.dial("/sum/new")
	var page roomPage
	s.get("/websocket/rooms", &page)
	if got := rooms(page); got != "broadcastz broadcast=z suma sumb sumc sumnew " || page.Next != "" {
		t.Errorf("all: %s, %q", got, page.Next)
	}
	if z, b, fresh := page.Rooms[0], page.Rooms[3], page.Rooms[5]; z.Members != 2 || z.Stored != 0 || !z.LastUse.IsZero() ||
		b.Members != 1 || b.Version != 1 || b.Stored == 0 || time.Since(b.LastUse) > time.Minute || fresh.Members != 1 || fresh.Version != 0 || fresh.Stored != 0 {
		t.Errorf("%+v", page.Rooms)
	}
	prefix := url.QueryEscape(s.roomOf("/sum/"))
	for query, want := range map[string]string{
		"app=sum":                        "suma sumb sumc sumnew ",
		"app=broadcast":                  "broadcastz broadcast=z ",
		"app=none":                       "",
		"app=sum&prefix=" + prefix:       "suma sumb sumc sumnew ",
		"app=sum&prefix=" + prefix + "n": "sumnew ",
		"app=sum&prefix=" + prefix + "b": "sumb ",
		"app=broadcast&prefix=%3D":       "broadcast=z ",
		"app=sum&prefix=%3D":             "",
	} {
		page = roomPage{}
		s.get("/websocket/rooms?"+query, &page)
		if got := rooms(page); got != want {
			t.Errorf("%q: got %q, want %q", query, got, want)
		}
	}
	got, next := "", ""
	for range 10 {
		page = roomPage{}
		s.get("/websocket/rooms?limit=2"+next, &page)
		got += rooms(page) + ", "
		if page.Next == "" {
			break
		}
		next = "&after=" + url.QueryEscape(page.Next)
	}
	if got != "broadcastz broadcast=z , suma sumb , sumc sumnew , , " {
		t.Errorf("by pages: %s", got)
	}
}

func TestARoomIsShown(t *testing.T) {
	s := start(t, adminSite)
	s.posts("/sum/a", "5", http.StatusOK, "5")
	uri := "/websocket/room?app=sum&room=" + url.QueryEscape(s.roomOf("/sum/a"))
	for _, members := range []int{0, 2} {
		for range members {
			s.dial("/sum/a", "Remote-User: alice")
		}
		var details roomDetails
		s.get(uri, &details)
		if details.Version != 1 || details.Members != members || len(details.Connections) != members || details.View == nil || details.View.Text != "5" ||
			!strings.Contains(string(details.View.JSON), `"total":5`) || details.Stored == 0 || details.Error != "" {
			t.Errorf("with %d members: %+v", members, details)
		}
	}
	var page roomDetails
	s.get(uri+"&limit=1", &page)
	first := page.Next
	s.get(uri+"&limit=1&after="+first, &page)
	if len(page.Connections) != 1 || page.Connections[0].ID == first {
		t.Errorf("second page: %+v", page)
	}
	s.refusesAdmin(http.MethodGet, "/websocket/room?app=sum&room=//localhost/none", "", http.StatusNotFound, "no such room")
	s.chats("a", "bob")
	var chat roomDetails
	s.get("/websocket/room?app=broadcast&room="+url.QueryEscape(s.roomOf("/chat/a")), &chat)
	if chat.View != nil || chat.Members != 1 || users(chat.connectionPage) != "bob" {
		t.Errorf("a room without state: %+v", chat)
	}
}

// A room whose app has no route any more is listed, and shown without its state.
func TestARoomWithoutARoute(t *testing.T) {
	s := start(t, "GLOBAL\n websocket {\n engine test_placed\n }\nEND\n"+adminSite)
	s.posts("/sum/a", "5", http.StatusOK, "5")
	s.load("GLOBAL\n websocket {\n engine test_placed\n }\nEND\n:PORT {\n websocket echo\n}")
	var page roomPage
	s.get("/websocket/rooms", &page)
	var details roomDetails
	s.get("/websocket/room?app=sum&room="+url.QueryEscape(s.roomOf("/sum/a")), &details)
	if rooms(page) != "suma " || details.View != nil || details.Version != 1 || details.Error != "" {
		t.Errorf("%+v, %+v", page, details)
	}
}

func TestWrongParameters(t *testing.T) {
	s := start(t, adminSite)
	for uri, reason := range map[string]string{
		"connections?limit=0":                           `limit is "0", expected 1 to 1000`,
		"connections?limit=1001":                        `limit is "1001", expected 1 to 1000`,
		"connections?limit=x":                           `limit is "x"`,
		"connections?limit=1&limit=2":                   `parameter "limit" is given twice`,
		"connections?after=short":                       `after is "short", expected the id of a connection`,
		"connections?id=abcdefghijk1":                   `id is "abcdefghijk1", expected the id of a connection`,
		"connections?ip=host":                           `ip is "host", expected an address`,
		"connections?ip=10.0.0.0/8":                     `ip is "10.0.0.0/8", expected an address`,
		"connections?room=lobby":                        `room is "lobby", expected a name as GET /websocket/rooms shows it`,
		"connections?rom=x":                             `unknown parameter "rom", expected one of id, route, room, user, ip, limit, after`,
		"connections?user=":                             `parameter "user" is empty`,
		"connections?user=" + strings.Repeat("x", 1025): `parameter "user" has more than 1024 bytes`,
		"connections?user=%zz":                          "query cannot be read",
		"connections?limit=0&ip=host":                   "ip is",
		"rooms?prefix=//":                               "prefix needs the parameter app",
		"rooms?after=sum":                               `after is "sum", expected what next was`,
		"rooms?after=/x":                                `after is "/x", expected what next was`,
		"room?app=sum":                                  `parameter "room" is missing`,
		"room?room=//x":                                 `parameter "app" is missing`,
		"routes?after=-1":                               `after is "-1"`,
		"routes?app=sum":                                `unknown parameter "app"`,
	} {
		s.refusesAdmin(http.MethodGet, "/websocket/"+uri, "", http.StatusBadRequest, reason)
	}
}

// A wrong method is told which are right, by an error like any other.
func TestWrongMethods(t *testing.T) {
	w := httptest.NewRecorder()
	if err := serveAdmin(endpoints["/websocket/rooms"], w, httptest.NewRequest(http.MethodPut, "/websocket/rooms", nil)); err == nil || w.Header().Get("Allow") != "GET" {
		t.Errorf("%v, %v", err, w.Header())
	}
	s := start(t, adminSite)
	for path, methods := range endpoints {
		for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodGet, http.MethodPost, http.MethodDelete} {
			if methods[method] == nil {
				s.refusesAdmin(method, path, "", http.StatusMethodNotAllowed, "method is "+method+", expected ")
			}
		}
	}
}

// A path that does not exist is told which do, with or without a route.
func TestWrongPaths(t *testing.T) {
	for _, site := range []string{adminSite, ":PORT {\n respond ok\n}"} {
		s := start(t, site)
		for _, path := range []string{"/websocket/foo", "/websocket/", "/websocket/rooms/", "/websocket/rooms/a", "/websocket/Rooms"} {
			for _, method := range []string{http.MethodGet, http.MethodDelete} {
				s.refusesAdmin(method, path, "", http.StatusNotFound, `there is no path "`+path+`", expected one of /websocket/backup, /websocket/bans, `)
			}
		}
	}
}

// Without a websocket route there is nothing to show, and that is said.
func TestAdminWithoutRoutes(t *testing.T) {
	s := start(t, ":PORT {\n respond ok\n}")
	for path, methods := range endpoints {
		for method := range methods {
			s.refusesAdmin(method, path, "", http.StatusConflict, "no websocket route is configured")
		}
	}
}

func TestPublishThroughTheAdminAPI(t *testing.T) {
	s := start(t, adminSite)
	members := s.chats("a", "alice", "bob")
	events := s.listen("/chat/a")
	uri := "/websocket/publish?app=broadcast&room=" + url.QueryEscape(s.roomOf("/chat/a"))
	var answer publishAnswer
	s.asks(http.MethodPost, uri, "maintenance\nat ten", &answer)
	if answer.Members != 3 {
		t.Errorf("%+v", answer)
	}
	for _, m := range members {
		m.expect("maintenance\nat ten")
	}
	stream := bufio.NewReader(events.Body)
	for _, want := range []string{":\n", "\n", "data: maintenance\n", "data: at ten\n"} {
		if line, err := stream.ReadString('\n'); err != nil || line != want {
			t.Errorf("the stream has %q, %v, want %q", line, err, want)
		}
	}
	if status, body := s.admin(http.MethodPost, uri, "application/octet-stream", "\xff\x00"); status != http.StatusOK {
		t.Errorf("binary: %d %s", status, body)
	}
	if kind, p, err := members[0].ReadMessage(); err != nil || kind != websocket.BinaryMessage || string(p) != "\xff\x00" {
		t.Errorf("binary: %d %q %v", kind, p, err)
	}
	s.asks(http.MethodPost, "/websocket/publish?app=broadcast&room=//localhost/nobody", "x", &answer)
	if answer.Members != 0 {
		t.Errorf("%+v", answer)
	}
	s.refusesAdmin(http.MethodPost, "/websocket/publish?app=none&room=//localhost/a", "x", http.StatusNotFound, "no route has this app")
	s.refusesAdmin(http.MethodPost, "/websocket/publish?room=//localhost/a", "x", http.StatusBadRequest, `parameter "app" is missing`)
	s.refusesAdmin(http.MethodPost, uri, "\xff", http.StatusBadRequest, "body is not UTF-8")
	s.refusesAdmin(http.MethodPost, uri, strings.Repeat("x", maxPublished+1), http.StatusRequestEntityTooLarge, "more than 1 MiB")
	if status, body := s.admin(http.MethodPost, uri, "text/plain; charset=latin1", "x"); status != http.StatusUnsupportedMediaType {
		t.Errorf("charset: %d %s", status, body)
	}
	members[0].ask("still here", "still here")
}

func TestARoomIsDeleted(t *testing.T) {
	s := start(t, adminSite)
	c := s.dial("/sum/a")
	c.ask("5", "5")
	before := s.state("/sum/a")
	uri := "/websocket/room?app=sum&room=" + url.QueryEscape(s.roomOf("/sum/a"))
	var answer deleteAnswer
	s.asks(http.MethodDelete, uri, "", &answer)
	if answer.Closed != 1 {
		t.Errorf("%+v", answer)
	}
	c.expectReason(websocket.CloseGoingAway, "room was deleted")
	if after := s.state("/sum/a"); after.Version != 0 || after.Total != "0" || after.Epoch == before.Epoch {
		t.Errorf("was %+v, is %+v", before, after)
	}
	if e := logged.wait(t, "the deletion", isMessage("room deleted by an operator")); e["connections"] != 1.0 || e["room"] != s.roomOf("/sum/a") {
		t.Error(e)
	}
	hubtest.Until(t, "the room to leave memory", func() bool {
		status, _ := s.admin(http.MethodDelete, uri, "", "")
		return status == http.StatusNotFound
	})
	s.refusesAdmin(http.MethodDelete, uri, "", http.StatusNotFound, "no such room")
	s.posts("/sum/a", "7", http.StatusOK, "7")
	s.asks(http.MethodDelete, uri, "", &answer)
	s.posts("/sum/a", "1", http.StatusOK, "1")
	chat := s.chats("a", "alice")[0]
	s.asks(http.MethodDelete, "/websocket/room?app=broadcast&room="+url.QueryEscape(s.roomOf("/chat/a")), "", &answer)
	chat.expectReason(websocket.CloseGoingAway, "room was deleted")
	s.refusesAdmin(http.MethodDelete, "/websocket/room?app=sum&room=a", "", http.StatusBadRequest, `room is "a"`)
}
