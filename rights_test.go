package caddyws

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/caddyws/caddy-websocket/frames"
)

// secretHash is that of the password secret.
const secretHash = "$2a$04$yuFwvUiSF/btYJNawoCcA.z5X/Yn06qKWrV8/SIFDcSS4vkfUWGKm"

// authService is the service that the README's example asks: it knows the same users as the
// other example, by the same passwords. Carol's permission ends when her client says so,
// as in all tests here.
const authService = `http://localhost:OTHERPORT {
	map {http.auth.user.id} {role} {until} {
		alice referee 4102444800
		bob visitor 2099-12-31T18:00:00Z
		carol visitor {header.Until}
	}
	route {
		basic_auth {
			alice HASH
			bob HASH
			carol HASH
		}
		header Remote-User {http.auth.user.id}
		header Remote-Role {role}
		header Session-Expires {until}
		respond ok
	}
}`

// rightsSites are the sites of the README's section on rights, each over every version of
// HTTP.
func rightsSites(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n### Who may write, and for how long\n")
	section, _, _ = strings.Cut(section, "\n### ")
	blocks := strings.Split(section, "\n```")
	if len(blocks) != 5 {
		t.Fatalf("the section has %d parts, not two examples", len(blocks))
	}
	sites := make(map[string]string)
	for name, block := range map[string]string{"basic_auth": blocks[1], "forward_auth": blocks[3]} {
		routes, ok := strings.CutPrefix(block, "\nexample.com {")
		if !ok || !strings.Contains(block, name) {
			t.Fatalf("this is not the example with %s: %s", name, block)
		}
		sites[name] = strings.NewReplacer(
			"<hash>", secretHash, "HASH", secretHash,
			"auth:9091", "localhost:OTHERPORT",
			"websocket /score sum {", "websocket /score sum {\n room score", // one for both ports
			"2026-12-31T18:00:00Z", "{header.Until}",
		).Replace("(routes) {" + routes + "\nhttps://localhost:TLSPORT {\n tls CERTIFICATE CERTIFICATE\n import routes\n}\nhttp://localhost:PORT {\n import routes\n}\n" + authService)
	}
	return sites
}

// visitor is somebody who knows a password, or nobody.
type visitor struct{ user, until string }

// headers are those by which the visitor proves it.
func (v visitor) headers() []string {
	if v.user == "" {
		return nil
	}
	password := base64.StdEncoding.EncodeToString([]byte(v.user + ":secret"))
	return []string{"Authorization: Basic " + password, "Until: " + v.until}
}

func (v visitor) header() http.Header {
	header := make(http.Header)
	for _, h := range v.headers() {
		name, value, _ := strings.Cut(h, ": ")
		header.Set(name, value)
	}
	return header
}

var (
	alice = visitor{user: "alice"}
	bob   = visitor{user: "bob"}
)

// carol is let in until a time.
func carol(until string) visitor { return visitor{"carol", until} }

// ask sends a plain request to /score.
func (v version) ask(t *testing.T, who visitor, method, query, body, accept string) *http.Response {
	t.Helper()
	r, err := http.NewRequest(method, v.site+"/score"+query, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = who.header()
	r.Header.Set("Accept", accept)
	answer, err := roundTrip(t, v.transport, r)
	if err != nil {
		t.Fatalf("%s of %s over HTTP/%d: %v", method, who.user, v.major, err)
	}
	if answer.ProtoMajor != v.major {
		t.Errorf("answered over %s", answer.Proto)
	}
	return answer
}

// statuses are those of all kinds of plain requests.
func (v version) statuses(t *testing.T, who visitor) string {
	t.Helper()
	var all []string
	for _, kind := range []struct{ method, query, body, accept string }{
		{"GET", "", "", "text/plain"}, {"HEAD", "", "", "text/plain"}, {"GET", "", "", "text/event-stream"},
		{"GET", "?claim=me", "", "text/event-stream"}, {"HEAD", "?claim=me", "", "text/event-stream"}, {"POST", "", "0", "text/plain"}, {"OPTIONS", "", "", "text/plain"},
	} {
		answer := v.ask(t, who, kind.method, kind.query, kind.body, kind.accept)
		all = append(all, fmt.Sprint(answer.StatusCode))
		answer.Body.Close()
	}
	return strings.Join(all, " ")
}

// rightsWorld is a server with one of the sites, and all ways to it.
type rightsWorld struct {
	t        *testing.T
	s        *server
	open     func(path, protocol string) *bidirectional
	versions []version
	asks     string // what OPTIONS is answered with
}

// connect opens a WebSocket over a stream.
func (w rightsWorld) connect(who visitor, query string) *bidirectional {
	w.t.Helper()
	w.s.handshake = who.header()
	return w.open("/score"+query, "websocket")
}

// dial opens a WebSocket over HTTP/1.1.
func (w rightsWorld) dial(who visitor) *client {
	w.t.Helper()
	return w.s.dial("/score", append(who.headers(), "Sec-WebSocket-Protocol: json")...)
}

// refuses checks that a visitor may do nothing, over any transport.
func (w rightsWorld) refuses(who visitor, reason string) {
	w.t.Helper()
	for _, v := range w.versions {
		if got, want := v.statuses(w.t, who), "401 401 401 401 401 401 "+w.asks; got != want {
			w.t.Errorf("%s: over HTTP/%d %s, want %s", who, v.major, got, want)
		}
	}
	if b := w.connect(who, ""); b.status != http.StatusUnauthorized {
		w.t.Errorf("%s: the stream is answered with %d", who, b.status)
	}
	if _, answer, err := w.s.tryDial("/score", who.headers()...); err == nil || answer.StatusCode != http.StatusUnauthorized {
		w.t.Errorf("%s: WebSocket: %v, %v", who, answer, err)
	}
	if reason == "" {
		return
	}
	e := logged.wait(w.t, reason, func(e entry) bool { return e["msg"] == "request refused" && e["reason"] == reason })
	if e["option"] != "expires" || e["status"] != 401.0 || e["route"] != "sum score" {
		w.t.Error(e)
	}
}

// writes checks that a visitor may do everything.
func (w rightsWorld) writes(who visitor) {
	w.t.Helper()
	for _, v := range w.versions {
		if got := v.statuses(w.t, who); got != "200 200 200 200 200 200 "+w.asks {
			w.t.Errorf("%s: over HTTP/%d %s", who, v.major, got)
		}
	}
	stream, upgraded := w.connect(who, "?claim=me"), w.dial(who)
	stream.expect(w.t, frames.Text, `"type":"state"`)
	stream.say(w.t, frames.Text, "0")
	stream.expect(w.t, frames.Text, `"type":"reply"`)
	upgraded.says(`"type":"state"`)
	upgraded.says(`"type":"update"`)
	upgraded.send("0")
	upgraded.says(`"type":"reply"`)
	stream.expect(w.t, frames.Text, `"type":"update"`)
	stream.done()
	upgraded.Close()
}

// says reads a message that has a text.
func (c *client) says(want string) {
	c.t.Helper()
	_, got, err := c.ReadMessage()
	if err != nil || !strings.Contains(string(got), want) {
		c.t.Fatalf("got %q, %v, want %s", got, err, want)
	}
}

// reads checks that a visitor may read only.
func (w rightsWorld) reads(who visitor) {
	w.t.Helper()
	const readOnly = `{"type":"error","error":"read only","code":"read_only","retry":false}`
	for _, v := range w.versions {
		if got := v.statuses(w.t, who); got != "200 200 200 403 403 403 "+w.asks {
			w.t.Errorf("%s: over HTTP/%d %s", who, v.major, got)
		}
	}
	stream, upgraded := w.connect(who, ""), w.dial(who)
	events := w.listeners(who)
	stream.expect(w.t, frames.Text, `"type":"state"`)
	upgraded.says(`"type":"state"`)
	for range 3 {
		stream.say(w.t, frames.Text, "0")
		stream.expect(w.t, frames.Text, readOnly)
		upgraded.send("0")
		upgraded.says(readOnly)
	}
	w.versions[0].ask(w.t, alice, "POST", "", "1", "text/plain")
	stream.expect(w.t, frames.Text, `"type":"update"`)
	upgraded.says(`"type":"update"`)
	for _, l := range events {
		l.expect(w.t, l.total)
	}
	if b := w.connect(who, "?claim=me"); b.status != http.StatusForbidden {
		w.t.Errorf("%s: a claim over a stream is answered with %d", who, b.status)
	}
	if _, answer, err := w.s.tryDial("/score?claim=me", who.headers()...); err == nil || answer.StatusCode != http.StatusForbidden {
		w.t.Errorf("%s: a claim: %v, %v", who, answer, err)
	}
	e := logged.wait(w.t, "the refusal", func(e entry) bool { return e["reason"] == errReadOnly.Error() })
	if e["option"] != "write" || e["status"] != 403.0 {
		w.t.Error(e)
	}
	stream.done()
	upgraded.Close()
}

// listener follows an event stream.
type listener struct {
	*follower
	total string // the line that tells the next state
}

// listeners follow the score over each version of HTTP. Each has been told a state.
func (w rightsWorld) listeners(who visitor) (all []listener) {
	w.t.Helper()
	for _, v := range w.versions {
		answer := v.ask(w.t, who, "GET", "", "", "text/event-stream")
		if answer.StatusCode != http.StatusOK {
			w.t.Fatalf("%s: events over %s: %s", who, answer.Proto, answer.Status)
		}
		f := &follower{answer.Proto, bufio.NewReader(answer.Body)}
		all = append(all, listener{f, f.next(w.t)})
	}
	return all
}

// next reads a whole state and returns the line that tells one more.
func (l *follower) next(t *testing.T) string {
	t.Helper()
	for {
		line, err := l.lines.ReadString('\n')
		if err != nil {
			t.Fatalf("events over %s: %v", l.name, err)
		}
		var total int
		if _, err := fmt.Sscanf(line, "data: %d", &total); err == nil {
			return fmt.Sprintf("data: %d", total+1)
		}
	}
}

// expires checks that a visitor who is there is sent away when the time has come.
func (w rightsWorld) expires() {
	w.t.Helper()
	for lead := 500 * time.Millisecond; ; lead *= 2 {
		until := time.Now().Add(lead)
		who := carol(until.UTC().Format(time.RFC3339Nano))
		if lead > time.Minute {
			w.t.Fatal("connecting takes too long")
		}
		stream := w.connect(who, "")
		upgraded, _, err := w.s.tryDial("/score", who.headers()...)
		if stream.status == http.StatusUnauthorized || err != nil {
			continue // this machine is busy
		}
		events, ok := w.tryListeners(who)
		if !ok {
			continue
		}
		w.end(until, stream, upgraded, events)
		w.refuses(who, errExpired.Error())
		return
	}
}

// tryListeners is listeners, unless the time has come.
func (w rightsWorld) tryListeners(who visitor) (all []*http.Response, ok bool) {
	for _, v := range w.versions {
		answer := v.ask(w.t, who, "GET", "", "", "text/event-stream")
		if answer.StatusCode != http.StatusOK {
			return nil, false
		}
		all = append(all, answer)
	}
	return all, true
}

// end reads connections to their end, which is not before a time.
func (w rightsWorld) end(until time.Time, stream *bidirectional, upgraded *client, events []*http.Response) {
	w.t.Helper()
	stream.expect(w.t, frames.Text, `"type":"state"`)
	stream.expect(w.t, frames.Close, "\x0b\xb8permission has ended")
	for _, answer := range events {
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			w.t.Errorf("events over %s: %v", answer.Proto, err)
		}
	}
	_, _, err := upgraded.ReadMessage()
	if end, ok := errors.AsType[*websocket.CloseError](err); !ok || end.Code != int(frames.Unauthorized) || end.Text != "permission has ended" {
		w.t.Errorf("WebSocket: %v", err)
	}
	late := time.Since(until)
	if late < 0 {
		w.t.Errorf("ended %v before the time", -late)
	}
	w.t.Logf("all have ended %v after the time", late)
}

// What a client may do, and for how long, is the same over every transport and every
// version of HTTP, whoever has authenticated it. The sites are those of the README.
func TestRights(t *testing.T) {
	for name, config := range rightsSites(t) {
		t.Run(name, func(t *testing.T) {
			overStreamsOf(t, config, func(t *testing.T, s *server, open func(path, protocol string) *bidirectional) {
				w := rightsWorld{t, s, open, s.versions(), "204"}
				w.writes(alice)
				w.reads(bob)
				w.reads(carol("4102444800"))
				w.refuses(carol("2020-01-01T00:00:00Z"), errExpired.Error())
				w.refuses(carol("1577836800.5"), errExpired.Error())
				w.refuses(carol("six o'clock"), errExpires.Error())
				if name == "basic_auth" {
					w.reads(carol("")) // optional
				} else {
					w.refuses(carol(""), errExpires.Error())
				}
				w.expires()
				w.asks = "401"
				w.refuses(visitor{}, "")
			})
		})
	}
}
