package caddyws

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyws/caddy-websocket/room"
)

// refusalConfig has a route for each reason. Its handle_errors shows what is told
// to clients.
const refusalConfig = `GLOBAL
	websocket {
		max_connections 2
		max_rooms 2
	}
	END
	:PORT {
		websocket /echo echo {
			max_message_size 8B
		}
		websocket /sum sum
		websocket /chat broadcast
		websocket /named {
			app sum
			room {query.room}
		}
		websocket /off {
			app sum
			http off
		}
		route /pass {
			websocket sum {
				http pass
			}
			error "the next handler's own" 410
		}
		websocket /slow {
			app echo
			message_rate 0.001/s 1
		}
		websocket /one {
			app sum
			max_connections_per_ip 1
		}
		websocket /guarded test_panic
		route /hidden {
			test_hiding
			websocket sum
		}
		handle_errors {
			respond "{err.status_code} {err.message}"
		}
	}`

// Every refusal is a line that tells an operator who was refused, why, and which
// option decides it. Clients are told the reason only.
func TestRefusalsAreLogged(t *testing.T) {
	const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
	const events = "Accept: text/event-stream\r\n"
	for name, test := range map[string]struct {
		request string // method, path, headers
		body    string
		level   string
		told    string // status and reason
		want    entry  // more fields
	}{
		"an origin":                {"GET /echo " + upgrade + "Origin: file://\r\n", "", "warn", "403 origin is not allowed", entry{"option": "origins", "origin": "file://", "host": "localhost", "route": "echo"}},
		"an origin, events":        {"GET /sum " + events + "Origin: https://evil.example\r\n", "", "warn", "403 origin is not allowed", entry{"option": "origins", "origin": "https://evil.example", "route": "sum"}},
		"an origin, GET":           {"GET /sum Origin: null\r\n", "", "warn", "403 origin is not allowed", entry{"option": "origins", "origin": "null"}},
		"an origin, POST":          {"POST /sum Origin: \r\n", "1", "warn", "403 origin is not allowed", entry{"option": "origins", "origin": ""}},
		"two origins":              {"GET /echo " + upgrade + "Origin: http://localhost\r\nOrigin: null\r\n", "", "warn", "403 origin is not allowed", entry{"option": "origins", "origin": "http://localhost, null"}},
		"another site, no origin":  {"GET /echo " + upgrade + "Sec-Fetch-Site: cross-site\r\n", "", "warn", "403 origin is not allowed", entry{"option": "origins", "sec_fetch_site": "cross-site"}},
		"an origin with controls":  {"GET /sum Origin: \u009b31m\r\n", "", "warn", "403 origin is not allowed", entry{"option": "origins", "origin": "\ufffd31m"}},
		"a long origin":            {"GET /sum Origin: " + strings.Repeat("x", 5000) + "\r\n", "", "warn", "403 origin is not allowed", entry{"option": "origins", "origin": strings.Repeat("x", 256)}},
		"no key":                   {"GET /echo " + strings.ReplaceAll(upgrade, "Key", "K") + "\r\n", "", "info", "400 websocket handshake: one Sec-WebSocket-Key header is needed, not 0", entry{"reason": "bad handshake", "error": "websocket handshake: one Sec-WebSocket-Key header is needed, not 0"}},
		"another version":          {"GET /echo " + strings.ReplaceAll(upgrade, "13", "8"), "", "info", `426 websocket handshake: version "8" is not spoken here, only 13`, entry{"reason": "bad handshake"}},
		"a hidden connection":      {"GET /hidden " + upgrade, "", "error", "501 not implemented", entry{"error": "websocket handshake: struct { http.ResponseWriter } can't hand over its connection"}},
		"room without a name":      {"GET /named " + upgrade, "", "warn", "400 room name must be 1 to 255 bytes of printable text", entry{"option": "room", "route": "sum {http.request.uri.query.room}"}},
		"room without a name, GET": {"GET /named ", "", "warn", "400 room name must be 1 to 255 bytes of printable text", entry{"option": "room"}},
		"the app says no":          {"GET /guarded?refuse " + upgrade, "", "info", "403 app refused the connection", entry{"option": "app", "error": "app refused the connection: a secret reason"}},
		"the app says no, POST":    {"POST /guarded?refuse ", "x", "info", "403 app refused the connection", entry{"option": "app"}},
		"the app panics":           {"GET /guarded?panic " + upgrade, "", "error", "500 app failed", entry{"option": "app"}},
		"no upgrade, http off":     {"GET /off ", "", "info", "426 this is a WebSocket endpoint: the request asks for no upgrade", entry{"option": "http"}},
		"no upgrade, no state":     {"GET /echo ", "", "info", "426 the app has no state to show: the request asks for no upgrade", entry{"option": "app"}},
		"CONNECT":                  {"CONNECT /sum ", "", "info", "501 the protocol asked for by CONNECT is not websocket", entry{"option": "http"}},
		"PUT":                      {"PUT /sum ", "1", "info", "405 method is not allowed", entry{"reason": "method not allowed", "error": "method is not allowed"}},
		"POST with an upgrade":     {"POST /sum " + upgrade, "", "info", "405 websocket handshake: the method must be GET", entry{"reason": "bad handshake"}},
		"a question to sum":        {"GET /sum?message=1 ", "", "info", "405 the app does not answer a GET with a message", entry{"option": "app"}},
		"events of echo":           {"GET /echo " + events, "", "info", "406 the app answers only the sender: there are no events to follow", entry{"option": "app"}},
		"events of a subprotocol":  {"GET /sum?subprotocol=soap " + events, "", "info", "406 the subprotocol of a request is json, if the app has that, or none", entry{"option": "app"}},
		"no acceptable form":       {"GET /sum Accept: image/png\r\n", "", "info", "406 there is no answer of a media type that is accepted", entry{"reason": "not acceptable"}},
		"too big":                  {"POST /echo ", "123456789", "warn", "413 message exceeds max_message_size", entry{"option": "max_message_size"}},
		"not text":                 {"POST /echo ", "\xff", "info", "400 body is not UTF-8; binary is sent as application/octet-stream", entry{"reason": "bad request"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, refusalConfig)
			method, rest, _ := strings.Cut(test.request, " ")
			path, header, _ := strings.Cut(rest, " ")
			answer, body := s.raw(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n%s\r\n%s", method, path, len(test.body), header, test.body))
			if status, _, _ := strings.Cut(test.told, " "); strconv.Itoa(answer.StatusCode) != status || body != test.told {
				t.Errorf("answered with %s %q, want %q", answer.Status, body, test.told)
			}
			checkRefusal(t, test.level, test.told, test.want)
		})
	}
}

// The line names the user, if there is one, without what would change a log.
func TestRefusalsNameTheUser(t *testing.T) {
	s := start(t, adminSite)
	if answer, _ := s.request(http.MethodPut, "/sum/1", "1", "Remote-User: ann\u009b31m"); answer.StatusCode != http.StatusMethodNotAllowed {
		t.Fatal(answer.Status)
	}
	if e := logged.wait(t, "the refusal", isMessage("request refused")); e["user"] != "ann\ufffd31m" {
		t.Error(e)
	}
}

// What the next handler refuses is none of ours.
func TestRefusalsOfOthersAreNotLogged(t *testing.T) {
	s := start(t, refusalConfig)
	s.posts("/pass", "1", http.StatusGone, "410 the next handler's own")
	if all, _ := logged.snapshot(); len(find(t, all, isMessage("request refused"))) > 0 {
		t.Errorf("the log has\n%s", strings.Join(all, "\n"))
	}
}

// checkRefusal looks for the line about a refused request.
func checkRefusal(t *testing.T, level, told string, want entry) {
	t.Helper()
	status, reason, _ := strings.Cut(told, " ")
	number, _ := strconv.ParseFloat(status, 64)
	all := entry{"level": level, "logger": "http.handlers.websocket", "reason": reason, "status": number, "client_ip": "127.0.0.1"}
	maps.Copy(all, want)
	got := logged.wait(t, "the refusal", isMessage("request refused"))
	for field, value := range all {
		if got[field] != value {
			t.Errorf("%s is %q, want %q", field, got[field], value)
		}
	}
	for _, field := range []string{"option", "origin", "left_out", "user"} {
		if _, ok := got[field]; ok && want[field] == nil {
			t.Errorf("there is a field %s: %v", field, got)
		}
	}
	if _, ok := got["route"]; !ok {
		t.Error("the line names no route")
	}
	if path, _ := got["path"].(string); !strings.HasPrefix(path, "/") || strings.Contains(path, "?") {
		t.Errorf("path is %q", path)
	}
}

// The limits are options too.
func TestRefusalsByLimitsAreLogged(t *testing.T) {
	for option, test := range map[string]struct {
		path, told string
		fill       func(*server)
	}{
		"max_connections":        {"/sum", "503 max_connections is reached", func(s *server) { s.dial("/chat"); s.dial("/chat") }},
		"max_connections_per_ip": {"/one", "429 max_connections_per_ip is reached", func(s *server) { s.dial("/one") }},
		"max_rooms":              {"/named?room=c", "503 max_rooms is reached", func(s *server) { s.dial("/named?room=a"); s.dial("/named?room=b") }},
		"message_rate":           {"/slow", "429 more messages than message_rate allows", func(s *server) { s.posts("/slow", "x", http.StatusOK, "x") }},
	} {
		t.Run(option, func(t *testing.T) {
			config := refusalConfig
			if option != "max_connections" {
				config = strings.Replace(config, "max_connections 2", "", 1)
			}
			s := start(t, config)
			test.fill(s)
			if option == "message_rate" {
				s.posts(test.path, "x", http.StatusTooManyRequests, test.told)
			} else if _, answer, err := s.tryDial(test.path); err == nil {
				t.Errorf("let in with %v", answer)
			}
			checkRefusal(t, "warn", test.told, entry{"option": option})
		})
	}
}

// A flood of refused requests is no flood in the log: there is a line a second,
// which tells how many were left out.
func TestRefusalsAreLoggedOnceASecond(t *testing.T) {
	s := start(t, refusalConfig)
	sent := 0
	lines := func() []entry {
		all, _ := logged.snapshot()
		return find(t, all, isMessage("request refused"))
	}
	type request struct{ begun, answered time.Time }
	var logging []request // those behind the lines
	for len(logging) < 3 {
		r := request{begun: time.Now()}
		s.request(http.MethodGet, "/sum", "", "Origin: null")
		r.answered = time.Now()
		sent++
		if len(lines()) > len(logging) {
			logging = append(logging, r)
		}
	}
	all, counted := lines(), 0.0
	for i, line := range all {
		leftOut, _ := line["left_out"].(float64)
		counted += 1 + leftOut
		if i > 0 && logging[i].answered.Sub(logging[i-1].begun) < time.Second {
			t.Errorf("the lines are not a second apart: %v", all)
		}
	}
	if counted != float64(sent) {
		t.Errorf("%d requests were refused and %v counted", sent, counted)
	}
}

// Each route and each reason has lines of its own.
func TestRefusalsAreCountedApart(t *testing.T) {
	s, now := newRefusals(), time.Now()
	var got []string
	next := func(route, reason string, after time.Duration) {
		leftOut, due := s.next(route, reason, now.Add(after))
		got = append(got, fmt.Sprint(leftOut, " ", due))
	}
	next("a", "x", 0)
	next("a", "x", 0)
	next("a", "x", time.Second-1)
	next("b", "x", 0)
	next("a", "y", 0)
	next("a", "x", time.Second)
	next("a", "x", 2*time.Second-1)
	next("a", "x", time.Hour)
	next("a", "x", 2*time.Hour)
	want := []string{"0 true", "0 false", "0 false", "0 true", "0 true", "2 true", "0 false", "1 true", "0 true"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// What is behind a reason is for the log: paths of the engine, stacks of the app.
func TestReasonsHideWhatIsBehindThem(t *testing.T) {
	h := &Handler{Name: "x", refusals: newRefusals()}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r = r.WithContext(context.WithValue(r.Context(), caddy.ReplacerCtxKey, caddy.NewReplacer())) // as Caddy has it
	for _, reason := range []error{room.ErrUnavailable, room.ErrFailed, room.ErrForbidden} {
		wrapped, _ := errors.AsType[caddyhttp.HandlerError](h.refuseVisitor(httptest.NewRecorder(), fmt.Errorf("%w: open /var/lib/secret", reason)))
		told, ok := errors.AsType[caddyhttp.HandlerError](h.refused(r, wrapped))
		if !ok || told.Err != reason || strings.Contains(told.Error(), "secret") {
			t.Errorf("clients are told %v", told)
		}
	}
}
