// Package hubtest has what tests of the hub and of apps need: a hub, routes and
// clients over real connections, and what was logged. Every wait of a test is
// bounded: only a failing one comes so far.
package hubtest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
	"github.com/caddyws/caddy-websocket/socket"
)

// Patience bounds every wait.
const Patience = time.Minute

// World is a hub that ends with its test.
type World struct {
	*hub.Hub
	Logs *observer.ObservedLogs // errors

	t        testing.TB
	listener net.Listener
	closing  sync.Once
	closed   error
}

// New returns a hub over an engine, without limits if none are given.
func New(t testing.TB, engine engines.Engine, limits ...hub.Limits) *World {
	t.Helper()
	core, logs := observer.New(zap.ErrorLevel)
	log := zap.New(core)
	limits = append(limits, hub.Limits{})
	w := Over(t, hub.New(Opens(engine), limits[0], func() *zap.Logger { return log }))
	w.Logs = logs
	return w
}

// Over is New for a hub of the test's own, without Logs.
func Over(t testing.TB, h *hub.Hub) *World {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &World{Hub: h, t: t, listener: listener}
	t.Cleanup(func() {
		w.listener.Close()
		if err := w.CloseHub(); err != nil {
			t.Errorf("closing the hub: %v", err)
		}
	})
	return w
}

// CloseHub closes the hub, once.
func (w *World) CloseHub() error {
	w.closing.Do(func() {
		w.closed = w.Hub.Close(Patience, frames.GoingAway, "server is going away")
	})
	return w.closed
}

// Route returns a route of an app with wide limits; change may narrow them.
func Route(app apps.App, change ...func(*socket.Settings)) *route.Route {
	settings := socket.Settings{MaxMessageSize: 1 << 20, MaxQueue: 64 << 20}
	for _, c := range change {
		c(&settings)
	}
	return route.New("test", "test", route.Config{App: app, Settings: settings})
}

// Client is the client's end of a connection. Its methods end the test when they
// fail; those that tests call from many goroutines return errors.
type Client struct {
	net.Conn
	Member *room.Member

	t       testing.TB
	reader  *bufio.Reader
	pending []frame // read and not yet asked for
}

type frame struct {
	opcode  frames.Opcode
	payload []byte
}

// Join lets a client into the room "room".
func (w *World) Join(route *route.Route) *Client {
	w.t.Helper()
	return w.Enter(route, room.Visitor{Room: "room"})
}

// JoinJSON is Join with the subprotocol json.
func (w *World) JoinJSON(route *route.Route) *Client {
	w.t.Helper()
	return w.Enter(route, room.Visitor{Room: "room", Subprotocol: message.Subprotocol})
}

// Enter lets a visitor in, which is a member when it returns.
func (w *World) Enter(route *route.Route, v room.Visitor) *Client {
	w.t.Helper()
	m, err := w.Hub.Join(context.Background(), route, v)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.Serve(m)
}

// Serve connects a member, which is in the room when it returns.
func (w *World) Serve(m *hub.Connection) *Client {
	w.t.Helper()
	server, client := w.Pair()
	return w.Connect(m, server, client)
}

// Connect is Serve over a connection of the test's own.
func (w *World) Connect(m *hub.Connection, server, client net.Conn) *Client {
	w.t.Helper()
	return Connect(w.t, m, server, client)
}

// Connect connects a member of any hub.
func Connect(t testing.TB, m *hub.Connection, server, client net.Conn) *Client {
	t.Helper()
	c := start(t, m, server, client)
	if err := c.settle(); err != nil {
		t.Fatal(err)
	}
	return c
}

func start(t testing.TB, m *hub.Connection, server, client net.Conn) *Client {
	m.Start(socket.Transport{Conn: server})
	t.Cleanup(func() { client.Close() })
	return &Client{Conn: client, Member: m.Member, t: t, reader: bufio.NewReader(client)}
}

// settle returns once the server reads from the client, which is a member then.
func (c *Client) settle() error {
	if _, err := c.Write(frames.AppendMasked(nil, frames.Header{Fin: true, Opcode: frames.Ping}, nil)); err != nil {
		return err
	}
	for {
		op, p, err := c.readFrame()
		if err != nil || op == frames.Pong {
			return err
		}
		c.pending = append(c.pending, frame{op, p})
		if op == frames.Close {
			return nil
		}
	}
}

// Pair returns both ends of a TCP connection.
func (w *World) Pair() (server, client net.Conn) {
	w.t.Helper()
	client, err := net.Dial("tcp", w.listener.Addr().String())
	if err != nil {
		w.t.Fatal(err)
	}
	if server, err = w.listener.Accept(); err != nil {
		w.t.Fatal(err)
	}
	if err := client.SetDeadline(time.Now().Add(3 * Patience)); err != nil {
		w.t.Fatal(err)
	}
	return server, client
}

// Until waits for a condition that nothing announces.
func Until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(Patience); !is(); time.Sleep(50 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// Texts returns text frames as a client sends them, one behind the other.
func Texts(texts ...string) []byte {
	var p []byte
	for _, text := range texts {
		p = frames.AppendMasked(p, frames.Header{Fin: true, Opcode: frames.Text}, []byte(text))
	}
	return p
}

// Send sends texts in one piece.
func (c *Client) Send(texts ...string) {
	c.t.Helper()
	if _, err := c.Write(Texts(texts...)); err != nil {
		c.t.Fatal(err)
	}
}

// SendBinary sends a binary message.
func (c *Client) SendBinary(p string) {
	c.t.Helper()
	if _, err := c.Write(frames.AppendMasked(nil, frames.Header{Fin: true, Opcode: frames.Binary}, []byte(p))); err != nil {
		c.t.Fatal(err)
	}
}

// ReadFrame reads one frame.
func (c *Client) ReadFrame() (frames.Opcode, []byte, error) {
	if len(c.pending) > 0 {
		first := c.pending[0]
		c.pending = c.pending[1:]
		return first.opcode, first.payload, nil
	}
	return c.readFrame()
}

func (c *Client) readFrame() (frames.Opcode, []byte, error) {
	size := 2
	for {
		p, err := c.reader.Peek(size)
		if err != nil {
			return 0, nil, err
		}
		h, n, err := frames.ParseHeader(p)
		if err != nil {
			return 0, nil, err
		}
		if n == 0 {
			size++
			continue
		}
		payload := make([]byte, h.Length)
		if _, err := c.reader.Discard(n); err != nil {
			return 0, nil, err
		}
		_, err = io.ReadFull(c.reader, payload)
		return h.Opcode, payload, err
	}
}

// errNotText is what ReadText returns for another frame.
var errNotText = errors.New("frame is no text")

// ReadText reads a text message.
func (c *Client) ReadText() (string, error) {
	op, p, err := c.ReadFrame()
	if err == nil && op != frames.Text {
		err = errNotText
	}
	return string(p), err
}

// Expect reads texts and compares them.
func (c *Client) Expect(texts ...string) {
	c.t.Helper()
	for _, want := range texts {
		if got, err := c.ReadText(); err != nil || got != want {
			c.t.Fatalf("read %q, %v; want %q", got, err, want)
		}
	}
}

// ExpectPrefix reads a text and compares its beginning.
func (c *Client) ExpectPrefix(prefix string) {
	c.t.Helper()
	if got, err := c.ReadText(); err != nil || !strings.HasPrefix(got, prefix) {
		c.t.Fatalf("read %q, %v; want %q and more", got, err, prefix)
	}
}

// ExpectAfter reads texts until one is as expected.
func (c *Client) ExpectAfter(want string) {
	c.t.Helper()
	for last := ""; last != want; {
		text, err := c.ReadText()
		if err != nil {
			c.t.Fatalf("read %q, then %v; want %q", last, err, want)
		}
		last = text
	}
}

// ExpectClose reads a close frame, skipping nothing, and answers it.
func (c *Client) ExpectClose(code frames.CloseCode) {
	c.t.Helper()
	op, p, err := c.ReadFrame()
	if err != nil || op != frames.Close {
		c.t.Fatalf("read %v %q, %v; want close %d", op, p, err, code)
	}
	if got, reason, err := frames.ParseClose(p); err != nil || got != code {
		c.t.Fatalf("closed with %d %q, %v; want %d", got, reason, err, code)
	}
	_, _ = c.Write(frames.AppendMasked(nil, frames.Header{Fin: true, Opcode: frames.Close}, p))
}

// Leave closes the connection and waits until the member is out of the room, which may
// take as long as its messages are not settled.
func (c *Client) Leave() {
	c.t.Helper()
	c.end(c.Close)
}

// Cut is Leave with a connection that is lost: nothing of the member is waited for.
func (c *Client) Cut() {
	c.t.Helper()
	c.end(func() error { return errors.Join(c.Conn.(*net.TCPConn).SetLinger(0), c.Close()) })
}

func (c *Client) end(closing func() error) {
	c.t.Helper()
	room := c.Member.App().Room()
	before := room.Len()
	if err := closing(); err != nil {
		c.t.Error(err)
	}
	Until(c.t, "the member to be out", func() bool { return room.Len() < before })
}
