package blackbox

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	statelessflate "github.com/klauspost/compress/flate"
)

// permessage-deflate from outside, RFC 7692 as a whole: what is agreed on, and
// messages of every kind and size under it, in both directions.

const deflateConfig = `
(routes) {
	websocket /alone {
		app echo
		compression
	}
	websocket /context {
		app echo
		compression takeover
	}
	websocket /small {
		app echo
		compression
		max_message_size 1000
	}
}
:PORT {
	import routes
}
localhost:TLSPORT {
	tls internal
	import routes
}`

// deflater compresses what a client sends, and inflates what it gets, with a
// window of so many bits each: what it refers to is what the other side is bound
// to have.
type deflater struct {
	out, in           int // bits
	outAlone, inAlone bool
	said, heard       []byte
}

// newest returns the last n bytes.
func newest(p []byte, n int) []byte { return p[max(0, len(p)-n):] }

// compress compresses a message in pieces of half a window, after as much.
func (d *deflater) compress(message string) string {
	if d.outAlone {
		d.said = nil
	}
	var out bytes.Buffer
	for p := range slices.Chunk([]byte(message), min(1<<d.out/2, 8<<10)) {
		statelessflate.StatelessDeflate(&out, p, false, newest(d.said, 1<<d.out/2))
		d.said = append(d.said, p...)
	}
	if len(message) == 0 {
		return "\x00"
	}
	return strings.TrimSuffix(out.String(), "\x00\x00\xff\xff")
}

// inflate undoes what the server has done, which may refer to no more than a
// window of what it has said before.
func (d *deflater) inflate(t *testing.T, f frame) string {
	t.Helper()
	if f.rsv == 0 {
		return f.payload
	}
	if d.inAlone {
		d.heard = nil
	}
	r := flate.NewReaderDict(strings.NewReader(f.payload+"\x00\x00\xff\xff\x01\x00\x00\xff\xff"), newest(d.heard, 1<<d.in))
	message, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("inflating: %v", err)
	}
	d.heard = append(d.heard, message...)
	return string(message)
}

// cut sends a message in so many frames, of which the first says that it is
// compressed.
func cut(op byte, payload string, n int) (sent string) {
	f := frame{op: op, rsv: rsv1}
	for i := range n {
		size := (len(payload) + n - i - 1) / (n - i)
		f.payload, payload = payload[:size], payload[size:]
		f.fin = i == n-1
		sent += string(f.bytes())
		f = frame{op: opContinuation}
	}
	return sent
}

// Messages of what people send, of every size up to the limit.
func deflateMessages() (messages []string) {
	noise := make([]byte, 64<<10)
	rand.NewChaCha8([32]byte{1}).Read(noise)
	for i := range 20 {
		messages = append(messages, fmt.Sprintf(`{"type":"update","version":%d,"total":%d}`, i, 7*i))
	}
	for _, size := range []int{0, 1, 16, 64, 255, 256, 257, 1024, 4096, 8192, 16384, 32768, 65535, 65536} {
		messages = append(messages, strings.Repeat("words that repeat themselves; ", size/30+1)[:size], string(noise[:size]))
	}
	return messages
}

// Every offer is agreed on, in the words that sections 7.1.1 and 7.1.2 demand, and
// kept to: messages of every size come back, whole and in fragments.
func TestDeflateWithEveryWindow(t *testing.T) {
	messages := deflateMessages()
	s := start(t, deflateConfig)
	for _, path := range []string{"/alone", "/context"} {
		for bits := 8; bits <= 15; bits++ {
			t.Run(fmt.Sprint(path[1:], bits), func(t *testing.T) {
				c := s.connect(t)
				a := c.upgrade(path, fmt.Sprintf("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=%d; client_max_window_bits=%d", bits, bits))
				d := &deflater{out: min(bits, 13), in: bits}
				want := fmt.Sprintf("permessage-deflate; server_max_window_bits=%d; client_max_window_bits=%d", bits, d.out)
				if path == "/alone" {
					d.outAlone, d.inAlone = true, true
					want = fmt.Sprintf("permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=%d", bits)
				}
				if got := a.header.Get("Sec-WebSocket-Extensions"); got != want {
					t.Fatalf("agreed on %q, want %q", got, want)
				}
				c.echoes(d, messages)
			})
		}
	}
}

// echoes sends messages, compressed, in one frame and in several, and has them come
// back. Now and then one is not compressed; so are those of very many windows, as
// the plain compressor here is slow.
func (c *socket) echoes(d *deflater, messages []string) {
	c.t.Helper()
	for together := range slices.Chunk(messages, 4) {
		for i, m := range together {
			if i == 3 || len(m) > 64<<d.out {
				c.write(string(frame{op: opBinary, fin: true, payload: m}.bytes()))
			} else {
				c.write(cut(opBinary, d.compress(m), 1+i))
			}
		}
		for _, m := range together {
			c.comesBack(d, m)
		}
	}
	c.write(closing(1000, ""))
	c.expectClose(1000)
}

func (c *socket) comesBack(d *deflater, m string) {
	c.t.Helper()
	f := c.frame()
	if got := d.inflate(c.t, f); f.op != opBinary || !f.fin || got != m {
		c.t.Fatalf("got %.100q of %d bytes, want %.100q of %d", got, len(got), m, len(m))
	}
}

// What a client may ask for beside windows.
func TestDeflateTakeoverOffers(t *testing.T) {
	s := start(t, deflateConfig)
	const name, noServer, noClient = "permessage-deflate", "; server_no_context_takeover", "; client_no_context_takeover"
	for offer, test := range map[string]struct {
		agreed string
		d      deflater
	}{
		name:                              {name, deflater{out: 15, in: 15}},
		name + "; client_max_window_bits": {name + "; client_max_window_bits=13", deflater{out: 13, in: 15}},
		name + noServer:                   {name + noServer, deflater{out: 15, in: 15, inAlone: true}},
		name + noClient:                   {name + noClient, deflater{out: 15, in: 15, outAlone: true}},
		name + noClient + noServer + "; server_max_window_bits=\"9\"": {name + noServer + noClient + "; server_max_window_bits=9", deflater{out: 15, in: 9, outAlone: true, inAlone: true}},
		name + "; server_max_window_bits=16," + name + noServer:       {name + noServer, deflater{out: 15, in: 15, inAlone: true}},
	} {
		t.Run(offer, func(t *testing.T) {
			c := s.connect(t)
			a := c.upgrade("/context", "Sec-WebSocket-Extensions: "+offer)
			if got := a.header.Get("Sec-WebSocket-Extensions"); got != test.agreed {
				t.Fatalf("agreed on %q, want %q", got, test.agreed)
			}
			c.echoes(&test.d, deflateMessages())
		})
	}
}

// Small messages that resemble each other are what takeover is for.
func TestDeflateTakeoverShrinksSmallMessages(t *testing.T) {
	s := start(t, deflateConfig)
	c := s.connect(t)
	c.upgrade("/context", deflateOffer)
	d := &deflater{out: 13, in: 15}
	plain, got := 0, 0
	for i := range 200 {
		m := fmt.Sprintf(`{"type":"update","epoch":"K3VJQ2ZP","version":%d,"total":%d}`, i, 7*i)
		c.write(cut(opBinary, d.compress(m), 1))
		f := c.frame()
		if d.inflate(t, f) != m {
			t.Fatalf("got %q", show(f))
		}
		plain, got = plain+len(m), got+len(f.payload)
	}
	if 3*got > plain {
		t.Errorf("%d bytes came back in %d", plain, got)
	}
}

// What stands behind a block with BFINAL set belongs to the message, and must be
// valid as well (sections 7.2.1 and 7.2.3.4).
func TestDeflateFinalBlocks(t *testing.T) {
	overBothWith(t, deflateConfig, func(t *testing.T, connect func(*testing.T) *socket) {
		for _, path := range []string{"/alone", "/context"} {
			c := connect(t)
			c.upgrade(path, deflateOffer)
			for payload, want := range map[string]string{
				"\xf3\x48\xcd\x01\x00\xca\xc9\x07\x00":             "Hello",
				"\xf3\x48\xcd\xc9\xc9\x07\x00\x00":                 "Hello",
				"\xf3\x48\xcd\xc9\xc9\x07\x00":                     "Hello",
				"\x01\x05\x00\xfa\xffHello\x01\x03\x00\xfc\xff, u": "Hello, u",
			} {
				c.write(cut(opText, payload, 1) + cut(opText, payload, 4))
				c.expectText(want, want)
			}
			c.write(cut(opText, "\xf3\x48\xcd\xc9\xc9\x07\x00garbage", 1))
			c.expectClose(1007)
		}
	})
}

// A context that does not hold what is referred to, and other garbage.
func TestDeflateReferencesBeyondTheContext(t *testing.T) {
	s := start(t, deflateConfig)
	for _, test := range []struct {
		name, path, offer string
		want              uint16
	}{
		{"without context takeover", "/alone", "", 1007},
		{"without the client's", "/context", "; client_no_context_takeover", 1007},
		{"with it", "/context", "", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := s.connect(t)
			c.upgrade(test.path, "Sec-WebSocket-Extensions: permessage-deflate"+test.offer)
			c.write(cut(opText, "\xf2\x48\xcd\xc9\xc9\x07\x00", 1))
			c.expectText("Hello")
			c.write(cut(opText, "\xf2\x00\x11\x00\x00", 1)) // section 7.2.3.2
			if test.want != 0 {
				c.expectClose(test.want)
				return
			}
			c.expectText("Hello")
		})
	}
}

// max_message_size is about messages: it is the same whether they come compressed
// or not.
func TestDeflateLimitIsOnTheMessage(t *testing.T) {
	noise := make([]byte, 1001)
	rand.NewChaCha8([32]byte{2}).Read(noise)
	s := start(t, deflateConfig)
	c := s.connect(t)
	c.upgrade("/small", deflateOffer)
	for _, size := range []int{995, 1000} {
		for n := range 3 {
			c.write(cut(opBinary, deflated(string(noise[:size])), 1+n))
			c.expect(frame{op: opBinary, fin: true, payload: string(noise[:size])})
		}
	}
	c.write(cut(opBinary, deflated(string(noise)), 1))
	c.expectClose(1009)
}

// Members who have agreed on different windows, or on nothing, are told the same.
func TestDeflateBroadcastToEveryWindow(t *testing.T) {
	s := start(t, `:PORT {
		websocket /alone {
			app broadcast
			compression
		}
		websocket /context {
			app broadcast
			compression takeover
		}
	}`)
	for _, path := range []string{"/alone", "/context"} {
		t.Run(path[1:], func(t *testing.T) {
			plain := s.connect(t)
			plain.upgrade(path)
			members := map[*socket]*deflater{plain: {}}
			for bits := 8; bits <= 15; bits++ {
				c := s.connect(t)
				c.upgrade(path, fmt.Sprint("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=", bits))
				members[c] = &deflater{in: bits, inAlone: path == "/alone"}
			}
			for _, m := range deflateMessages() {
				plain.write(string(frame{op: opBinary, fin: true, payload: m}.bytes()))
				for c, d := range members {
					c.comesBack(d, m)
				}
			}
		})
	}
}

// What context takeover costs is what the README says, for clients that fill both
// windows.
func TestMemoryOfContextTakeover(t *testing.T) {
	const clients, each = 200, 17 << 10
	s := besiege(t, ":PORT {\n\twebsocket /bystander echo\n\twebsocket /context {\n\t\tapp echo\n\t\tcompression takeover\n\t}\n}")
	noise := make([]byte, 16<<10)
	rand.NewChaCha8([32]byte{3}).Read(noise)
	s.withstands(t, clients*each>>20+16, func() {
		for _, c := range s.upgraded(t, clients, nil, "/context", deflateOffer) {
			d := &deflater{out: 13, in: 15}
			c.write(cut(opBinary, d.compress(string(noise)), 1))
			c.comesBack(d, string(noise))
		}
	})
}
