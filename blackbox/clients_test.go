package blackbox

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// headers parses "Name: value".
func headers(list []string) http.Header {
	h := make(http.Header)
	for _, entry := range list {
		name, value, _ := strings.Cut(entry, ":")
		h.Add(name, strings.TrimSpace(value))
	}
	return h
}

// answer is a response, read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

// plain is a client that changes nothing of what it sends and gets.
var plain = &http.Client{
	Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	},
}

// open sends a request and returns the response, whose body ends with the test.
// Only the wait for it is bounded.
func open(t *testing.T, client *http.Client, method, url, body string, header []string) *http.Response {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	defer time.AfterFunc(patience, cancel).Stop()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = headers(header)
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}

// ask sends a request, with headers "Name: value".
func ask(t *testing.T, client *http.Client, method, url, body string, header ...string) answer {
	t.Helper()
	response := open(t, client, method, url, body, header)
	defer response.Body.Close()
	defer time.AfterFunc(patience, func() { response.Body.Close() }).Stop()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(text)}
}

// ask sends a plain request.
func (s *server) ask(t *testing.T, method, path, body string, header ...string) answer {
	t.Helper()
	return ask(t, plain, method, s.url(path), body, header...)
}

// post sends a message, which must be answered with this text.
func (s *server) post(t *testing.T, path, message, want string) {
	t.Helper()
	if a := s.ask(t, http.MethodPost, path, message); a.status != http.StatusOK || a.body != want {
		t.Fatalf("POST %q to %s: %d %q, want %q", message, path, a.status, a.body, want)
	}
}

// shows checks the state of a room.
func (s *server) shows(t *testing.T, path, want string) {
	t.Helper()
	if a := s.ask(t, http.MethodGet, path, ""); a.status != http.StatusOK || a.body != want {
		t.Fatalf("%s shows %d %q, want %q", path, a.status, a.body, want)
	}
}

// client is gorilla's WebSocket client.
type client struct {
	t *testing.T
	*websocket.Conn
	answer   *http.Response
	patience time.Duration // with each message
}

// dial connects to a path, with headers "Name: value".
func (s *server) dial(t *testing.T, path string, header ...string) *client {
	t.Helper()
	return dialWith(t, &websocket.Dialer{}, "ws://"+s.address()+path, header...)
}

// dialTLS connects to a path over TLS.
func (s *server) dialTLS(t *testing.T, path string, header ...string) *client {
	t.Helper()
	d := &websocket.Dialer{TLSClientConfig: s.tls(), NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", s.tlsAddress())
	}}
	return dialWith(t, d, "wss://localhost:"+strconv.Itoa(s.TLSPort)+path, header...)
}

func dialWith(t *testing.T, d *websocket.Dialer, url string, header ...string) *client {
	t.Helper()
	d.HandshakeTimeout = patience
	conn, response, err := d.Dial(url, headers(header))
	if err != nil {
		t.Fatalf("connecting to %s: %v, %+v", url, err, response)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{t, conn, response, patience}
}

// ReadMessage reads the next message, which may take as long as any other.
func (c *client) ReadMessage() (kind int, message []byte, err error) {
	c.SetReadDeadline(time.Now().Add(c.patience))
	return c.Conn.ReadMessage()
}

// ReadJSON is ReadMessage of JSON.
func (c *client) ReadJSON(v any) error {
	c.SetReadDeadline(time.Now().Add(c.patience))
	return c.Conn.ReadJSON(v)
}

// send sends text messages in one write, however many.
func (c *client) send(messages ...string) {
	c.t.Helper()
	var all []byte
	for _, m := range messages {
		all = append(all, frame{op: opText, fin: true, payload: m}.bytes()...)
	}
	if _, err := c.NetConn().Write(all); err != nil {
		c.t.Fatalf("sending %q: %v", messages, err)
	}
}

func (c *client) sendBinary(message string) {
	c.t.Helper()
	if err := c.WriteMessage(websocket.BinaryMessage, []byte(message)); err != nil {
		c.t.Fatalf("sending %q: %v", message, err)
	}
}

// expect reads text messages, which must be these. Of JSON the epoch is not
// compared.
func (c *client) expect(messages ...string) {
	c.t.Helper()
	for _, want := range messages {
		kind, got, err := c.ReadMessage()
		if err != nil || masked(string(got)) != masked(want) || kind != websocket.TextMessage {
			c.t.Fatalf("got %q, %v, want %q", got, err, want)
		}
	}
}

func (c *client) expectBinary(want string) {
	c.t.Helper()
	kind, got, err := c.ReadMessage()
	if err != nil || string(got) != want || kind != websocket.BinaryMessage {
		c.t.Fatalf("got %q, %v, want binary %q", got, err, want)
	}
}

// expectClose reads the end of the connection.
func (c *client) expectClose(code int) {
	c.t.Helper()
	_, got, err := c.ReadMessage()
	if !websocket.IsCloseError(err, code) {
		c.t.Fatalf("got %q, %v, want the end with %d", got, err, code)
	}
}

// socket is a connection over which tests write bytes as they please.
type socket struct {
	t *testing.T
	*patient
	r *bufio.Reader
}

func adopt(t *testing.T, conn net.Conn) *socket {
	t.Cleanup(func() { conn.Close() })
	p := &patient{conn, patience}
	return &socket{t, p, bufio.NewReader(p)}
}

// patient is a connection whose reads and writes may each take a time.
type patient struct {
	net.Conn
	within time.Duration
}

func (c *patient) Read(p []byte) (int, error) {
	c.SetReadDeadline(time.Now().Add(c.within))
	return c.Conn.Read(p)
}

func (c *patient) Write(p []byte) (int, error) {
	c.SetWriteDeadline(time.Now().Add(c.within))
	return c.Conn.Write(p)
}

// connect opens a plain TCP connection.
func (s *server) connect(t *testing.T) *socket {
	t.Helper()
	conn, err := net.Dial("tcp", s.address())
	if err != nil {
		t.Fatal(err)
	}
	return adopt(t, conn)
}

// connectTLS opens a TLS connection.
func (s *server) connectTLS(t *testing.T, config *tls.Config) *socket {
	t.Helper()
	conn, err := tls.Dial("tcp", s.tlsAddress(), config)
	if err != nil {
		t.Fatal(err)
	}
	return adopt(t, conn)
}

func (c *socket) write(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatalf("writing: %v", err)
	}
}

// response reads one HTTP response with its body; that of a 101 is what follows
// as frames.
func (c *socket) response() answer {
	c.t.Helper()
	a, err := c.tryResponse()
	if err != nil {
		c.t.Fatalf("reading a response: %v", err)
	}
	return a
}

func (c *socket) tryResponse() (answer, error) {
	response, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return answer{}, err
	}
	if response.StatusCode == http.StatusSwitchingProtocols {
		return answer{response.StatusCode, response.Header, ""}, nil
	}
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(body)}, err
}

// event is one event of an event stream.
type event struct{ id, name, data string }

// stream is a client of Server-Sent Events that follows the HTML standard,
// section 9.2.6, to the letter.
type stream struct {
	t        *testing.T
	response *http.Response
	r        *bufio.Reader
	afterCR  bool
	lastID   string
	comments int
	patience time.Duration // with each event, if it is not as usual
}

// events opens a path's event stream.
func (s *server) events(t *testing.T, path string, header ...string) *stream {
	t.Helper()
	return follow(t, plain, s.url(path), header...)
}

func follow(t *testing.T, client *http.Client, url string, header ...string) *stream {
	t.Helper()
	header = append(header, "Accept: text/event-stream")
	response := open(t, client, http.MethodGet, url, "", header)
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("following %s: %s, %v", url, response.Status, response.Header)
	}
	return &stream{t: t, response: response, r: bufio.NewReader(response.Body)}
}

// line reads a line, which ends with CR, LF or both.
func (e *stream) line() (string, error) {
	var line []byte
	for {
		b, err := e.r.ReadByte()
		if err != nil {
			return "", err
		}
		skip := b == '\n' && e.afterCR
		e.afterCR = b == '\r'
		switch {
		case skip:
		case b == '\r', b == '\n':
			return string(line), nil
		default:
			line = append(line, b)
		}
	}
}

// read returns the next event. Unlike a browser it counts comments.
func (e *stream) read() (event, error) {
	defer time.AfterFunc(cmp.Or(e.patience, patience), func() { e.response.Body.Close() }).Stop()
	var data []string
	var name string
	for {
		line, err := e.line()
		if err != nil {
			return event{}, err
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "" && data != nil:
			return event{e.lastID, name, strings.Join(data, "\n")}, nil
		case line == "":
			name = ""
		case field == "":
			e.comments++
		case field == "data":
			data = append(data, value)
		case field == "event":
			name = value
		case field == "id" && !strings.Contains(value, "\x00"):
			e.lastID = value
		default:
			e.t.Errorf("an event stream has the line %q", line)
		}
	}
}

func (e *stream) next() event {
	e.t.Helper()
	got, err := e.read()
	if err != nil {
		e.t.Fatalf("reading an event: %v", err)
	}
	return got
}

// expect reads events with these data.
func (e *stream) expect(data ...string) {
	e.t.Helper()
	for _, want := range data {
		if got := e.next(); got.data != want || got.name != "" {
			e.t.Fatalf("got %+v, want the data %q", got, want)
		}
	}
}

// has reports whether a list header has a value.
func has(h http.Header, name, value string) bool {
	for _, line := range h.Values(name) {
		if slices.ContainsFunc(strings.Split(line, ","), func(v string) bool {
			return strings.EqualFold(strings.TrimSpace(v), value)
		}) {
			return true
		}
	}
	return false
}
