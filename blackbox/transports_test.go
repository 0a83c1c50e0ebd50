package blackbox

import (
	"context"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

const transportsConfig = `
(routes) {
	websocket /sum/* sum
	websocket /echo echo
	websocket /lowercase lowercase
	websocket /chat/* broadcast
	websocket /small {
		app echo
		max_message_size 16B
	}
	websocket /off/* {
		app sum
		http off
	}
	route /pass/* {
		websocket sum {
			http pass
		}
		respond "next handler"
	}
	websocket /named {
		app sum
		room {query.room}
	}
}
:PORT {
	import routes
}
localhost:TLSPORT {
	tls internal
	import routes
}`

var epochs = regexp.MustCompile(`"epoch":"[^"]{8}"`)

// masked replaces the epoch in a message, which is random.
func masked(text string) string { return epochs.ReplaceAllString(text, `"epoch":"E"`) }

const (
	wantsText   = "Accept: text/plain"
	wantsJSON   = "Accept: application/json"
	wantsEvents = "Accept: text/event-stream"
	asBinary    = "Content-Type: application/octet-stream"
)

// row is a request and what it is answered with.
type row struct {
	name, method, path string
	header             []string
	body               string

	status  int
	answer  string
	headers string // lines "Name: value"; "Name:" must not be there
}

// The headers of all answers of one kind.
const (
	stateHeaders  = "Content-Type: text/plain; charset=utf-8\nCache-Control: no-cache\nVary: Accept, Origin\nAccess-Control-Allow-Origin:"
	answerHeaders = "Content-Type: text/plain; charset=utf-8\nCache-Control: no-store\nVary: Accept, Origin\nETag:"
	upgradeNeeded = "Upgrade: websocket"
	allMethods    = "Allow: GET, HEAD, POST, OPTIONS"
)

// head begins a row.
func head(name, method, path string, header ...string) row {
	return row{name: name, method: method, path: path, header: header}
}

func (r row) with(body string) row { r.body = body; return r }

func (r row) is(status int, answer, headers string) row {
	r.status, r.answer, r.headers = status, answer, headers
	return r
}

// The table "Transports of one URL", but for WebSockets and event streams. Rooms
// below /sum/ have the total 6 and the version 1, except /sum/new.
var transports = []row{
	// GET shows the state.
	head("state", "GET", "/sum/a").is(200, "6", stateHeaders),
	head("state of a new room", "GET", "/sum/new").is(200, "0", stateHeaders),
	head("state, with a query", "GET", "/sum/a?x=y").is(200, "6", stateHeaders),
	head("state to anybody", "GET", "/sum/a", "Accept: */*").is(200, "6", stateHeaders),
	head("state to a browser", "GET", "/sum/a", "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8").is(200, "6", stateHeaders),
	head("state as JSON", "GET", "/sum/a", wantsJSON).is(200, `{"type":"state","epoch":"E","version":1,"total":6}`, "Content-Type: application/json\nCache-Control: no-cache\nVary: Accept, Origin"),
	head("JSON preferred", "GET", "/sum/a", "Accept: text/plain;q=0.5, application/json").is(200, `{"type":"state","epoch":"E","version":1,"total":6}`, "Content-Type: application/json"),
	head("text preferred", "GET", "/sum/a", "Accept: application/json;q=0.5, text/plain").is(200, "6", stateHeaders),
	head("any text", "GET", "/sum/a", "Accept: application/json;q=0.9, text/*").is(200, "6", stateHeaders),
	head("JSON ruled out", "GET", "/sum/a", "Accept: application/json;q=0, */*").is(200, "6", stateHeaders),
	head("events disliked", "GET", "/sum/a", "Accept: text/event-stream;q=0.1, */*").is(200, "6", stateHeaders),
	head("nothing that is there", "GET", "/sum/a", "Accept: image/png").is(406, "", "Vary: Accept, Origin"),
	head("text with its charset", "GET", "/sum/a", "Accept: text/plain; charset=utf-8").is(200, "6", stateHeaders),
	head("JSON with a charset", "GET", "/sum/a", "Accept: application/json; charset=utf-8").is(200, `{"type":"state","epoch":"E","version":1,"total":6}`, "Content-Type: application/json"),
	head("Accept on two lines", "GET", "/sum/a", "Accept: image/png", wantsJSON).is(200, `{"type":"state","epoch":"E","version":1,"total":6}`, "Content-Type: application/json"),
	head("empty Accept", "GET", "/sum/a", "Accept:").is(200, "6", stateHeaders),
	head("a tie", "GET", "/sum/a", "Accept: application/json, text/plain, */*").is(200, `{"type":"state","epoch":"E","version":1,"total":6}`, "Content-Type: application/json"),
	head("text ruled out", "GET", "/sum/a", "Accept: text/plain;q=0, */*").is(200, `{"type":"state","epoch":"E","version":1,"total":6}`, "Content-Type: application/json"),
	head("everything ruled out", "GET", "/sum/a", "Accept: */*;q=0").is(406, "", ""),
	head("HEAD", "HEAD", "/sum/a").is(200, "", stateHeaders+"\nContent-Length: 1"),
	head("HEAD of JSON", "HEAD", "/sum/a", wantsJSON).is(200, "", "Content-Type: application/json"),
	head("HEAD of events", "HEAD", "/sum/a", wantsEvents).is(200, "", "Content-Type: text/event-stream\nCache-Control: no-store"),
	head("no state: chat", "GET", "/chat/a").is(426, "", upgradeNeeded),
	head("no state: echo", "GET", "/echo").is(426, "", upgradeNeeded),
	head("no state: HEAD", "HEAD", "/echo").is(426, "", upgradeNeeded),
	head("no events: echo", "GET", "/echo", wantsEvents).is(406, "", ""),
	head("no events: lowercase", "GET", "/lowercase", wantsEvents).is(406, "", ""),
	head("no events: HEAD", "HEAD", "/echo", wantsEvents).is(406, "", ""),

	// GET ?message= asks an app that only answers.
	head("question", "GET", "/echo?message=Hello%20W%C3%B6rld").is(200, "Hello Wörld", answerHeaders),
	head("question to lowercase", "GET", "/lowercase?message=%C3%80%C3%89").is(200, "àé", answerHeaders),
	head("empty question", "GET", "/echo?message=").is(200, "", answerHeaders),
	head("two questions", "GET", "/echo?message=1&message=2").is(200, "1", answerHeaders),
	head("question with a semicolon", "GET", "/echo?message=a;b").is(200, "a;b", answerHeaders),
	head("question with a lone percent sign", "GET", "/echo?message=100%").is(200, "100%", answerHeaders),
	head("question behind a pair like that", "GET", "/echo?x=1;2%&message=x").is(200, "x", answerHeaders),
	head("question with a semicolon to sum", "GET", "/sum/a?message=1;2").is(405, "", "Allow: POST"),
	head("HEAD question that is not UTF-8", "HEAD", "/echo?message=%FF").is(400, "", ""),
	head("HEAD question of 17 bytes", "HEAD", "/small?message=12345678901234567").is(413, "", ""),
	head("HEAD never runs the app", "HEAD", "/echo?message=x").is(200, "", "Cache-Control: no-store"),
	head("question that is not UTF-8", "GET", "/echo?message=%FF").is(400, "", ""),
	head("question of 16 bytes", "GET", "/small?message=1234567890123456").is(200, "1234567890123456", answerHeaders),
	head("question of 17 bytes", "GET", "/small?message=12345678901234567").is(413, "", ""),
	head("question to sum", "GET", "/sum/a?message=1").is(405, "", "Allow: POST"),
	head("HEAD question to sum", "HEAD", "/sum/a?message=1").is(405, "", "Allow: POST"),
	head("empty question to sum", "GET", "/sum/a?message").is(405, "", "Allow: POST"),
	head("question to the chat", "GET", "/chat/a?message=x").is(405, "", "Allow: POST"),

	// POST is one message, and the reply its response.
	head("post", "POST", "/sum/post").with("1").is(200, "7", answerHeaders),
	head("post and JSON answer", "POST", "/sum/postjson", wantsJSON).with("1").is(200, `{"type":"reply","epoch":"E","version":2,"total":7}`, "Content-Type: application/json\nCache-Control: no-store"),
	head("post of JSON", "POST", "/sum/jsonpost", "Content-Type: application/json").with(`{"value":1}`).is(200, "7", answerHeaders),
	head("post with a charset", "POST", "/sum/charset", "Content-Type: text/plain; charset=utf-8").with(" 1\r\n").is(200, "7", answerHeaders),
	head("post with a type like ours", "POST", "/echo", "Content-Type: APPLICATION/Octet-Stream; x=y").with("\xff").is(200, "\xff", "Content-Type: application/octet-stream"),
	head("post for an answer that is not there", "POST", "/sum/image", "Accept: image/png").with("1").is(200, "7", answerHeaders),
	head("post and events", "POST", "/sum/events", wantsEvents).with("1").is(200, "7", answerHeaders),
	head("post to echo", "POST", "/echo").with("Hello").is(200, "Hello", answerHeaders),
	head("post to echo for JSON", "POST", "/echo", wantsJSON).with("Hello").is(200, "Hello", answerHeaders),
	head("post of binary", "POST", "/echo", asBinary).with("\x00\xff").is(200, "\x00\xff", "Content-Type: application/octet-stream\nCache-Control: no-store"),
	head("post of nothing", "POST", "/echo").is(200, "", answerHeaders),
	head("post of no number", "POST", "/sum/a").with("six").is(400, "error: not a number", answerHeaders),
	head("post of no number for JSON", "POST", "/sum/a", wantsJSON).with("six").is(400, `{"type":"error","error":"not a number","code":"refused","retry":false}`, "Content-Type: application/json\nCache-Control: no-store"),
	head("post of a wrong field", "POST", "/sum/a").with(`{"count":6}`).is(400, `error: no number, send 6 or {"value":6}`, answerHeaders),
	head("post of a binary number", "POST", "/sum/a", asBinary).with("6").is(400, "error: binary message, send a number as text", answerHeaders),
	head("post of a form", "POST", "/sum/a", "Content-Type: application/x-www-form-urlencoded").with("value=6").is(400, "error: not a number", answerHeaders),
	head("post to the chat", "POST", "/chat/a").with("Hello").is(204, "", "Cache-Control: no-store\nContent-Type:"),
	head("post and JSON answer with a charset", "POST", "/sum/jsoncharset", "Accept: application/json; charset=utf-8").with("1").is(200, `{"type":"reply","epoch":"E","version":2,"total":7}`, "Content-Type: application/json"),
	head("post in ASCII", "POST", "/echo", `Content-Type: text/plain; charset="US-ASCII"`).with("Hello").is(200, "Hello", answerHeaders),
	head("post as it is", "POST", "/echo", "Content-Encoding: identity", "Content-Encoding:").with("Hello").is(200, "Hello", answerHeaders),
	head("post of gzip", "POST", "/chat/a", "Content-Encoding: gzip").with("\x1f\x8b").is(415, "", "Accept-Encoding: identity"),
	head("post of gzip in other words", "POST", "/chat/a", "Content-Encoding: identity", "Content-Encoding: X-GZIP").with("\x1f\x8b").is(415, "", "Accept-Encoding: identity"),
	head("post of gzip as binary", "POST", "/echo", asBinary, "Content-Encoding: gzip").with("\x1f\x8b").is(415, "", "Accept-Encoding: identity"),
	head("post in UTF-16", "POST", "/chat/a", "Content-Type: text/plain; charset=utf-16le").with("H\x00i\x00").is(415, "", "Accept: */*;charset=utf-8, application/octet-stream"),
	head("post of JSON in Latin-1", "POST", "/echo", "Content-Type: application/json;charset=iso-8859-1").with(`"x"`).is(415, "", ""),
	head("post of two types", "POST", "/echo", "Content-Type: text/plain", "Content-Type: text/plain; charset=utf-16").with("x").is(415, "", ""),
	head("post of a type that cannot be read", "POST", "/echo", "Content-Type: text/plain; charset").with("x").is(415, "", ""),
	head("post of binary with a charset", "POST", "/echo", asBinary+"; charset=utf-16").with("x\x00").is(200, "x\x00", "Content-Type: application/octet-stream"),
	head("post of 16 bytes", "POST", "/small").with("1234567890123456").is(200, "1234567890123456", answerHeaders),
	head("post of 17 bytes", "POST", "/small").with("12345678901234567").is(413, "", ""),
	head("post of many bytes", "POST", "/small").with(strings.Repeat("x", 1<<20)).is(413, "", ""),
	head("post that is not UTF-8", "POST", "/echo").with("a\xffb").is(400, "", ""),
	head("post of binary to lowercase", "POST", "/lowercase", asBinary).with("A").is(415, "lowercase takes text only", answerHeaders),

	// Other methods.
	head("OPTIONS", "OPTIONS", "/sum/a").is(204, "", allMethods),
	head("OPTIONS of echo", "OPTIONS", "/echo").is(204, "", allMethods),
	head("PUT", "PUT", "/sum/a").with("1").is(405, "", allMethods),
	head("DELETE", "DELETE", "/sum/a").is(405, "", allMethods),
	head("PATCH", "PATCH", "/sum/a").with("1").is(405, "", allMethods),
	head("a method of nobody's", "FROBNICATE", "/sum/a").is(405, "", allMethods),

	// http off leaves WebSockets only; pass has the rest answered by others.
	head("off: GET", "GET", "/off/a").is(426, "", upgradeNeeded),
	head("off: HEAD", "HEAD", "/off/a").is(426, "", upgradeNeeded),
	head("off: POST", "POST", "/off/a").with("1").is(426, "", upgradeNeeded),
	head("off: events", "GET", "/off/a", wantsEvents).is(426, "", upgradeNeeded),
	head("off: OPTIONS", "OPTIONS", "/off/a").is(426, "", upgradeNeeded),
	head("off: PUT", "PUT", "/off/a").with("1").is(426, "", upgradeNeeded),
	head("pass: GET", "GET", "/pass/a").is(200, "next handler", "Vary:"),
	head("pass: POST", "POST", "/pass/a").with("1").is(200, "next handler", ""),
	head("pass: events", "GET", "/pass/a", wantsEvents).is(200, "next handler", ""),
	head("pass: PUT", "PUT", "/pass/a").with("1").is(200, "next handler", ""),

	// Rooms that have no name.
	head("room", "GET", "/named?room=x").is(200, "0", stateHeaders),
	head("room without a name", "GET", "/named").is(400, "", ""),
	head("room with a control character", "GET", "/named?room=a%0Ab").is(400, "", ""),
	head("room that is not UTF-8", "GET", "/named?room=%FF").is(400, "", ""),
	head("room of 256 bytes", "POST", "/named?room="+strings.Repeat("x", 256)).with("1").is(400, "", ""),
	head("events of a room without a name", "GET", "/named", wantsEvents).is(400, "", ""),
}

func TestTransports(t *testing.T) {
	s := start(t, transportsConfig)
	seeded := map[string]bool{"/sum/new": true}
	for _, row := range transports {
		path, _, _ := strings.Cut(row.path, "?")
		if strings.HasPrefix(path, "/sum/") && !seeded[path] {
			s.post(t, path, "6", "6")
			seeded[path] = true
		}
		t.Run(row.name, func(t *testing.T) {
			row.check(t, s.ask(t, row.method, row.path, row.body, row.header...))
		})
	}
	s.shows(t, "/sum/a", "6") // no row has added to it
	s.dial(t, "/off/a", "Sec-WebSocket-Protocol: json").expect(`{"type":"state","epoch":"E","version":0,"total":0}`)
	s.dial(t, "/pass/a", "Sec-WebSocket-Protocol: json").expect(`{"type":"state","epoch":"E","version":0,"total":0}`)
}

func (r row) check(t *testing.T, got answer) {
	t.Helper()
	if got.status != r.status || masked(got.body) != r.answer {
		t.Errorf("answered %d %q, want %d %q; %v", got.status, got.body, r.status, r.answer, got.header)
	}
	for line := range strings.Lines(r.headers) {
		name, want, _ := strings.Cut(strings.TrimSpace(line), ":")
		if value := strings.Join(got.header.Values(name), ", "); value != strings.TrimSpace(want) {
			t.Errorf("%s is %q, want %q", name, value, strings.TrimSpace(want))
		}
	}
}

// The tag of a state names it: it changes with the state and with the form.
func TestStateHasATag(t *testing.T) {
	s := start(t, transportsConfig)
	s.post(t, "/sum/a", "6", "6")
	tags := make(map[string]bool)
	for _, form := range []string{wantsText, wantsJSON} {
		tag := s.ask(t, "GET", "/sum/a", "", form).header.Get("ETag")
		if !regexp.MustCompile(`^"[^"]+"$`).MatchString(tag) || tags[tag] {
			t.Fatalf("the tag is %s", tag)
		}
		tags[tag] = true
		for _, method := range []string{"GET", "HEAD"} {
			for _, known := range []string{tag, `"other", ` + tag, "*", "W/" + tag} {
				a := s.ask(t, method, "/sum/a", "", form, "If-None-Match: "+known)
				if a.status != http.StatusNotModified || a.body != "" || a.header.Get("ETag") != tag {
					t.Errorf("%s if not %s: %+v", method, known, a)
				}
				if a.header.Get("Vary") != "Accept, Origin" || a.header.Get("Cache-Control") != "no-cache" {
					t.Errorf("a 304 without its headers: %v", a.header)
				}
			}
		}
		if a := s.ask(t, "GET", "/sum/a", "", form, `If-None-Match: "other"`, "If-None-Match: "+tag); a.status != http.StatusNotModified {
			t.Errorf("a list on two lines got %+v", a)
		}
		if a := s.ask(t, "GET", "/sum/a", "", form, `If-None-Match: "other"`); a.status != http.StatusOK {
			t.Errorf("%+v", a)
		}
	}
	s.post(t, "/sum/a", "-6", "0")
	s.post(t, "/sum/a", "6", "6")
	for tag := range tags {
		if a := s.ask(t, "GET", "/sum/a", "", wantsText, "If-None-Match: "+tag); a.status != http.StatusOK || a.body != "6" {
			t.Errorf("an old tag got %+v", a)
		}
	}
}

// What one transport changes the others show: a URL is one room.
func TestTransportsShareARoom(t *testing.T) {
	s := start(t, transportsConfig)
	ws, events := s.dial(t, "/sum/a"), s.events(t, "/sum/a")
	events.expect("0")
	s.post(t, "/sum/a", "1", "1")
	ws.expect("1")
	events.expect("1")
	ws.send("2")
	ws.expect("3")
	events.expect("3")
	s.shows(t, "/sum/a", "3")
	s.shows(t, "/sum/b", "0")

	chat, listener := s.dial(t, "/chat/a"), s.events(t, "/chat/a")
	if a := s.ask(t, "POST", "/chat/a", "from a POST"); a.status != http.StatusNoContent {
		t.Fatalf("%+v", a)
	}
	chat.expect("from a POST")
	listener.expect("from a POST")
}

// A member for one POST is not broadcast to: it gets its own answer, whatever
// else goes on in the room.
func TestPostsGetTheirOwnAnswers(t *testing.T) {
	s := start(t, transportsConfig)
	const posts = 50
	answers := make(chan string, posts)
	for range posts {
		go func() {
			a, err := http.Post(s.url("/sum/a"), "text/plain", strings.NewReader("1"))
			if err != nil {
				answers <- err.Error()
				return
			}
			defer a.Body.Close()
			text := make([]byte, 16)
			n, _ := a.Body.Read(text)
			answers <- string(text[:n])
		}()
	}
	seen := make(map[string]bool)
	for range posts {
		seen[<-answers] = true
	}
	if len(seen) != posts {
		t.Errorf("%d posts had %d answers: %v", posts, len(seen), seen)
	}
	s.shows(t, "/sum/a", "50")
	http.DefaultClient.CloseIdleConnections()
}

// Errors before an answer has begun are the site's to show.
func TestErrorsAreHandled(t *testing.T) {
	s := start(t, `:PORT {
		websocket /sum sum
		handle_errors {
			respond "sorry: {err.status_code}"
		}
	}`)
	head("405", "PUT", "/sum").is(405, "sorry: 405", allMethods).check(t, s.ask(t, "PUT", "/sum", ""))
	head("403", "GET", "/sum").is(403, "sorry: 403", "").check(t, s.ask(t, "GET", "/sum", "", "Origin: null"))
	head("406", "GET", "/sum").is(406, "sorry: 406", "").check(t, s.ask(t, "GET", "/sum", "", "Accept: image/png"))
	c := s.connect(t)
	c.write(changed("GET /sum HTTP/1.1", "Sec-WebSocket-Version: 8"))
	head("426", "", "").is(426, "sorry: 426", "Sec-WebSocket-Version: 13").check(t, c.response())
}

// The option page answers a browser with a page, and everybody else as before.
func TestPage(t *testing.T) {
	s := start(t, `:PORT {
		websocket /sum {
			app sum
			page
		}
		websocket /echo {
			app echo
			page
		}
	}`)
	const browser = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	for _, path := range []string{"/sum", "/echo"} {
		a := s.ask(t, "GET", path, "", browser)
		if a.status != http.StatusOK || a.header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(a.body, "new WebSocket(") ||
			!strings.Contains(a.header.Get("Content-Security-Policy"), "default-src 'none'") || a.header.Get("Vary") != "Accept, Origin" {
			t.Errorf("%s: %d %v", path, a.status, a.header)
		}
		if h := s.ask(t, "HEAD", path, "", browser); h.status != http.StatusOK || h.body != "" || h.header.Get("ETag") != a.header.Get("ETag") {
			t.Errorf("HEAD %s: %+v", path, h)
		}
		link := s.ask(t, "GET", path, "", browser, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document")
		if link.status != http.StatusOK || link.body != a.body {
			t.Errorf("a link to %s leads to %d", path, link.status)
		}
	}
	s.shows(t, "/sum", "0")
	head("JSON", "GET", "/sum", wantsJSON).is(200, `{"type":"state","epoch":"E","version":0,"total":0}`, "").check(t, s.ask(t, "GET", "/sum", "", wantsJSON))
	head("no page", "GET", "/echo").is(426, "", upgradeNeeded).check(t, s.ask(t, "GET", "/echo", ""))
}

// Who sends more than message_rate is told so: by 429, or by 1008.
func TestMessageRate(t *testing.T) {
	s := start(t, `:PORT {
		websocket /sum {
			app sum
			message_rate 0.001/s 2
		}
		websocket /echo {
			app echo
			message_rate 0.001/s 2
		}
	}`)
	s.post(t, "/sum", "1", "1")
	s.post(t, "/sum", "1", "2")
	head("", "", "").is(429, "", "Retry-After: 1").check(t, s.ask(t, "POST", "/sum", "1"))
	s.shows(t, "/sum", "2")
	for range 2 {
		head("", "", "").is(200, "x", answerHeaders).check(t, s.ask(t, "GET", "/echo?message=x", ""))
	}
	head("", "", "").is(429, "", "Retry-After: 1").check(t, s.ask(t, "GET", "/echo?message=x", ""))
	c := s.dial(t, "/echo")
	c.send("1", "2", "3")
	c.expect("1", "2")
	c.expectClose(1008)
}

// Over HTTP/2 there are no upgrades, and everything else is the same.
func TestTransportsOverHTTP2(t *testing.T) {
	s := start(t, transportsConfig)
	transport := &http.Transport{
		TLSClientConfig: s.tls(), ForceAttemptHTTP2: true, DisableCompression: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", s.tlsAddress())
		},
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	_, port, _ := net.SplitHostPort(s.tlsAddress())
	url := "https://localhost:" + port
	if r := open(t, client, "GET", url+"/sum/a", "", nil); r.ProtoMajor != 2 {
		t.Fatalf("the protocol is %s", r.Proto)
	}
	for _, row := range []row{
		head("post", "POST", "/sum/a").with("6").is(200, "6", answerHeaders),
		head("state", "GET", "/sum/a").is(200, "6", stateHeaders),
		head("text with its charset", "GET", "/sum/a", "Accept: text/plain; charset=utf-8").is(200, "6", stateHeaders),
		head("JSON with a charset", "GET", "/sum/a", "Accept: application/json; charset=utf-8").is(200, `{"type":"state","epoch":"E","version":1,"total":6}`, "Content-Type: application/json"),
		head("Accept on two lines", "GET", "/sum/a", "Accept: image/png", wantsJSON).is(200, `{"type":"state","epoch":"E","version":1,"total":6}`, "Content-Type: application/json"),
		head("empty Accept", "GET", "/sum/a", "Accept:").is(200, "6", stateHeaders),
		head("a tie", "GET", "/sum/a", "Accept: application/json, text/plain, */*").is(200, `{"type":"state","epoch":"E","version":1,"total":6}`, "Content-Type: application/json"),
		head("text ruled out", "GET", "/sum/a", "Accept: text/plain;q=0, */*").is(200, `{"type":"state","epoch":"E","version":1,"total":6}`, "Content-Type: application/json"),
		head("everything ruled out", "GET", "/sum/a", "Accept: */*;q=0").is(406, "", ""),
		head("HEAD", "HEAD", "/sum/a").is(200, "", stateHeaders),
		head("question", "GET", "/echo?message=Hello").is(200, "Hello", answerHeaders),
		head("no state", "GET", "/echo").is(426, "", "Upgrade:\nConnection:"),
		head("off", "GET", "/off/a").is(426, "", "Upgrade:\nConnection:"),
		head("PUT", "PUT", "/sum/a").is(405, "", allMethods),
	} {
		t.Run(row.name, func(t *testing.T) {
			row.check(t, ask(t, client, row.method, url+row.path, row.body, row.header...))
		})
	}
	events := follow(t, client, url+"/sum/a")
	events.expect("6")
	ask(t, client, "POST", url+"/sum/a", "1")
	events.expect("7")
	s.dialTLS(t, "/sum/a", "Sec-WebSocket-Protocol: json").expect(`{"type":"state","epoch":"E","version":2,"total":7}`)
}
