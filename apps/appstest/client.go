package appstest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/socket"
)

// Client is one client in a room. What it is sent waits for it without bound, and
// so does what it sends: only what it expects takes time.
type Client struct {
	// Immutable.
	t    testing.TB
	conn net.Conn
	here chan struct{} // closed when it is a member, or has been one
	gone chan struct{} // closed when the server has let go of it

	received *mailbox // frames of the server
	sending  *mailbox // frames to the server

	// Owned by the test's goroutine.
	story []string // what was received, for a failing test
	json  bool     // it speaks the subprotocol json
	seen  string   // the point of what it has received, if it does
}

// frame is a whole message or a control frame. That of the end is a close frame.
type frame struct {
	opcode  frames.Opcode
	payload []byte
}

// hangUp in place of an opcode ends the connection.
const hangUp frames.Opcode = 0xFF

func (r *Room) serve(member *hub.Connection) *Client {
	r.t.Helper()
	server, conn := net.Pipe()
	c := &Client{
		t: r.t, conn: conn,
		here: make(chan struct{}), gone: make(chan struct{}),
		received: newMailbox(), sending: newMailbox(),
		json: member.Format() == message.JSON,
	}
	r.clients = append(r.clients, c)
	r.serving.Go(func() {
		defer close(c.gone)
		defer c.sending.close()
		member.Serve(socket.Transport{Conn: server})
	})
	r.serving.Go(c.read)
	r.serving.Go(c.write)
	c.sending.put(frame{frames.Ping, []byte(knock)})
	c.await(c.here, "taken in the connection")
	return c
}

// knock is the payload of a ping whose answer tells that somebody listens.
const knock = "knock"

// read receives until the end, and answers what a client has to answer.
func (c *Client) read() {
	arrived := sync.OnceFunc(func() { close(c.here) })
	defer arrived()
	in := bufio.NewReader(c.conn)
	for {
		f, err := readFrame(in)
		if err != nil {
			c.received.put(frame{frames.Close, binary.BigEndian.AppendUint16(nil, uint16(frames.Abnormal))})
			return
		}
		switch f.opcode {
		case frames.Ping:
			c.sending.put(frame{frames.Pong, f.payload})
			continue
		case frames.Pong:
			if string(f.payload) == knock {
				arrived()
				continue
			}
		case frames.Close:
			c.received.put(f)
			c.sending.put(f)
			c.sending.put(frame{opcode: hangUp})
			_, _ = io.Copy(io.Discard, in) // until one side has ended the connection
			return
		}
		c.received.put(f)
	}
}

// readFrame reads a frame. The hub sends each message in one.
func readFrame(in *bufio.Reader) (frame, error) {
	for n := 2; ; n++ {
		p, err := in.Peek(n)
		if err != nil {
			return frame{}, err
		}
		h, size, err := frames.ParseHeader(p)
		if err != nil {
			return frame{}, err
		}
		if size == 0 {
			continue
		}
		payload := make([]byte, size+int(h.Length))
		_, err = io.ReadFull(in, payload)
		return frame{h.Opcode, payload[size:]}, err
	}
}

func (c *Client) write() {
	for {
		f, ok := c.sending.wait(nil)
		if !ok {
			return
		}
		if f.opcode == hangUp {
			c.conn.Close()
			return
		}
		h := frames.Header{Fin: true, Opcode: f.opcode, Key: [4]byte{1, 2, 3, 4}}
		if _, err := c.conn.Write(frames.AppendMasked(nil, h, f.payload)); err != nil {
			return
		}
	}
}

// Send sends a text message.
func (c *Client) Send(text string) { c.sending.put(frame{frames.Text, []byte(text)}) }

// SendBinary sends a binary message.
func (c *Client) SendBinary(p []byte) { c.sending.put(frame{frames.Binary, bytes.Clone(p)}) }

// Expect fails the test unless the next messages are these texts.
func (c *Client) Expect(texts ...string) {
	c.t.Helper()
	for _, want := range texts {
		wanted := fmt.Sprintf("%q", want)
		if f := c.next(wanted); f.opcode != frames.Text || string(f.payload) != want {
			c.wrong(f, wanted)
		}
	}
}

// ExpectBinary fails the test unless the next message is this binary one.
func (c *Client) ExpectBinary(p []byte) {
	c.t.Helper()
	wanted := fmt.Sprintf("binary %q", p)
	if f := c.next(wanted); f.opcode != frames.Binary || !bytes.Equal(f.payload, p) {
		c.wrong(f, wanted)
	}
}

// ExpectJSON fails the test unless the next message is an object that has the
// fields of this one, with the same values. Others, such as epoch and version,
// may be anything.
func (c *Client) ExpectJSON(object string) {
	c.t.Helper()
	want, err := fields([]byte(object))
	if err != nil {
		c.t.Fatalf("%s is not what ExpectJSON can look for: %v", object, err)
	}
	if f := c.next(object); !f.has(want) {
		c.wrong(f, object)
	}
}

// ExpectEvent fails the test unless the next message is an event of this name that has the
// fields of this object; see ExpectJSON. The client must speak the subprotocol json.
func (c *Client) ExpectEvent(name, object string) {
	c.t.Helper()
	want, wanted := event(c.t, name, object)
	want["type"] = "event"
	if f := c.next(wanted); !f.has(want) {
		c.wrong(f, wanted)
	}
}

// ExpectGap fails the test unless the client, which has come back [After] a point, is told
// next that events have been forgotten since. It must speak the subprotocol json.
func (c *Client) ExpectGap() {
	c.t.Helper()
	c.ExpectJSON(`{"type":"gap"}`)
}

// Seen returns what a client says that comes back, see [After]: the point of the last
// state, update or event that it was sent and has expected. The client must speak the
// subprotocol json.
func (c *Client) Seen() string {
	c.t.Helper()
	if c.seen == "" {
		c.t.Fatalf("the client has seen no state, update or event%s", c.before())
	}
	return c.seen
}

// see notes what the client has seen with a message.
func (c *Client) see(f frame) {
	got, _ := fields(f.payload)
	switch got["type"] {
	case "state", "update", "event":
		c.seen = fmt.Sprintf("%v-%v", got["epoch"], got["version"])
		if number, ok := got["number"]; ok {
			c.seen += fmt.Sprintf("-%v", number)
		}
	}
}

// event returns the fields that an event of a name must have, and what to call it.
func event(t testing.TB, name, object string) (want map[string]any, wanted string) {
	t.Helper()
	want, err := fields([]byte(object))
	if err != nil || want == nil {
		t.Fatalf("%s is not what ExpectEvent can look for: %v", object, err)
	}
	want["event"] = name
	return want, "event " + name + " " + object
}

// has reports whether f is an object with these fields.
func (f frame) has(want map[string]any) bool {
	got, err := fields(f.payload)
	if f.opcode != frames.Text || err != nil {
		return false
	}
	for name, value := range want {
		if !reflect.DeepEqual(got[name], value) {
			return false
		}
	}
	return true
}

// fields decodes an object, with its numbers as they are written.
func fields(object []byte) (fields map[string]any, err error) {
	d := json.NewDecoder(bytes.NewReader(object))
	d.UseNumber()
	err = d.Decode(&fields)
	return fields, err
}

// ExpectClosed fails the test unless the connection ends next, with this close
// code; 1006 is an end without one (RFC 6455 section 7.1.5). When it returns, an
// inline app has been told; others are told once they are done with the messages.
func (c *Client) ExpectClosed(code int) {
	c.t.Helper()
	wanted := fmt.Sprintf("close %d", code)
	f := c.next(wanted)
	if f.opcode != frames.Close || f.code() != code {
		c.wrong(f, wanted)
	}
	c.await(c.gone, letGo)
}

// ExpectNothing fails the test if a message has been sent to the client that it
// has not expected yet. It asks the server for a sign of life and looks at what
// comes before it.
func (c *Client) ExpectNothing() {
	c.t.Helper()
	c.sending.put(frame{opcode: frames.Ping})
	if f := c.next("nothing"); f.opcode != frames.Pong {
		c.wrong(f, "nothing")
	}
}

// Receive returns the next message, which has to be a text.
func (c *Client) Receive() string {
	c.t.Helper()
	f := c.next("a text")
	if f.opcode != frames.Text {
		c.wrong(f, "a text")
	}
	return string(f.payload)
}

// Leave closes the connection as a browser does, with 1000 and after what was
// sent before, and returns when the connection has ended, as ExpectClosed does.
func (c *Client) Leave() {
	c.t.Helper()
	c.sending.put(frame{frames.Close, frames.AppendClose(nil, frames.NormalClosure, "")})
	c.await(c.gone, letGo)
}

// Cut ends the connection without a word, as a network does, and returns when it
// has ended for the server too, as ExpectClosed does. A server that does not read
// because messages wait does not see that.
func (c *Client) Cut() {
	c.t.Helper()
	c.conn.Close()
	c.await(c.gone, letGo)
}

const letGo = "let go of the connection"

// await waits until the server has done something.
func (c *Client) await(done <-chan struct{}, what string) {
	c.t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		c.t.Fatalf("the server has not %s within %v%s", what, patience, c.before())
	}
}

// next returns the next frame but fails the test if none comes.
func (c *Client) next(wanted string) frame {
	c.t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	f, ok := c.received.wait(timer.C)
	if !ok {
		c.t.Fatalf("expected %s, got nothing within %v%s", wanted, patience, c.before())
	}
	if f.opcode != frames.Pong {
		c.story = append(c.story, f.String())
	}
	if c.json && f.opcode == frames.Text {
		c.see(f)
	}
	return f
}

func (c *Client) wrong(f frame, wanted string) {
	c.t.Helper()
	c.story = c.story[:max(0, len(c.story)-1)]
	c.t.Fatalf("expected %s, got %s%s", wanted, f, c.before())
}

// before tells what was received before.
func (c *Client) before() string {
	if len(c.story) == 0 {
		return "; before that: nothing"
	}
	return "; before that: " + strings.Join(c.story[max(0, len(c.story)-20):], ", ")
}

// String is the frame in a failing test's words.
func (f frame) String() string {
	switch f.opcode {
	case frames.Text:
		return fmt.Sprintf("%q", f.payload)
	case frames.Close:
		return fmt.Sprintf("close %d %q", f.code(), f.payload[min(2, len(f.payload)):])
	}
	return fmt.Sprintf("%v %q", f.opcode, f.payload)
}

// code is the code of a close frame.
func (f frame) code() int {
	if len(f.payload) < 2 {
		return int(frames.NoStatus)
	}
	return int(binary.BigEndian.Uint16(f.payload))
}

// mailbox is a queue without bound, for one taker.
type mailbox struct {
	mu     sync.Mutex
	frames []frame       // guarded by mu
	closed bool          // guarded by mu
	news   chan struct{} // holds one token once something was put in; never closed
}

func newMailbox() *mailbox { return &mailbox{news: make(chan struct{}, 1)} }

func (b *mailbox) put(f frame) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.frames = append(b.frames, f)
	b.wake()
}

func (b *mailbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.wake()
}

func (b *mailbox) wake() {
	select {
	case b.news <- struct{}{}:
	default:
	}
}

// wait takes a frame; it fails when the mailbox is closed or the time is up.
func (b *mailbox) wait(timeUp <-chan time.Time) (f frame, ok bool) {
	for {
		f, ok, closed := b.take()
		if ok || closed {
			return f, ok
		}
		select {
		case <-b.news:
		case <-timeUp:
			return frame{}, false
		}
	}
}

func (b *mailbox) take() (f frame, ok, closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.frames) == 0 || b.closed {
		return frame{}, false, b.closed
	}
	f = b.frames[0]
	b.frames = b.frames[1:]
	return f, true, false
}
