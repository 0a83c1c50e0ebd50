package caddyws

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/gorilla/websocket"
)

func TestAppsAnswer(t *testing.T) {
	s := start(t, `:PORT {
		websocket /echo echo
		websocket /once {
			app echo {
				once
			}
		}
		websocket /lowercase lowercase
		websocket /chat broadcast "Message: {message}"
		websocket /sum sum
		websocket /greeting {
			app sum {
				greet
			}
		}
	}`)
	s.dial("/echo").ask("Hello", "Hello")
	once := s.dial("/once")
	once.ask("Hello", "Hello")
	once.expectClose(websocket.CloseNormalClosure)
	s.dial("/lowercase").ask("ÀÉÎ", "àéî")
	a := s.dial("/chat")
	a.ask("hello", "Message: hello")
	b := s.dial("/chat")
	b.ask("hi", "Message: hi")
	a.expect("Message: hi")
	x := s.dial("/sum")
	x.ask("1.5", "1.5")
	y := s.dial("/sum")
	y.ask("-2", "-0.5")
	x.ask("1", "-0.5", "0.5")
	y.expect("0.5")
	s.dial("/greeting").expect("0")
}

// Who has seen the 101 is in the room: nothing that is published from then on
// passes him by.
func TestMemberFromTheHandshakeOn(t *testing.T) {
	s := start(t, ":PORT {\n websocket broadcast\n}")
	for i := range 200 {
		path := "/" + strconv.Itoa(i)
		listener, speaker := s.dial(path), s.dial(path)
		speaker.send("Hello")
		listener.expect("Hello")
		listener.Close()
		speaker.Close()
	}
}

// The article's client: send a count, print the total, go.
func TestTotalIsKeptBetweenClients(t *testing.T) {
	s := start(t, ":PORT {\n websocket sum\n}")
	first := s.dial("/count")
	first.ask("1", "1")
	first.Close()
	s.dial("/count").ask("3", "4")
}

// combinations returns every subset of n handlers as bits.
func combinations(n int) (all []int) {
	for mask := range 1 << n {
		all = append(all, mask)
	}
	return all
}

// Handlers in front wrap the ResponseWriter, each in its way. None of them, and
// no combination, may keep a client out, and each does what it is there for.
func TestWorksBehindEveryHandler(t *testing.T) {
	handlers := []string{
		"encode",
		"templates",
		"intercept {\n @broken status 5xx\n handle_response @broken {\n respond intercepted\n }\n }",
		"header X-Set-By header\n header -Server",
	}
	const headerBit = 3
	var routes strings.Builder
	for _, mask := range combinations(len(handlers)) {
		fmt.Fprintf(&routes, "handle /%d {\n", mask)
		for i, handler := range handlers {
			if mask&(1<<i) != 0 {
				routes.WriteString(handler + "\n")
			}
		}
		routes.WriteString("websocket echo\n}\n")
	}
	for name, server := range map[string]struct{ global, site string }{
		"bare":             {"", ""},
		"log":              {"", "log"},
		"metrics":          {"metrics", ""},
		"log and metrics":  {"metrics", "log"},
		"metrics per host": {"metrics {\n per_host\n}", "log"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, "GLOBAL "+server.global+" END\n:PORT {\n"+server.site+"\nhandle /metrics {\n metrics\n}\n"+routes.String()+"}")
			for _, mask := range combinations(len(handlers)) {
				c := s.dial("/" + strconv.Itoa(mask))
				c.ask("Hello", "Hello")
				c.Close()
				want, server := "", "Caddy"
				if mask&(1<<headerBit) != 0 {
					want, server = "header", ""
				}
				if header := c.answer.Header; header.Get("X-Set-By") != want || header.Get("Server") != server {
					t.Errorf("handlers %04b: the 101 has %v", mask, header)
				}
			}
			if server.site == "log" {
				logged.waitAll(t, "101s", 1<<len(handlers), isAccess(http.StatusSwitchingProtocols))
				all, _ := logged.snapshot()
				if wrong := find(t, all, func(e entry) bool {
					return e["msg"] == "handled request" && e["status"] != float64(http.StatusSwitchingProtocols)
				}); wrong != nil {
					t.Errorf("the access log has %v", wrong)
				}
			}
			if server.global != "" && server.site == "log" { // the log line comes after the metric
				checkMetrics(t, s)
			}
		})
	}
}

func checkMetrics(t *testing.T, s *server) {
	_, text := s.raw("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	counted := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "caddy_http_request_duration_seconds_count") {
			counted = counted || strings.Contains(line, `code="101"`)
			if !strings.Contains(line, `code="101"`) {
				t.Errorf("metrics say %s", line)
			}
		}
	}
	if !counted {
		t.Errorf("no metric says 101:\n%s", text)
	}
}

// Nothing may be before a handshake's headers but the request line; each entry
// changes one thing in a good one.
const goodHandshake = "GET /%s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n"

func TestBadHandshakes(t *testing.T) {
	s := start(t, `:PORT {
		websocket /echo echo
		websocket /off {
			app echo
			http off
		}
		route /pass {
			websocket echo {
				http pass
			}
			respond "somebody else"
		}
		websocket /named {
			app echo
			room {query.room}
		}
		websocket /guarded test_panic
		handle_errors {
			header X-Handled yes
			respond "{err.status_code} {err.status_text} {err.message}"
		}
	}`)
	for name, test := range map[string]struct {
		path, old, new string
		status         int
		header         string // one that must be there
	}{
		"good":                       {"echo", "", "", 101, "Sec-Websocket-Accept"},
		"good, http off":             {"off", "", "", 101, ""},
		"good, http pass":            {"pass", "", "", 101, ""},
		"no key":                     {"echo", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", 400, ""},
		"malformed key":              {"echo", "dGhlIHNhbXBsZSBub25jZQ==", "short", 400, ""},
		"no connection":              {"echo", "Connection: Upgrade\r\n", "", 400, ""},
		"bad connection":             {"echo", "Connection: Upgrade", "Connection: keep-alive", 400, ""},
		"no version":                 {"echo", "Sec-WebSocket-Version: 13\r\n", "", 400, "Sec-Websocket-Version"},
		"another version":            {"echo", "Version: 13", "Version: 8", 426, "Sec-Websocket-Version"},
		"POST":                       {"echo", "GET", "POST", 405, "Allow"},
		"a body":                     {"echo", "\r\n\r\n", "\r\nContent-Length: 1\r\n\r\nx", 400, ""},
		"another site's page":        {"echo", "Version: 13", "Version: 13\r\nOrigin: https://evil.example", 403, ""},
		"sandboxed page":             {"echo", "Version: 13", "Version: 13\r\nOrigin: null", 403, ""},
		"two origins":                {"echo", "Version: 13", "Version: 13\r\nOrigin: http://localhost\r\nOrigin: http://localhost", 403, ""},
		"own page":                   {"echo", "Version: 13", "Version: 13\r\nOrigin: http://localhost", 101, ""},
		"another site, no origin":    {"echo", "Version: 13", "Version: 13\r\nSec-Fetch-Site: cross-site", 403, ""},
		"room without a name":        {"named", "", "", 400, ""},
		"room with a name":           {"named?room=x", "", "", 101, ""},
		"room with a bad name":       {"named?room=%0a", "", "", 400, ""},
		"app refuses":                {"guarded?refuse", "", "", 403, ""},
		"no upgrade, stateless":      {"echo", "Upgrade: websocket\r\n", "", 426, "Upgrade"},
		"no upgrade, http off":       {"off", "Upgrade: websocket\r\n", "", 426, "Upgrade"},
		"POST, http off":             {"off", "GET /off HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", "POST /off HTTP/1.1\r\nHost: localhost\r\n", 426, "Upgrade"},
		"DELETE":                     {"echo", "GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", "DELETE /echo HTTP/1.1\r\nHost: localhost\r\n", 405, "Allow"},
		"CONNECT is not over h1":     {"echo", "GET /echo", "CONNECT /echo", 501, ""},
		"bad version, bad origin":    {"echo", "Version: 13", "Version: 8\r\nOrigin: null", 426, "Sec-Websocket-Version"},
		"no upgrade, another site's": {"echo", "Upgrade: websocket\r\n", "Origin: https://evil.example\r\n", 403, ""},
	} {
		t.Run(name, func(t *testing.T) {
			request := fmt.Sprintf(goodHandshake, test.path, "")
			if !strings.Contains(request, test.old) {
				t.Fatalf("%q is not in the request", test.old)
			}
			answer, body := s.raw(strings.Replace(request, test.old, test.new, 1))
			if answer.StatusCode != test.status || test.header != "" && answer.Header.Get(test.header) == "" {
				t.Errorf("got %s, %v, %q", answer.Status, answer.Header, body)
			}
			if test.status >= 400 && (answer.Header.Get("X-Handled") != "yes" || !strings.HasPrefix(body, strconv.Itoa(test.status)+" ")) {
				t.Errorf("handle_errors was passed by: %v, %q", answer.Header, body)
			}
			if test.header == "Sec-Websocket-Version" && answer.Header.Get(test.header) != "13" {
				t.Errorf("version %q is offered", answer.Header.Get(test.header))
			}
		})
	}
	answer, body := s.raw("GET /pass HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	if answer.StatusCode != http.StatusOK || body != "somebody else" {
		t.Errorf("http pass: %s, %q", answer.Status, body)
	}
}

// A handler that hides the connection makes an upgrade impossible: that is an
// error like any other, and the room forgets who could not come. (If it does not,
// the hub waits for him at the end and its goroutine is found.)
func TestHiddenConnection(t *testing.T) {
	s := start(t, ":PORT {\n route {\n test_hiding\n websocket sum\n }\n}")
	if answer, _ := s.raw(fmt.Sprintf(goodHandshake, "", "")); answer.StatusCode != http.StatusNotImplemented {
		t.Errorf("got %s", answer.Status)
	}
}

// What comes behind the handshake in the same segment is not lost.
func TestEarlyMessagesArrive(t *testing.T) {
	s := start(t, ":PORT {\n encode\n websocket echo {\n http off\n }\n}")
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	hello := "\x81\x85\x00\x00\x00\x00Hello" // masked with zeros
	bye := "\x88\x82\x00\x00\x00\x00\x03\xe8"
	if _, err := io.WriteString(conn, fmt.Sprintf(goodHandshake, "echo", "")+hello+hello+bye); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(conn)
	if err != nil || !strings.HasSuffix(string(text), "\r\n\r\n\x81\x05Hello\x81\x05Hello\x88\x02\x03\xe8") {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestSecureWebSocket(t *testing.T) {
	s := start(t, `https://localhost:TLSPORT {
		tls CERTIFICATE CERTIFICATE
		websocket sum
	}`)
	dialer := s.dialer(s.TLSPort)
	dialer.TLSClientConfig, dialer.Subprotocols = s.roots(), []string{"other", "json"}
	url := "wss://localhost:" + strconv.Itoa(s.TLSPort) + "/sum"
	conn, answer, err := dialer.Dial(url, http.Header{"Origin": {strings.Replace(strings.TrimSuffix(url, "/sum"), "wss", "https", 1)}})
	if err != nil {
		t.Fatal(err, answer)
	}
	c := s.adopt(conn, answer)
	if c.Subprotocol() != "json" {
		t.Errorf("subprotocol %q", c.Subprotocol())
	}
	type said struct {
		Type, Epoch string
		Version     int
		Total       json.Number
	}
	var state, reply said
	if err := c.ReadJSON(&state); err != nil || state.Type != "state" || state.Version != 0 || state.Total != "0" || len(state.Epoch) != 8 {
		t.Errorf("joining: %+v, %v", state, err)
	}
	c.send("1.50")
	if err := c.ReadJSON(&reply); err != nil || reply != (said{"reply", state.Epoch, 1, "1.5"}) {
		t.Errorf("reply: %+v, %v", reply, err)
	}
	if _, answer, err := dialer.Dial(url, http.Header{"Origin": {"http://localhost:" + strconv.Itoa(s.TLSPort)}}); err == nil || answer.StatusCode != http.StatusForbidden {
		t.Errorf("a page that came in the clear: %v", err)
	}
}

// An answer over HTTP/2 has no header that HTTP/2 forbids (RFC 9113, section
// 8.2.2): clients take such an answer for broken.
func TestRefusalOverHTTP2(t *testing.T) {
	s := start(t, "https://localhost:TLSPORT {\n tls CERTIFICATE CERTIFICATE\n websocket echo\n}")
	transport := &http.Transport{TLSClientConfig: s.roots(), ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, Timeout: patience}
	answer, err := client.Get("https://localhost:" + strconv.Itoa(s.TLSPort) + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.ProtoMajor != 2 || answer.StatusCode != http.StatusUpgradeRequired {
		t.Fatalf("got %s over %s", answer.Status, answer.Proto)
	}
	for _, name := range []string{"Upgrade", "Connection"} {
		if value, ok := answer.Header[name]; ok {
			t.Errorf("the answer has %s: %q", name, value)
		}
	}
}

// A URL is a room: neither a site nor a mount shares one by accident, and a
// template shares one on purpose.
func TestRooms(t *testing.T) {
	s := start(t, `http://a.example:PORT, http://b.example:PORT {
		handle_path /v1/* {
			websocket /sum sum
		}
		handle_path /v2/* {
			websocket /sum sum
		}
		@shared path /shared /also
		websocket @shared sum {
			room "//a.example:PORT/v1/sum"
		}
		websocket /lobby sum {
			room {query.room}
		}
	}
	http://:PORT {
		websocket sum
	}`)
	port := ":" + strconv.Itoa(s.Port)
	s.dial("a.example"+port+"/v1/sum").ask("1", "1")
	s.dial("a.example"+port+"/v1//sum?x=1").ask("1", "2")
	s.dial("A.EXAMPLE." + port + "/v1/sum") // may be another site to Caddy, but not another room
	for i, url := range []string{"/v2/sum", "/v1/SUM"} {
		s.dial("a.example"+port+url).ask("10", "10")
		s.dial("b.example"+port+url).ask(strconv.Itoa(i), strconv.Itoa(i))
	}
	s.dial("b.example"+port+"/v1/sum").ask("100", "100")
	s.dial("a.example"+port+"/shared").ask("5", "5")
	s.dial("b.example"+port+"/also?room=no").ask("5", "10")
	s.dial("a.example"+port+"/lobby?room=x").ask("7", "7")
	s.dial("b.example"+port+"/lobby?room=x").ask("7", "14")
	s.dial("b.example"+port+"/lobby?room=X").ask("7", "7")
	s.dial("c.example"+port+"/a").ask("1", "1")
	s.dial("d.example"+port+"/a").ask("2", "2")
}

// An app is told a room's name, and the log has it, as a person would write it.
func TestRoomNameIsAsPeopleWriteIt(t *testing.T) {
	s := start(t, `http://a.example:PORT, http://[::1]:PORT {
		websocket /chat/* test_report
		websocket /lobby test_report {
			room lobby
		}
	}`)
	for url, want := range map[string]string{
		fmt.Sprintf("A.example:%d/chat//b?x=1", s.Port): fmt.Sprintf("a.example:%d/chat/b", s.Port),
		fmt.Sprintf("[::1]:%d/chat/c", s.Port):          fmt.Sprintf("[::1]:%d/chat/c", s.Port),
		fmt.Sprintf("a.example:%d/lobby", s.Port):       "lobby",
	} {
		c := s.dial(url)
		var got report
		if err := c.ReadJSON(&got); err != nil || got.Room != want {
			t.Errorf("%s: the app is told %q, %v, want %q", url, got.Room, err, want)
		}
		c.Close()
		logged.wait(t, "the end in "+want, func(e entry) bool { return e["msg"] == "connection ended" && e["room"] == want })
	}
}

// What the app is told of a client is what Caddy knows.
func TestVisitor(t *testing.T) {
	// The password is "x".
	s := start(t, `GLOBAL
	servers {
		trusted_proxies static 127.0.0.0/8
	}
	END
	:PORT {
		basic_auth /private {
			gopher $2a$04$Z64V.jbkiRv01Cg3eE.ccer12MIeTouGgXFAvUGXv5Jffea5Y2TXO
		}
		request_header X-Test seen
		websocket test_report {
			room "{http.auth.user.id}@{path}"
		}
	}`)
	for _, test := range []struct {
		path    string
		headers []string
		want    report
	}{
		{"/open?q=1", nil, report{Room: "@/open", ClientIP: "127.0.0.1", Query: "1", Header: "seen"}},
		{"/open", []string{"X-Forwarded-For: 192.0.2.7", "Sec-WebSocket-Protocol: v3.test, v1.test, v2.test"}, report{Room: "@/open", ClientIP: "192.0.2.7", Subprotocol: "v1.test", Header: "seen"}},
		{"/private", []string{"Authorization: Basic Z29waGVyOng="}, report{Room: "gopher@/private", ClientIP: "127.0.0.1", User: "gopher", Header: "seen"}},
	} {
		c := s.dial(test.path, test.headers...)
		var got report
		if err := c.ReadJSON(&got); err != nil || got != test.want {
			t.Errorf("got %+v, %v, want %+v", got, err, test.want)
		}
		if c.Subprotocol() != test.want.Subprotocol {
			t.Errorf("subprotocol %q is agreed on", c.Subprotocol())
		}
	}
	if _, answer, err := s.tryDial("/private"); err == nil || answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a password: %v", err)
	}
}

// A panic ends its own connection with 1011, whatever goroutine it is on.
func TestPanicInAnApp(t *testing.T) {
	for _, app := range []string{"test_panic", "test_panic_inline"} {
		t.Run(app, func(t *testing.T) {
			s := start(t, ":PORT {\n websocket "+app+"\n}")
			other := s.dial("/")
			other.ask("first", "first")
			c := s.dial("/")
			for _, message := range []string{"panic", "error"} {
				c.ask("before", "before")
				other.expect("before")
				c.send(message)
				c.expectClose(websocket.CloseInternalServerErr)
				e := logged.wait(t, "the "+message, func(e entry) bool {
					text, _ := e["error"].(string)
					return e["level"] == "error" && strings.Contains(text, "the app's\nown")
				})
				if text := e["error"].(string); message == "panic" && (!strings.Contains(text, "testapp_test.go") || e["client_ip"] != "127.0.0.1") {
					t.Errorf("the log line lacks the stack or the client: %v", e)
				}
				other.ask("after", "after")
				c = s.dial("/")
				logged.reset()
			}
			if answer, body := s.raw(fmt.Sprintf(goodHandshake, "?panic", "")); answer.StatusCode < 500 || body != "" {
				t.Errorf("a panic at the door is answered with %s, %q", answer.Status, body)
			}
			if answer, body := s.raw(fmt.Sprintf(goodHandshake, "?refuse", "")); answer.StatusCode != http.StatusForbidden || body != "" {
				t.Errorf("who is refused is told %s, %q", answer.Status, body)
			}
			c.ask("still there", "still there")
			other.expect("still there")
		})
	}
}

// Every log line is one JSON object that says what it is meant to, whatever a
// client puts into its path, its headers and its closing words.
func TestClientsCannotForgeLogLines(t *testing.T) {
	s := start(t, ":PORT {\n log\n websocket sum\n}")
	forged := "\"}\n{\"level\":\"forged\",\"msg\":\"forged\"}\u001b[31m\r\n"
	room := `/"},{"level":"forged"`
	c := s.dial("/%22%7D,%7B%22level%22:%22forged%22", "X-Forwarded-For: "+`"},{"level":"forged"`)
	c.ask("1", "1")
	c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(4000, forged))
	c.expectClose(4000)
	e := logged.wait(t, "the end", isMessage("connection ended"))
	if name, _ := e["room"].(string); !strings.HasSuffix(name, room) || e["reason"] != forged || e["code"] != float64(4000) {
		t.Errorf("the log says %v", e)
	}
	for _, path := range []string{"%0a%7B%22level%22:%22forged%22%7D", "%1b[31m", "%ff"} {
		if answer, _ := s.raw(fmt.Sprintf(goodHandshake, path, "")); answer.StatusCode != http.StatusBadRequest {
			t.Errorf("path %s: %s", path, answer.Status)
		}
	}
	logged.waitAll(t, "the refusals", 3, isAccess(http.StatusBadRequest))
	all, _ := logged.snapshot()
	if found := find(t, all, func(e entry) bool { return e["level"] == "forged" }); found != nil {
		t.Errorf("forged: %v", found)
	}
	for _, line := range all {
		if strings.ContainsAny(line, "\n\r\x1b") {
			t.Errorf("a line has control characters: %q", line)
		}
	}
}

// The access log and the line about the end name the same connection and user.
func TestLogsNameTheConnection(t *testing.T) {
	s := start(t, ":PORT {\n log\n"+withUser+"websocket broadcast\n}")
	alice := s.dial("/chat", "Remote-User: alice")
	access := logged.wait(t, "the handshake", isAccess(http.StatusSwitchingProtocols))
	events := s.listen("/chat")
	alice.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""))
	alice.expectClose(1000)
	end := logged.wait(t, "the end", isMessage("connection ended"))
	if access["user_id"] != "alice" || end["user"] != "alice" || end["id"] == nil || access["connection_id"] != end["id"] {
		t.Errorf("%v and %v", access, end)
	}
	events.Body.Close()
	access = logged.wait(t, "the stream", isAccess(http.StatusOK))
	end = logged.waitAll(t, "both ends", 2, isMessage("connection ended"))[1]
	if _, named := end["user"]; named || access["connection_id"] != end["id"] {
		t.Errorf("%v and %v", access, end)
	}
}

// With Caddy's tracing a handshake has a span of its own, which the access log names.
func TestTracingNamesTheHandshake(t *testing.T) {
	s := start(t, ":PORT {\n log\n tracing\n websocket sum\n}")
	one, two := s.dial("/sum"), s.dial("/sum")
	one.send("6")
	one.expect("6")
	two.expect("6")
	both := logged.waitAll(t, "the handshakes", 2, isAccess(http.StatusSwitchingProtocols))
	for _, access := range both {
		if access["traceID"] == nil || access["connection_id"] == nil {
			t.Errorf("the access log has %v", access)
		}
	}
	if both[0]["spanID"] == both[1]["spanID"] {
		t.Errorf("both have the span %v", both[0]["spanID"])
	}
}

// The end of a connection is one log line with what was said.
func TestEndIsLogged(t *testing.T) {
	s := start(t, ":PORT {\n websocket /chat echo {\n name talk\n }\n}")
	c := s.dial("/chat")
	c.ask("Hello", "Hello")
	c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(1000, "bye"))
	c.expectClose(1000)
	e := logged.wait(t, "the end", isMessage("connection ended"))
	for field, want := range map[string]any{
		"level": "info", "route": "talk", "client_ip": "127.0.0.1", "code": 1000.0, "reason": "bye", "by_client": true,
		"messages_in": 1.0, "messages_out": 1.0,
	} {
		if e[field] != want {
			t.Errorf("%s is %v, want %v", field, e[field], want)
		}
	}
	if name, _ := e["logger"].(string); name != "http.handlers.websocket" {
		t.Errorf("logger %q", name)
	}
}

// The admin API takes the JSON form, and refuses what is unknown in it.
func TestJSONThroughTheAdminAPI(t *testing.T) {
	s := start(t, ":PORT {\n websocket echo\n}")
	config := func(handler, engine string) string {
		return strings.NewReplacer("DIR", s.dir, "PORT", strconv.Itoa(s.Port), "HANDLER", handler, "ENGINE", engine).Replace(`{
			"admin": {"listen": "unix/DIR/admin.sock", "config": {"persist": false}},
			"logging": {"logs": {"default": {"writer": {"output": "test_lines"}, "encoder": {"format": "json"}}}},
			"apps": {
				"websocket": {ENGINE},
				"http": {"servers": {"s": {"listen": [":PORT"], "routes": [{"handle": [{"handler": "websocket", HANDLER}]}]}}}
			}
		}`)
	}
	load := func(handler, engine string) (int, string) {
		return s.admin(http.MethodPost, "/load", "application/json", config(handler, engine))
	}
	full := `"app": {"name": "sum", "greet": true}, "name": "total", "room": "lobby", "origins": ["*"], "http": "off",
		"max_message_size": 65536, "max_queue": 1048576, "ping_interval": "25s", "ping_timeout": "10s", "write_timeout": "10s"`
	if status, body := load(full, `"engine": {"name": "memory"}`); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	c := s.dial("/anywhere", "Origin: https://any.example")
	c.expect("0")
	for _, test := range []struct{ handler, engine, reason string }{
		{`"app": {"name": "echo"}, "pages": true`, "", "pages"},
		{`"app": {"name": "echo", "twice": true}`, "", "twice"},
		{`"app": {"name": "chat"}`, "", "unknown module: http.websocket.apps.chat"},
		{`"app": {"greet": true}`, "", "name"},
		{`"app": "echo"`, "", "app"},
		{`"name": "x"`, "", "no app is given, expected one of broadcast, echo, lowercase, meter, sum"},
		{`"app": {"name": "test_not_an_app"}`, "", "is not an app"},
		{`"app": {"name": "test_mute"}`, "", "asking the app for its subprotocols: panic: speechless"},
		{`"app": {"name": "test_nameless"}`, "", "asking the app for its alerts: panic: nameless"},
		{`"app": {"name": "echo"}, "origins": ["*.example.com"]`, "", `*.example.com`},
		{`"app": {"name": "echo"}, "origins": ["*.example.com", "null"]`, "", `route \"echo\": `},
		{`"app": {"name": "echo"}, "write": []`, "", "write has a set without matchers, or none: without the option everybody may write"},
		{`"app": {"name": "echo"}, "write": [{"path": ["/a"]}, {}]`, "", "write has a set without matchers, or none"},
		{`"app": {"name": "echo"}, "write": {"path": ["/a"]}`, "", "write"},
		{`"app": {"name": "echo"}, "write": [{"pfad": ["/a"]}]`, "", "loading matchers of write: "},
		{`"app": {"name": "echo"}, "write": [{"remote_ip": {"ranges": ["nowhere"]}}]`, "", "loading matchers of write: "},
		{`"app": {"name": "echo"}, "expires": "tomorrow"`, "", `expires is \"tomorrow\", expected one placeholder such as {http.auth.user.expires}`},
		{`"app": {"name": "echo"}, "expires": "{}"`, "", `expires is \"{}\", expected one placeholder`},
		{`"app": {"name": "echo"}, "expires": "{a}{b}"`, "", `expires is \"{a}{b}\", expected one placeholder`},
		{`"app": {"name": "echo"}, "expires": "{{a}}"`, "", `expires is \"{{a}}\", expected one placeholder`},
		{`"app": {"name": "echo"}, "expires": "a}"`, "", `expires is \"a}\", expected one placeholder`},
		{`"app": {"name": "echo"}, "expires": 1`, "", "expires"},
		{`"app": {"name": "echo"}, "expires_optional": true`, "", "expires_optional is of no use without expires"},
		{`"app": {"name": "echo"}, "http": "maybe"`, "", `route \"echo\": http is \"maybe\", expected on, off, pass`},
		{`"app": {"name": "echo"}, "max_message_size": -1`, "", "max_message_size is -1, expected 1 to 1073741824 bytes"},
		{`"app": {"name": "echo"}, "compression_takeover": true`, "", "compression_takeover needs a compression_level from 1 to 9"},
		{`"app": {"name": "echo"}, "max_queue": 1023`, "", "max_queue is 1023, expected 1024 to 1073741824 bytes"},
		{`"app": {"name": "echo"}, "ping_interval": "9ms"`, "", "ping_interval is 9ms, expected 10ms to 24h"},
		{`"app": {"name": "echo"}, "ping_interval": -2`, "", "ping_interval is -2ns"},
		{`"app": {"name": "echo"}, "page": {}, "http": "off"`, "", `route \"echo\": page is of no use with http off`},
		{`"app": {"name": "echo"}, "page": true`, "", "page of type caddyws.Page"},
		{`"app": {"name": "echo"}, "page": {"titel": "x"}`, "", "titel"},
		{`"app": {"name": "echo"}, "page": {"title": "` + strings.Repeat("ä", 101) + `"}`, "", "the title of page has 101 characters, expected up to 100"},
		{`"app": {"name": "echo"}, "page": {"unit": "` + strings.Repeat("ä", 21) + `"}`, "", "the unit of page has 21 characters, expected up to 20"},
		{`"app": {"name": "echo"}, "page": {"title": "a\nb"}`, "", "the title of page has a control character"},
		{`"app": {"name": "echo"}, "page": {"unit": "\u0000"}`, "", "the unit of page has a control character"},
		{`"app": {"name": "echo"}, "page": {"file": "/does/not/exist.html"}`, "", `route \"echo\": page file: stat /does/not/exist.html: no such file or directory`},
		{`"app": {"name": "echo"}, "page": {"file": "/"}`, "", "page file /: it is no regular file"},
		{`"app": {"name": "echo"}, "page": {"file": "/etc/hostname", "unit": "x"}`, "", "title and unit of page are of no use with a file"},
		{`"app": {"name": "test_page"}, "page": {"title": "x"}`, "", "title and unit of page are of no use with the app test_page, which brings a page of its own"},
		{`"app": {"name": "test_page", "html": "panic"}, "page": {}`, "", "asking the app for its page: panic: no page"},
		{`"app": {"name": "test_page", "html": ""}, "name": "own", "page": {}`, "", `route \"own\": the page of the app: it is empty`},
		{`"app": {"name": "echo"}, "ping_timeout": -1`, "", "ping_timeout is -1ns"},
		{`"app": {"name": "echo"}, "write_timeout": "25h"`, "", "write_timeout is 25h0m0s"},
		{`"app": {"name": "echo"}, "max_queue": 1, "ping_timeout": "1ms"`, "", `bytes\nping_timeout is 1ms`}, // all at once
		{`"app": {"name": "echo"}`, `"engine": {"name": "redis"}`, "unknown module: websocket.engines.redis"},
		{`"app": {"name": "echo"}`, `"engine": {"name": "memory", "size": 1}`, "size"},
		{`"app": {"name": "echo"}`, `"engine": "memory"`, "engine"},
		{`"app": {"name": "echo"}`, `"drain": "61m"`, "drain is 1h1m0s, expected 10ms to 1h"},
		{`"app": {"name": "echo"}`, `"drain": -2`, "drain is -2ns"},
		{`"app": {"name": "echo"}`, `"max_connections": -1`, "max_connections is -1, expected 0 to 100000000"},
		{`"app": {"name": "echo"}`, `"max_rooms": -1`, "max_rooms is -1, expected 1 to 100000000"},
		{`"app": {"name": "echo"}`, `"max_stored_rooms": 100000001`, "max_stored_rooms is 100000001"},
		{`"app": {"name": "echo"}, "max_age": "1ms"`, "", "max_age is 1ms, expected 10ms to 8784h"},
		{`"app": {"name": "echo"}, "forget": -1`, "", "forget is -1ns"},
		{`"app": {"name": "broadcast"}, "history": -1`, "", "history is -1, expected 1 to 10000 messages"},
		{`"app": {"name": "broadcast"}, "history": 10001`, "", "history is 10001, expected 1 to 10000 messages"},
		{`"app": {"name": "broadcast"}, "history": 10, "history_age": "9000h"`, "", "history_age is 9000h0m0s, expected 10ms to 8784h, or 0 (in a Caddyfile off) for none"},
		{`"app": {"name": "broadcast"}, "history": 10, "history_age": -1`, "", "history_age is -1ns"},
		{`"app": {"name": "broadcast"}, "history": 10, "history_replay": 11`, "", "history_replay is 11, expected 1 to 10"},
		{`"app": {"name": "broadcast"}, "history": 10, "history_replay": -2`, "", "history_replay is -2"},
		{`"app": {"name": "broadcast"}, "history_age": "1h"`, "", "history_age and history_replay need a history from 1 to 10000 messages"},
		{`"app": {"name": "broadcast"}, "history_replay": 5`, "", "history_age and history_replay need a history"},
		{`"app": {"name": "sum"}, "history": 10`, "", "history is for apps that publish messages; sum keeps a state"},
		{`"app": {"name": "echo"}, "presence_grace": "10s"`, "", "presence_grace is of no use without presence"},
		{`"app": {"name": "echo"}, "presence": true, "presence_grace": "9ms"`, "", "presence_grace is 9ms, expected 10ms to 1h"},
		{`"app": {"name": "echo"}, "presence": true, "presence_grace": "61m"`, "", "presence_grace is 1h1m0s, expected 10ms to 1h"},
		{`"app": {"name": "echo"}, "presence": true, "presence_grace": -1`, "", "presence_grace is -1ns"},
		{`"app": {"name": "echo"}, "presence": "10s"`, "", "presence"},
		{`"app": {"name": "echo"}, "history": 10`, "", "history is for apps that publish messages; echo answers only the sender"},
		{`"app": {"name": "echo"}, "max_connections_per_ip": -1`, "", "max_connections_per_ip is -1"},
		{`"app": {"name": "echo"}, "close_on_reload": 1`, "", "close_on_reload"},
	} {
		if status, body := load(test.handler, test.engine); status != http.StatusBadRequest || !strings.Contains(body, test.reason) {
			t.Errorf("%s %s: %d %s", test.handler, test.engine, status, body)
		}
		c.ask("0", "0") // and is no silent client
	}
	if n := references(); n != 1 {
		t.Errorf("%d configurations use the hub", n)
	}
	c.ask("1", "1")
	s.dial("/elsewhere").expect("1")
}

// total is a Caddyfile whose route keeps a total and whose chat has a format.
func total(format string) string {
	return ":PORT {\n websocket /sum sum\n websocket /chat broadcast \"" + format + "\"\n}"
}

func TestReloadKeepsConnectionsAndTotals(t *testing.T) {
	s := start(t, total("old {message}"))
	sum, chat := s.dial("/sum"), s.dial("/chat")
	sum.ask("5", "5")
	chat.ask("x", "old x")
	for i := range 3 {
		s.load(total("new " + strconv.Itoa(i) + " {message}"))
		if n := references(); n != 1 {
			t.Fatalf("%d configurations use the hub", n)
		}
	}
	other := s.dial("/sum")
	other.ask("1", "6")
	sum.expect("6")
	sum.ask("1", "7")
	other.expect("7")
	next := s.dial("/chat")
	next.ask("y", "new 2 y") // in the same room
	chat.ask("z", "new 2 y", "new 2 z")
}

// Connections and totals outlive also what goes wrong, and the running
// configuration goes on.
func TestFailedReloadsChangeNothing(t *testing.T) {
	s := start(t, total("{message}"))
	sum, chat := s.dial("/sum"), s.dial("/chat")
	sum.ask("5", "5")
	occupied, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer occupied.Close()
	good := string(s.json(total("new {message}")))
	edit := func(part, by string) []byte {
		if !strings.Contains(good, part) {
			t.Fatalf("%q is not in %s", part, good)
		}
		return []byte(strings.Replace(good, part, by, 1))
	}
	for i, test := range []struct {
		name   string
		config []byte
		reason string
	}{
		{"bad JSON", []byte(good[:len(good)/2]), "JSON"},
		{"unknown field", edit(`"handler":"websocket"`, `"handler":"websocket","pages":true`), "pages"},
		{"Validate fails", edit(`"handler":"websocket"`, `"handler":"websocket","max_queue":1`), "max_queue is 1"},
		{"no listener", edit(`":`+strconv.Itoa(s.Port)+`"`, `":`+strconv.Itoa(s.Port)+`","`+occupied.Addr().String()+`"`), "address already in use"},
		{"app unknown", edit(`"name":"sum"`, `"name":"summ"`), "apps.summ"},
		{"app misconfigured", edit(`"name":"sum"`, `"name":"sum","every":1`), "every"},
		{"app is none", edit(`"name":"sum"`, `"name":"test_not_an_app"`), "is not an app"},
		{"no app", edit(`"app":{"name":"sum"},`, ``), "no app is given"},
		{"origins", edit(`"handler":"websocket"`, `"handler":"websocket","origins":["*.example"]`), "*.example"},
		{"engine unknown", edit(`"apps":{`, `"apps":{"websocket":{"engine":{"name":"redis"}},`), "redis"},
		{"engine misconfigured", edit(`"apps":{`, `"apps":{"websocket":{"engine":{"name":"memory","x":1}},`), "x"},
		{"settings unknown", edit(`"apps":{`, `"apps":{"websocket":{"x":1},`), "x"},
		{"another handler fails", s.json(":PORT {\n route {\n websocket /sum sum\n test_failing\n }\n}"), "somebody else's failure"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s.t, sum.t, chat.t = t, t, t
			s.loadFails(test.config, test.reason)
			if n := references(); n != 1 {
				t.Errorf("%d configurations use the hub", n)
			}
			want := strconv.Itoa(6 + i)
			sum.ask("1", want)
			chat.ask("still {here}", "still {here}")
			c, _, err := s.tryDial("/sum")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.ask("0", want)
			sum.expect(want)
		})
	}
	s.t = t
}

// `caddy validate` provisions and cleans up a configuration without starting it.
func TestValidateDropsNothing(t *testing.T) {
	s := start(t, total("{message}"))
	c := s.dial("/sum")
	c.ask("5", "5")
	for _, text := range []string{total("new {message}"), ":PORT {\n respond ok\n}"} {
		var config caddy.Config
		if err := json.Unmarshal(s.json(text), &config); err != nil {
			t.Fatal(err)
		}
		config.Admin, config.Logging = nil, nil
		if err := caddy.Validate(&config); err != nil {
			t.Fatal(err)
		}
		if n := references(); n != 1 {
			t.Fatalf("%d configurations use the hub", n)
		}
	}
	c.ask("1", "6")
}

// A configuration that was never the running one leaves nothing behind.
func TestValidateLeavesNothing(t *testing.T) {
	s := start(t, ":PORT {\n respond ok\n}")
	var config caddy.Config
	if err := json.Unmarshal(s.json(total("{message}")), &config); err != nil {
		t.Fatal(err)
	}
	config.Admin, config.Logging = nil, nil
	if err := caddy.Validate(&config); err != nil {
		t.Fatal(err)
	}
	if references() > 0 {
		t.Error("there is a hub")
	}
}

// The hub ends with the last configuration that has a websocket route.
func TestLastConfigurationClosesMembers(t *testing.T) {
	s := start(t, total("{message}"))
	sum, chat := s.dial("/sum"), s.dial("/chat")
	sum.ask("5", "5")
	s.reloading = true
	done := make(chan error, 1)
	go func() { done <- caddy.Load(s.json(":PORT {\n respond gone\n}"), true) }()
	sum.expectClose(websocket.CloseGoingAway)
	chat.expectClose(websocket.CloseGoingAway)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if references() > 0 {
		t.Error("the hub is still there")
	}
	if _, answer, err := s.tryDial("/sum"); err == nil || answer == nil || answer.StatusCode != http.StatusOK {
		t.Errorf("the new configuration does not serve: %v", err)
	}
	s.load(total("{message}"))
	s.dial("/sum").ask("1", "6") // the file has not forgotten
}

// Two servers and many routes of one configuration share one hub.
func TestRoutesShareTheHub(t *testing.T) {
	s := start(t, `:PORT {
		websocket /a sum {
			room lobby
		}
		websocket /b sum {
			room lobby
		}
	}
	http://127.0.0.1:OTHERPORT {
		websocket /c sum {
			room lobby
		}
	}`)
	if n := references(); n != 1 {
		t.Errorf("%d references", n)
	}
	a := s.dial("/a")
	a.ask("1", "1")
	s.dial("/b").ask("1", "2")
	conn, answer, err := s.dialer(s.OtherPort).Dial("ws://127.0.0.1:"+strconv.Itoa(s.OtherPort)+"/c", nil)
	if err != nil {
		t.Fatal(err)
	}
	s.adopt(conn, answer).ask("1", "3")
	a.expect("2", "3")
}

func TestModulesAreRegistered(t *testing.T) {
	for _, id := range []string{
		"http.handlers.websocket", "websocket", "websocket.engines.memory", "websocket.engines.bolt", "websocket.engines.nats",
		"http.websocket.apps.echo", "http.websocket.apps.lowercase", "http.websocket.apps.broadcast", "http.websocket.apps.sum",
		"http.websocket.apps.meter",
	} {
		module, err := caddy.GetModule(id)
		if err != nil {
			t.Error(err)
			continue
		}
		if module.New() == module.New() && !strings.HasSuffix(id, "lowercase") && !strings.HasSuffix(id, "memory") { // all values of no size are one
			t.Errorf("%s shares one value", id)
		}
	}
	if !slices.Contains(caddy.Modules(), "http.handlers.websocket") {
		t.Error("the handler is not listed")
	}
}
