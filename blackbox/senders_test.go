package blackbox

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// operation is a number for a room of sum, with what is said beside it.
type operation struct {
	id    string // empty: none
	at    string // the point that its client had seen; empty: none
	value string
	more  string // further headers of a POST, each with its line end
}

// object is the operation as a message of the subprotocol json.
func (o operation) object() string {
	text := `{"value":` + o.value
	if o.id != "" {
		text += `,"id":` + strconv.Quote(o.id)
	}
	if o.at != "" {
		text += `,"at":` + strconv.Quote(o.at)
	}
	return text + "}"
}

// request is the operation as a POST.
func (o operation) request(path string) string {
	text := "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n" + o.more
	if o.id != "" {
		text += "Idempotency-Key: " + o.id + "\r\n"
	}
	if o.at != "" {
		text += "Idempotency-At: " + o.at + "\r\n"
	}
	return text + "Content-Length: " + strconv.Itoa(len(o.value)) + "\r\n\r\n" + o.value
}

// told is what a client of a room of sum is told, in JSON.
type told struct {
	Type    string
	Epoch   string
	Version uint64
	Total   json.Number
	ID      any
	Repeat  bool

	Error, Code string
	Retry       bool

	status int    // of a POST, else 0
	raw    string // all of it
}

func parseTold(text string) (a told, err error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	a.raw = text
	if err := d.Decode(&a); err != nil {
		return a, fmt.Errorf("reading %q: %w", text, err)
	}
	return a, nil
}

// first is the answer without what two sendings of one operation may differ in.
func (a told) first() told {
	a.ID, a.Repeat, a.status, a.raw = nil, false, 0, ""
	return a
}

// point is what the answer's client has seen.
func (a told) point() string { return a.Epoch + "-" + strconv.FormatUint(a.Version, 10) }

// sender is a connection over which operations are sent and answered, in order. Errors
// are those of the connection, but for an *oddity.
type sender interface {
	send(operation) error
	answer() (told, error)
	window() int // how many operations may be sent before one is answered
	Close() error
}

// oddity is something that the server must not do.
type oddity struct{ text string }

func (o *oddity) Error() string { return o.text }

// odd returns an oddity.
func odd(format string, args ...any) error { return &oddity{fmt.Sprintf(format, args...)} }

// isOdd reports whether more than a connection has failed.
func isOdd(err error) bool {
	_, ok := errors.AsType[*oddity](err)
	return ok
}

// webSocketSender is a WebSocket with the subprotocol json.
type webSocketSender struct {
	net.Conn
	r     *bufio.Reader
	state told // on joining
}

// joinSender connects to a room.
func joinSender(address, path string) (*webSocketSender, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	c := &webSocketSender{Conn: conn, r: bufio.NewReader(conn)}
	if err := c.join(path); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *webSocketSender) join(path string) error {
	c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, handshake(path, "Sec-WebSocket-Protocol: json")); err != nil {
		return err
	}
	response, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("joining: %s", response.Status)
	}
	if c.state, err = c.read(); err == nil && c.state.Type != "state" {
		return odd("on joining came %s", c.state.raw)
	}
	return err
}

func (c *webSocketSender) send(o operation) error {
	_, err := io.WriteString(c, text(o.object()))
	return err
}

// answer skips what others do.
func (c *webSocketSender) answer() (told, error) {
	for {
		a, err := c.read()
		if err != nil || a.Type != "state" && a.Type != "update" {
			return a, err
		}
	}
}

func (c *webSocketSender) read() (told, error) {
	c.SetDeadline(time.Now().Add(patience))
	f, err := readFrame(c.r)
	for err == nil && f.op == opPing {
		if _, err = io.WriteString(c, pong(f.payload)); err == nil {
			f, err = readFrame(c.r)
		}
	}
	switch {
	case err != nil:
		return told{}, err
	case f.op == opClose:
		return told{}, io.EOF
	case f.op != opText:
		return told{}, odd("came %q", show(f))
	}
	a, err := parseTold(f.payload)
	if err != nil {
		return a, odd("%v", err)
	}
	return a, nil
}

func (*webSocketSender) window() int { return 4 }

// postSender is a connection over which POSTs are sent.
type postSender struct {
	net.Conn
	r    *bufio.Reader
	path string
}

func newPostSender(address, path string) (*postSender, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &postSender{conn, bufio.NewReader(conn), path}, nil
}

func (c *postSender) send(o operation) error {
	c.SetDeadline(time.Now().Add(patience))
	_, err := io.WriteString(c, o.request(c.path))
	return err
}

func (c *postSender) answer() (told, error) {
	response, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return told{}, err
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return told{}, err
	}
	if response.StatusCode == http.StatusServiceUnavailable && len(body) == 0 { // the room cannot even be read
		return told{Type: "error", Code: "unavailable", Retry: true, status: response.StatusCode}, nil
	}
	a, err := parseTold(string(body))
	if err != nil {
		return a, odd("%v", err)
	}
	a.status = response.StatusCode
	return a, nil
}

func (*postSender) window() int { return 1 }

// look returns the state of the room.
func (c *postSender) look() (told, error) {
	c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, "GET "+c.path+" HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n"); err != nil {
		return told{}, err
	}
	return c.answer()
}

// newSender connects to a room, by WebSocket or for POSTs.
func newSender(address, path string, post bool) (sender, error) {
	if post {
		return newPostSender(address, path)
	}
	return joinSender(address, path)
}

// sender is a connection to a room, by WebSocket or for POSTs.
func (s *server) sender(t *testing.T, path string, post bool) *steadySender {
	t.Helper()
	c, err := newSender(s.address(), path, post)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &steadySender{t, c}
}

// steadySender is a sender that must not fail.
type steadySender struct {
	t *testing.T
	sender
}

// do sends an operation and returns its answer.
func (c *steadySender) do(o operation) told {
	c.t.Helper()
	if err := c.send(o); err != nil {
		c.t.Fatal(err)
	}
	a, err := c.answer()
	if err != nil {
		c.t.Fatalf("%+v: %v", o, err)
	}
	return a
}

// state is what GET shows of a room, in JSON.
func (s *server) state(t *testing.T, path string) told {
	t.Helper()
	a := s.ask(t, http.MethodGet, path, "", "Accept: application/json")
	if a.status != http.StatusOK {
		t.Fatalf("GET %s: %+v", path, a)
	}
	state, err := parseTold(a.body)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// fetch carries out a request, in any goroutine.
func (s *server) fetch(r *http.Request) (status int, body string, err error) {
	response, err := plain.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	p, err := io.ReadAll(response.Body)
	return response.StatusCode, string(p), err
}
