package caddyws

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/caddyws/caddy-websocket/frames"
)

// goodbyesConfig is a site whose largest message is small.
const goodbyesConfig = `https://localhost:TLSPORT {
	tls CERTIFICATE CERTIFICATE
	websocket /sum sum
	websocket /echo {
		app echo
		max_message_size 1000B
	}
}`

// ends checks that the server has ended the stream in good order.
func (b *bidirectional) ends(t *testing.T) {
	t.Helper()
	if n, err := b.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %d bytes, %v", n, err)
	}
}

// ended is how the log tells that a connection ended.
func ended(t *testing.T) entry {
	t.Helper()
	return logged.wait(t, "the end", isMessage("connection ended"))
}

// A client that ends its own direction is sent what it is owed, a close frame and
// the end of the stream.
func TestHalfCloseOverStreams(t *testing.T) {
	overStreamsOf(t, goodbyesConfig, func(t *testing.T, _ *server, open func(path, protocol string) *bidirectional) {
		b := open("/sum", "websocket")
		b.expect(t, frames.Text, `"total":0`)
		b.say(t, frames.Text, "6")
		b.closeWrite()
		b.expect(t, frames.Text, `"type":"reply"`)
		b.expect(t, frames.Close, "\x03\xe8")
		b.ends(t)
		if e := ended(t); e["code"] != 1006. || e["error"] != nil {
			t.Errorf("logged %v", e)
		}
		silent := open("/echo", "websocket")
		silent.closeWrite()
		silent.expect(t, frames.Close, "\x03\xe8")
		silent.ends(t)
	})
}

// So is one over HTTP/1.1, however large the answer is.
func TestHalfCloseWithALargeAnswer(t *testing.T) {
	s := start(t, site("/echo", "echo", "max_message_size 16MiB"))
	large := strings.Repeat("x", 12<<20)
	for range 5 {
		c := s.dial("/echo")
		c.send(large)
		if err := c.NetConn().(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		c.expect(large)
		c.expectClose(websocket.CloseNormalClosure)
	}
}

// A stream whose client has broken a rule ends when the client has answered, with
// whatever it was saying before it knew.
func TestAViolationOverStreamsEndsWithTheAnswer(t *testing.T) {
	overStreamsOf(t, goodbyesConfig, func(t *testing.T, _ *server, open func(path, protocol string) *bidirectional) {
		for _, test := range []struct {
			code    string
			op      frames.Opcode
			payload string
		}{
			{"\x03\xea", 3, ""},
			{"\x03\xea", frames.Close, "x"},
			{"\x03\xef", frames.Text, "\xff"},
			{"\x03\xf1", frames.Text, strings.Repeat("x", 100_000)},
		} {
			logged.reset()
			b := open("/echo", "websocket")
			b.say(t, test.op, test.payload)
			if test.op != frames.Close {
				b.say(t, frames.Text, "it does not know yet")
			}
			b.expect(t, frames.Close, test.code)
			if test.op != frames.Close {
				b.say(t, frames.Close, test.code)
			}
			b.ends(t)
			if e := ended(t); e["error"] != nil {
				t.Errorf("after %q: logged %v", test.code, e)
			}
		}
	})
}

// A client that does not answer is given up, in good order.
func TestAViolationOverStreamsWithoutAnAnswer(t *testing.T) {
	overStreamsOf(t, goodbyesConfig, func(t *testing.T, _ *server, open func(path, protocol string) *bidirectional) {
		b := open("/echo", "websocket")
		b.say(t, frames.Text, "\xff")
		b.expect(t, frames.Close, "\x03\xef")
		b.ends(t)
		if e := ended(t); e["error"] == nil {
			t.Errorf("logged %v", e)
		}
	})
}

// Where Caddy closes QUIC connections some time after a reload, those who are
// connected by one are told before to come back. Others stay.
func TestReloadWithAGracePeriod(t *testing.T) {
	config := strings.Replace(timeoutsConfig("", ""), "GLOBAL", "GLOBAL\n grace_period 10s", 1)
	s := start(t, config)
	stream, upgraded := s.overHTTP3("/sum", "websocket"), s.dial("/sum", "Sec-WebSocket-Protocol: json")
	stream.expect(t, frames.Text, `"total":0`)
	events := s.followers()
	for _, f := range events {
		f.expect(t, "data: 0")
	}
	s.load(strings.Replace(config, "room r", "room r\n max_message_size 20B", 1))
	stream.expect(t, frames.Close, "\x03\xf4") // 1012
	stream.say(t, frames.Close, "\x03\xf4")
	stream.ends(t)
	if _, err := io.Copy(io.Discard, events[2].lines); err != nil {
		t.Errorf("events over HTTP/3: %v", err)
	}
	logged.wait(t, "the end of the grace period", isMessage("server shutdown"))
	upgraded.send("6")
	for _, f := range events[:2] {
		f.expect(t, "data: 6")
	}
	again := s.overHTTP3("/sum", "websocket")
	again.expect(t, frames.Text, `"total":6`)
}
