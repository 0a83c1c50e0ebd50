package blackbox

import (
	"encoding/binary"
	"io"
)

// Frames as RFC 6455, section 5.2 has them, written and read here once more so
// that the product is not judged by its own words.

const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA

	rsv1 = 0x40
	rsv2 = 0x20
	rsv3 = 0x10
)

// frame is one frame.
type frame struct {
	op      byte
	fin     bool
	rsv     byte
	payload string
}

// bytes is the frame as a client sends it: masked.
func (f frame) bytes() []byte {
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	b := append(frameHeader(f, true), key[:]...)
	for i := range len(f.payload) {
		b = append(b, f.payload[i]^key[i%4])
	}
	return b
}

// frameHeader is what comes before the masking key.
func frameHeader(f frame, masked bool) []byte {
	first, second := f.op|f.rsv, byte(0)
	if f.fin {
		first |= 0x80
	}
	if masked {
		second = 0x80
	}
	switch n := len(f.payload); {
	case n < 126:
		return []byte{first, second | byte(n)}
	case n < 1<<16:
		return binary.BigEndian.AppendUint16([]byte{first, second | 126}, uint16(n))
	default:
		return binary.BigEndian.AppendUint64([]byte{first, second | 127}, uint64(n))
	}
}

// text, ping and so on are frames on the wire.
func text(payload string) string {
	return string(frame{op: opText, fin: true, payload: payload}.bytes())
}
func begin(payload string) string { return string(frame{op: opText, payload: payload}.bytes()) }
func more(payload string) string  { return string(frame{op: opContinuation, payload: payload}.bytes()) }
func last(payload string) string {
	return string(frame{op: opContinuation, fin: true, payload: payload}.bytes())
}
func ping(payload string) string {
	return string(frame{op: opPing, fin: true, payload: payload}.bytes())
}
func pong(payload string) string {
	return string(frame{op: opPong, fin: true, payload: payload}.bytes())
}

// closing is a close frame.
func closing(code uint16, reason string) string {
	payload := string(binary.BigEndian.AppendUint16(nil, code)) + reason
	return string(frame{op: opClose, fin: true, payload: payload}.bytes())
}

// readFrame reads a frame of the server, which masks none.
func readFrame(r io.Reader) (frame, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, err
	}
	n := uint64(head[1])
	extended := make([]byte, map[uint64]int{126: 2, 127: 8}[n])
	if _, err := io.ReadFull(r, extended); err != nil {
		return frame{}, err
	}
	if len(extended) > 0 {
		n = 0
		for _, b := range extended {
			n = n<<8 | uint64(b)
		}
	}
	payload := make([]byte, n)
	_, err := io.ReadFull(r, payload)
	return frame{op: head[0] & 0xf, fin: head[0]&0x80 != 0, rsv: head[0] & 0x70, payload: string(payload)}, err
}

// frame reads the next frame.
func (c *socket) frame() frame {
	c.t.Helper()
	f, err := readFrame(c.r)
	if err != nil {
		c.t.Fatalf("reading a frame: %v", err)
	}
	return f
}

// expect reads frames, which must be these.
func (c *socket) expect(frames ...frame) {
	c.t.Helper()
	for _, want := range frames {
		if got := c.frame(); got != want {
			c.t.Fatalf("got %.100q, want %.100q", show(got), show(want))
		}
	}
}

// expectText reads text messages, each in one frame.
func (c *socket) expectText(messages ...string) {
	c.t.Helper()
	for _, m := range messages {
		c.expect(frame{op: opText, fin: true, payload: m})
	}
}

// expectClose reads a close frame with a code, or without any if code is 0, and
// then the end of the connection.
func (c *socket) expectClose(code uint16) {
	c.t.Helper()
	f := c.frame()
	if f.op != opClose || !f.fin || f.rsv != 0 {
		c.t.Fatalf("got %.100q, want a close frame", show(f))
	}
	got := uint16(0)
	if len(f.payload) >= 2 {
		got = binary.BigEndian.Uint16([]byte(f.payload))
	}
	if got != code {
		c.t.Fatalf("closed with %d %q, want %d", got, f.payload, code)
	}
	c.expectEnd()
}

// expectEnd reads the end of the connection: the server is the one to end it.
func (c *socket) expectEnd() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.r); err != nil || len(rest) > 0 {
		c.t.Fatalf("after the close frame: %q, %v", rest, err)
	}
}

// show is the frame in a message of a failing test.
func show(f frame) string { return string(frameHeader(f, false)) + f.payload }

// sampleKey and sampleAccept are RFC 6455's own, section 1.3.
const (
	sampleKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	sampleAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// handshake is a request for an upgrade.
func handshake(path string, more ...string) string {
	request := "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + sampleKey + "\r\n"
	for _, line := range more {
		request += line + "\r\n"
	}
	return request + "\r\n"
}

// upgrade opens a WebSocket over the connection.
func (c *socket) upgrade(path string, more ...string) answer {
	c.t.Helper()
	c.write(handshake(path, more...))
	a := c.response()
	if a.status != 101 {
		c.t.Fatalf("upgrading %s: %+v", path, a)
	}
	return a
}

// join is upgrade, and returns when the connection is served.
func (c *socket) join(path string, more ...string) {
	c.t.Helper()
	c.upgrade(path, more...)
	c.write(ping("served"))
	c.expectAfterState(frame{op: opPong, fin: true, payload: "served"})
}
