package blackbox

import (
	"bytes"
	"compress/flate"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

const framesConfig = `
(routes) {
	websocket /echo echo
	websocket /sum sum
	websocket /deflate {
		app echo
		compression
	}
}
:PORT {
	import routes
}
localhost:TLSPORT {
	tls internal
	import routes
}`

// overBoth runs a test over a plain TCP connection and over TLS. connect opens a
// new one each time.
func overBoth(t *testing.T, test func(t *testing.T, connect func(*testing.T) *socket)) {
	overBothWith(t, framesConfig, test)
}

func overBothWith(t *testing.T, config string, test func(t *testing.T, connect func(*testing.T) *socket)) {
	s := start(t, config)
	t.Run("ws", func(t *testing.T) { test(t, s.connect) })
	t.Run("wss", func(t *testing.T) {
		config := s.tls()
		test(t, func(t *testing.T) *socket { return s.connectTLS(t, config) })
	})
}

// What a client may send, and what it gets.
func TestGoodFrames(t *testing.T) {
	whole := func(op byte, payload string) frame { return frame{op: op, fin: true, payload: payload} }
	long := strings.Repeat("x", 64<<10)
	tests := []struct {
		name, sent string
		want       []frame
	}{
		{"text", text("Hello"), []frame{whole(opText, "Hello")}},
		{"empty", text(""), []frame{whole(opText, "")}},
		{"binary", string(frame{op: opBinary, fin: true, payload: "\x00\xff"}.bytes()), []frame{whole(opBinary, "\x00\xff")}},
		{"UTF-8 of all lengths", text("a\u00e4\u20ac\U0001f600\x00"), []frame{whole(opText, "a\u00e4\u20ac\U0001f600\x00")}},
		{"125 bytes", text(long[:125]), []frame{whole(opText, long[:125])}},
		{"126 bytes", text(long[:126]), []frame{whole(opText, long[:126])}},
		{"65535 bytes", text(long[:65535]), []frame{whole(opText, long[:65535])}},
		{"65536 bytes, the largest", text(long), []frame{whole(opText, long)}},
		{"several at once", text("1") + text("2") + text("3"), []frame{whole(opText, "1"), whole(opText, "2"), whole(opText, "3")}},
		{"fragments", begin("Hel") + more("") + more("l") + last("o"), []frame{whole(opText, "Hello")}},
		{"fragments of nothing", begin("") + more("") + last(""), []frame{whole(opText, "")}},
		{"a character in two fragments", begin("\xe2\x82") + last("\xac"), []frame{whole(opText, "\u20ac")}},
		{"ping", ping("are you there"), []frame{whole(opPong, "are you there")}},
		{"empty ping", ping(""), []frame{whole(opPong, "")}},
		{"ping of 125 bytes", ping(long[:125]), []frame{whole(opPong, long[:125])}},
		{"ping between fragments", begin("Hel") + ping("p") + last("lo"), []frame{whole(opPong, "p"), whole(opText, "Hello")}},
		{"pong that nobody asked for", pong("x") + begin("Hel") + pong("") + last("lo"), []frame{whole(opText, "Hello")}},
	}
	overBoth(t, func(t *testing.T, connect func(*testing.T) *socket) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				c := connect(t)
				c.upgrade("/echo")
				c.write(test.sent)
				c.expect(test.want...)
				c.write(closing(1000, ""))
				c.expectClose(1000)
			})
		}
		t.Run("byte by byte", func(t *testing.T) {
			c := connect(t)
			for _, b := range []byte(handshake("/echo") + begin("Hel") + ping("p") + last("lo") + closing(1000, "bye")) {
				c.write(string([]byte{b}))
			}
			c.response()
			c.expect(whole(opPong, "p"), whole(opText, "Hello"))
			c.expectClose(1000)
		})
		t.Run("in one segment with the handshake", func(t *testing.T) {
			c := connect(t)
			c.write(handshake("/echo") + text("1") + text("2"))
			c.response()
			c.expectText("1", "2")
		})
	})
}

// What a client must not send. A good message before it is answered, so that
// what is refused is that frame and nothing else; one after it is not.
func TestBadFrames(t *testing.T) {
	long := strings.Repeat("x", 64<<10+1)
	tests := []struct {
		name, sent string
		code       uint16
	}{
		{"not masked", string(frameHeader(frame{op: opText, fin: true, payload: "Hello"}, false)) + "Hello", 1002},
		{"RSV1 without an extension", string(frame{op: opText, fin: true, rsv: rsv1}.bytes()), 1002},
		{"RSV2", string(frame{op: opText, fin: true, rsv: rsv2}.bytes()), 1002},
		{"RSV3", string(frame{op: opText, fin: true, rsv: rsv3}.bytes()), 1002},
		{"RSV1 on a ping", string(frame{op: opPing, fin: true, rsv: rsv1}.bytes()), 1002},
		{"reserved data opcode", string(frame{op: 0x3, fin: true}.bytes()), 1002},
		{"reserved control opcode", string(frame{op: 0xB, fin: true}.bytes()), 1002},
		{"fragmented ping", string(frame{op: opPing}.bytes()), 1002},
		{"ping of 126 bytes", ping(long[:126]), 1002},
		{"continuation of nothing", last("x"), 1002},
		{"message inside a message", begin("x") + text("y"), 1002},
		{"16-bit length of 125", "\x81\xfe\x00\x7d", 1002},
		{"64-bit length of 65535", "\x81\xff\x00\x00\x00\x00\x00\x00\xff\xff", 1002},
		{"64-bit length with the top bit", "\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00", 1002},
		{"too large", text(long), 1009},
		{"too large, told by the header alone", "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff" + "mask", 1009},
		{"too large in sum", begin(long[:40000]) + last(long[:40000]), 1009},
		{"not UTF-8", text("a\xffb"), 1007},
		{"overlong UTF-8", text("\xc0\xaf"), 1007},
		{"surrogate", text("\xed\xa0\x80"), 1007},
		{"beyond Unicode", text("\xf4\x90\x80\x80"), 1007},
		{"half a character", text("\xe2\x82"), 1007},
		{"half a character in fragments", begin("\xe2") + last("\x82"), 1007},
		{"close frame with one byte", string(frame{op: opClose, fin: true, payload: "x"}.bytes()), 1002},
		{"close code 999", closing(999, ""), 1002},
		{"close code 1004", closing(1004, ""), 1002},
		{"close code 1005", closing(1005, ""), 1002},
		{"close code 1006", closing(1006, ""), 1002},
		{"close code 1015", closing(1015, ""), 1002},
		{"close code 2999", closing(2999, ""), 1002},
		{"close code 5000", closing(5000, ""), 1002},
		{"close reason not UTF-8", closing(1000, "\xff"), 1007},
	}
	overBoth(t, func(t *testing.T, connect func(*testing.T) *socket) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				c := connect(t)
				c.upgrade("/echo")
				c.write(text("before"))
				c.expectText("before")
				c.write(test.sent)
				c.expectClose(test.code)
			})
		}
	})
}

// A close frame is answered with its code, and the server ends the connection.
func TestCloseIsEchoed(t *testing.T) {
	overBoth(t, func(t *testing.T, connect func(*testing.T) *socket) {
		for _, code := range []uint16{1000, 1001, 1003, 1007, 1011, 3000, 4999} {
			c := connect(t)
			c.upgrade("/echo")
			c.write(text("before") + closing(code, "r\u00e4ason") + text("after"))
			c.expectText("before")
			c.expectClose(code)
		}
		c := connect(t)
		c.upgrade("/echo")
		c.write(string(frame{op: opClose, fin: true}.bytes()))
		c.expectClose(0)
	})
}

// deflated compresses a message as RFC 7692, section 7.2.1 says.
func deflated(message string) string {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression)
	w.Write([]byte(message))
	w.Flush()
	return strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")
}

func inflated(t *testing.T, payload string) string {
	t.Helper()
	message, err := io.ReadAll(flate.NewReader(strings.NewReader(payload + "\x00\x00\xff\xff\x01\x00\x00\xff\xff")))
	if err != nil {
		t.Fatal(err)
	}
	return string(message)
}

const deflateOffer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"

// Large messages are compressed, small ones are not, and what a client sends may
// be either.
func TestCompression(t *testing.T) {
	overBoth(t, func(t *testing.T, connect func(*testing.T) *socket) {
		c := connect(t)
		a := c.upgrade("/deflate", deflateOffer)
		const agreed = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
		if got := a.header.Get("Sec-WebSocket-Extensions"); got != agreed {
			t.Fatalf("agreed on %q", got)
		}
		small, large := "small", strings.Repeat("large ", 5000)
		for _, sent := range []frame{
			{op: opText, fin: true, payload: small},
			{op: opText, fin: true, rsv: rsv1, payload: deflated(small)},
		} {
			c.write(string(sent.bytes()))
			c.expectText(small)
		}
		z := deflated(large)
		for _, sent := range []string{
			text(large),
			string(frame{op: opText, fin: true, rsv: rsv1, payload: z}.bytes()),
			string(frame{op: opText, rsv: rsv1, payload: z[:9]}.bytes()) + ping("") + more(z[9:20]) + last(z[20:]),
		} {
			c.write(sent)
			f := c.frame()
			if f.op == opPong {
				f = c.frame()
			}
			if f.op != opText || !f.fin || f.rsv != rsv1 || inflated(t, f.payload) != large || len(f.payload) > 1000 {
				t.Fatalf("got %.100q", show(f))
			}
		}
		c.write(closing(1000, ""))
		c.expectClose(1000)
	})
}

// What is wrong with a compressed message ends the connection, before more than
// the limit was inflated.
func TestBadCompression(t *testing.T) {
	bomb := deflated(strings.Repeat("\x00", 50<<20))
	tests := []struct {
		name, sent string
		code       uint16
	}{
		{"bomb", string(frame{op: opBinary, fin: true, rsv: rsv1, payload: bomb}.bytes()), 1009},
		{"one byte too large", string(frame{op: opText, fin: true, rsv: rsv1, payload: deflated(strings.Repeat("x", 64<<10+1))}.bytes()), 1009},
		{"no deflate data", string(frame{op: opText, fin: true, rsv: rsv1, payload: "\xff\xff\xff"}.bytes()), 1007},
		{"not UTF-8 inside", string(frame{op: opText, fin: true, rsv: rsv1, payload: deflated("a\xffb")}.bytes()), 1007},
		{"RSV1 on a continuation", begin("x") + string(frame{op: opContinuation, fin: true, rsv: rsv1}.bytes()), 1002},
		{"RSV1 on a ping", string(frame{op: opPing, fin: true, rsv: rsv1}.bytes()), 1002},
		{"RSV2", string(frame{op: opText, fin: true, rsv: rsv1 | rsv2}.bytes()), 1002},
	}
	overBoth(t, func(t *testing.T, connect func(*testing.T) *socket) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				c := connect(t)
				c.upgrade("/deflate", deflateOffer)
				c.write(text("before"))
				c.expectText("before")
				c.write(test.sent)
				c.expectClose(test.code)
			})
		}
	})
}

// gorilla's client offers compression, compresses and inflates.
func TestCompressionWithGorilla(t *testing.T) {
	s := start(t, framesConfig)
	for path, agreed := range map[string]bool{"/deflate": true, "/echo": false} {
		c := dialWith(t, &websocket.Dialer{EnableCompression: true}, "ws://"+s.address()+path)
		if got := c.answer.Header.Get("Sec-WebSocket-Extensions"); strings.HasPrefix(got, "permessage-deflate") != agreed {
			t.Errorf("%s agreed on %q", path, got)
		}
		for _, message := range []string{"", "small", strings.Repeat("large ", 5000)} {
			if err := c.WriteMessage(websocket.TextMessage, []byte(message)); err != nil {
				t.Fatal(err)
			}
			c.expect(message)
		}
	}
}

// A server that hears nothing asks, and one that hears nothing then ends the
// connection.
func TestSilentClientsArePinged(t *testing.T) {
	s := start(t, `:PORT {
		websocket /patient {
			app echo
			ping 50ms 1m
		}
		websocket /hasty {
			app echo
			ping 50ms 50ms
		}
	}`)
	c := s.connect(t)
	c.upgrade("/patient")
	for range 3 {
		f := c.frame()
		if f.op != opPing || !f.fin || f.rsv != 0 {
			t.Fatalf("got %q, want a ping", show(f))
		}
		c.write(pong(f.payload))
	}
	c = s.connect(t)
	c.upgrade("/hasty")
	if f := c.frame(); f.op != opPing {
		t.Fatalf("got %q, want a ping", show(f))
	}
	defer time.AfterFunc(patience, func() { c.Close() }).Stop()
	for {
		f, err := readFrame(c.r)
		if err != nil {
			break // cut
		}
		if f.op == opText {
			t.Fatalf("got %q", show(f))
		}
	}
	s.log.wait(t, "no sign of life")
}
