package frames_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/caddyws/caddy-websocket/frames"
)

// The streams of clients in this file are read twice: by a loop over this
// package and by a server connection of gorilla, which years of use have tried.
// Both must tell the same events and the same verdict, but for what the list
// differences allows.

// ending is how a stream comes to its end.
type ending int

const (
	brokenOff ending = iota // the bytes ended
	closed                  // by a close frame
	refused                 // for a violation
)

// verdict is what a reader made of a stream.
type verdict struct {
	events []string // messages, pings and pongs in the order of their last byte
	kind   ending
	end    string // code and reason of the close frame
	err    error  // why refused
	op     frames.Opcode
	short  bool // broken off inside a header
}

func (v verdict) String() string {
	return fmt.Sprintf("%q, then %s %s %v", v.events, [...]string{"broken off", "closed", "refused"}[v.kind], v.end, v.err)
}

// differences are all cases in which the two may disagree, each with its reason.
// Where gorilla reads on, our events must be the first of its.
var differences = []struct {
	reason  string
	applies func(ours, theirs verdict) bool
}{
	{"gorilla takes a length that is not in its shortest form; RFC 6455 section 5.2 says MUST",
		func(ours, theirs verdict) bool { return ours.err == frames.ErrLengthNotMinimal }},
	{"gorilla leaves the UTF-8 of text messages to its user; section 8.1 says MUST",
		func(ours, theirs verdict) bool { return ours.err == frames.ErrInvalidUTF8 && ours.op == frames.Text }},
	{"gorilla takes a close payload of one byte for an empty one; section 5.5.1 demands a code of two",
		func(ours, theirs verdict) bool {
			return ours.err == frames.ErrClosePayload && theirs.kind == closed && theirs.end == `1005 ""`
		}},
	{"gorilla does not know close code 1014, which IANA registered",
		func(ours, theirs verdict) bool {
			return ours.kind == closed && strings.HasPrefix(ours.end, "1014 ") && theirs.err != nil && theirs.err.Error() == "websocket: bad close code 1014"
		}},
	{"gorilla judges the first two bytes of a header before the rest has come; ParseHeader waits for it, twelve bytes at most",
		func(ours, theirs verdict) bool { return ours.short && theirs.kind == refused }},
	{"gorilla refuses a message of more than 2^63-1 bytes in all; how large a message grows is for our callers to limit",
		func(ours, theirs verdict) bool {
			return ours.kind == brokenOff && errors.Is(theirs.err, websocket.ErrReadLimit)
		}},
}

// compareVerdicts reads stream both ways and returns ours, for the tests that
// know what it must be, and the reasons of the differences met.
func compareVerdicts(t *testing.T, stream []byte) (ours verdict, reasons []string) {
	t.Helper()
	ours, theirs := ourVerdict(bytes.Clone(stream)), gorillaVerdict(t, stream)
	same := ours.kind == theirs.kind && ours.end == theirs.end && slices.Equal(ours.events, theirs.events)
	if same {
		return ours, nil
	}
	for _, d := range differences {
		if d.applies(ours, theirs) {
			reasons = append(reasons, d.reason)
		}
	}
	first := len(ours.events) <= len(theirs.events) && slices.Equal(ours.events, theirs.events[:len(ours.events)])
	if len(reasons) == 0 || !first {
		t.Fatalf("stream % x\n   ours: %v\ngorilla: %v", stream, ours, theirs)
	}
	return ours, reasons
}

// ourVerdict is a server's reading loop over this package. It unmasks stream in
// place.
func ourVerdict(stream []byte) (v verdict) {
	var text frames.Validator
	var message []byte
	open, fragmented := frames.Binary, false
	for {
		h, n, err := frames.ParseHeader(stream)
		if n > 0 {
			err = frames.Check(h, fragmented, 0)
		}
		if err != nil {
			v.kind, v.err, v.op = refused, err, h.Opcode
			return v
		}
		if n == 0 {
			v.short = len(stream) > 0
			return v
		}
		payload := stream[n:min(uint64(len(stream)), uint64(n)+h.Length)]
		stream = stream[n+len(payload):]
		whole := uint64(len(payload)) == h.Length
		frames.Mask(payload, h.Key, 0)
		if !h.Opcode.IsControl() {
			if h.Opcode != frames.Continuation {
				open, message = h.Opcode, nil
				text.Reset()
			}
			if open == frames.Text && (!text.Write(payload) || whole && h.Fin && !text.Done()) {
				v.kind, v.err, v.op = refused, frames.ErrInvalidUTF8, open
				return v
			}
			message, fragmented = append(message, payload...), !h.Fin
		}
		if !whole {
			return v
		}
		switch h.Opcode {
		case frames.Close:
			code, reason, err := frames.ParseClose(payload)
			if err != nil {
				v.kind, v.err, v.op = refused, err, frames.Close
				return v
			}
			v.kind, v.end = closed, fmt.Sprintf("%d %q", code, reason)
			return v
		case frames.Ping, frames.Pong:
			v.events = append(v.events, event(int(h.Opcode), payload))
		default:
			if h.Fin {
				v.events = append(v.events, event(int(open), message))
			}
		}
	}
}

// gorillaVerdict is gorilla's view of the same stream.
func gorillaVerdict(t *testing.T, stream []byte) (v verdict) {
	t.Helper()
	conn := gorillaConn(t, stream)
	conn.SetPingHandler(func(p string) error {
		v.events = append(v.events, event(websocket.PingMessage, []byte(p)))
		return nil
	})
	conn.SetPongHandler(func(p string) error {
		v.events = append(v.events, event(websocket.PongMessage, []byte(p)))
		return nil
	})
	for {
		op, message, err := conn.ReadMessage()
		var end *websocket.CloseError
		switch {
		case err == nil:
			v.events = append(v.events, event(op, message))
			continue
		case errors.Is(err, io.EOF), websocket.IsCloseError(err, websocket.CloseAbnormalClosure):
		case errors.As(err, &end):
			v.kind, v.end = closed, fmt.Sprintf("%d %q", end.Code, end.Text)
		default:
			v.kind, v.err = refused, err
		}
		return v
	}
}

// event is one message, ping or pong; gorilla numbers them like the RFC.
func event(op int, payload []byte) string {
	return fmt.Sprintf("%v % x", frames.Opcode(op), payload)
}

// gorillaConn upgrades a request on a connection whose client then sends stream.
func gorillaConn(t *testing.T, stream []byte) *websocket.Conn {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket",
		"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		r.Header.Set(name, value)
	}
	upgrader := websocket.Upgrader{ReadBufferSize: 128, WriteBufferSize: 128}
	conn, err := upgrader.Upgrade(&hijacked{ResponseRecorder: httptest.NewRecorder(), conn: streamConn{r: bytes.NewReader(stream)}}, r, nil)
	if err != nil {
		t.Fatalf("upgrading: %v", err)
	}
	return conn
}

// hijacked hands its conn to the upgrader.
type hijacked struct {
	*httptest.ResponseRecorder
	conn streamConn
}

func (h *hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReaderSize(h.conn, 16), bufio.NewWriterSize(h.conn, 16)), nil
}

// streamConn reads from r and forgets what is written.
type streamConn struct {
	net.Conn
	r *bytes.Reader
}

func (c streamConn) Read(p []byte) (int, error)       { return c.r.Read(p) }
func (c streamConn) Write(p []byte) (int, error)      { return len(p), nil }
func (c streamConn) Close() error                     { return nil }
func (c streamConn) SetDeadline(time.Time) error      { return nil }
func (c streamConn) SetWriteDeadline(time.Time) error { return nil }

// appendFrame appends a frame of a client.
func appendFrame(dst []byte, fin bool, op frames.Opcode, payload string) []byte {
	h := frames.Header{Fin: fin, Opcode: op, Key: [4]byte{0x37, 0xfa, 0x21, 0x3d}}
	return frames.AppendMasked(dst, h, []byte(payload))
}

// streams are seeds of the fuzzer and a test of the comparison itself: each
// begins with a message that must arrive, and difference is a word of the
// reason if the two must disagree.
var streams = []struct {
	name       string
	tail       []byte
	kind       ending
	err        error
	difference string
}{
	{"nothing more", nil, brokenOff, nil, ""},
	{"fragments around a ping", slices.Concat(appendFrame(nil, false, frames.Text, "\xe2\x82"), appendFrame(nil, true, frames.Ping, "p"), appendFrame(nil, true, frames.Continuation, "\xac")), brokenOff, nil, ""},
	{"close", appendFrame(nil, true, frames.Close, "\x03\xe8bye"), closed, nil, ""},
	{"close without a code", appendFrame(nil, true, frames.Close, ""), closed, nil, ""},
	{"close, then more", append(appendFrame(nil, true, frames.Close, "\x0f\xa0"), appendFrame(nil, true, frames.Text, "late")...), closed, nil, ""},
	{"bad close code", appendFrame(nil, true, frames.Close, "\x03\xed"), refused, frames.ErrCloseCode, ""},
	{"bad close reason", appendFrame(nil, true, frames.Close, "\x03\xe8\xff"), refused, frames.ErrInvalidUTF8, ""},
	{"reserved bit", []byte{0xC1, 0x80, 0, 0, 0, 0}, refused, frames.ErrReservedBits, ""},
	{"reserved opcode", []byte{0x83, 0x80, 0, 0, 0, 0}, refused, frames.ErrReservedOpcode, ""},
	{"unmasked", []byte{0x81, 0x00}, refused, frames.ErrUnmasked, ""},
	{"fragmented pong", appendFrame(nil, false, frames.Pong, ""), refused, frames.ErrFragmentedControl, ""},
	{"long ping", appendFrame(nil, true, frames.Ping, strings.Repeat("p", 126)), refused, frames.ErrControlTooLong, ""},
	{"continuation of nothing", appendFrame(nil, true, frames.Continuation, "c"), refused, frames.ErrContinuation, ""},
	{"text in text", append(appendFrame(nil, false, frames.Text, "a"), appendFrame(nil, true, frames.Text, "b")...), refused, frames.ErrInterleaved, ""},
	{"length 2^63", []byte{0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, refused, frames.ErrLengthTooLarge, ""},
	{"broken off in a header", []byte{0x82, 0xFE, 0x01}, brokenOff, nil, ""},
	{"broken off in a payload", []byte{0x82, 0x85, 1, 2, 3, 4, 5}, brokenOff, nil, ""},
	{"broken off in a message", appendFrame(nil, false, frames.Binary, "a"), brokenOff, nil, ""},
	{"256 bytes", appendFrame(nil, true, frames.Binary, strings.Repeat("b", 256)), brokenOff, nil, ""},

	{"length not minimal", []byte{0x82, 0xFE, 0, 1, 1, 2, 3, 4, 5}, refused, frames.ErrLengthNotMinimal, "shortest"},
	{"text not UTF-8", append(appendFrame(nil, true, frames.Text, "\xff"), appendFrame(nil, true, frames.Ping, "after")...), refused, frames.ErrInvalidUTF8, "UTF-8"},
	{"text breaks off in a sequence", appendFrame(nil, true, frames.Text, "\xe2\x82"), refused, frames.ErrInvalidUTF8, "UTF-8"},
	{"close of one byte", appendFrame(nil, true, frames.Close, "\x03"), refused, frames.ErrClosePayload, "one byte"},
	{"close with 1014", appendFrame(nil, true, frames.Close, "\x03\xf6"), closed, nil, "1014"},
	{"broken off after a bad start", []byte{0xC2, 0xFE}, brokenOff, nil, "first two bytes"},
	{"fragments of 2^63 bytes in all", append(appendFrame(nil, false, frames.Binary, "a"), 0x80, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4), brokenOff, nil, "2^63-1"},
}

func TestSameVerdictAsGorilla(t *testing.T) {
	good := appendFrame(nil, true, frames.Text, "good")
	for _, tt := range streams {
		t.Run(tt.name, func(t *testing.T) {
			ours, reasons := compareVerdicts(t, slices.Concat(good, tt.tail))
			if len(ours.events) == 0 || ours.events[0] != event(websocket.TextMessage, []byte("good")) {
				t.Errorf("the good message did not arrive: %v", ours)
			}
			if ours.kind != tt.kind || ours.err != tt.err {
				t.Errorf("verdict %v, want error %v", ours, tt.err)
			}
			if tt.difference == "" && reasons != nil || tt.difference != "" && (len(reasons) != 1 || !strings.Contains(reasons[0], tt.difference)) {
				t.Errorf("differences %q, want %q", reasons, tt.difference)
			}
		})
	}
}

func TestEveryDifferenceIsMet(t *testing.T) {
	met := make(map[string]bool)
	for _, s := range streams {
		_, reasons := compareVerdicts(t, s.tail)
		for _, r := range reasons {
			met[r] = true
		}
	}
	for _, d := range differences {
		if !met[d.reason] {
			t.Errorf("no stream shows that %s", d.reason)
		}
	}
}

// Random frames, most of them good, some with a fault: what byte-wise fuzzing
// would take long to spell.
func TestSameVerdictAsGorillaOnRandomFrames(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	kinds := make(map[ending]int)
	for range 3000 {
		ours, _ := compareVerdicts(t, randomStream(r))
		kinds[ours.kind]++
	}
	if len(kinds) != 3 {
		t.Errorf("the streams show only the endings %v", kinds)
	}
}

// randomStream builds up to twelve frames in an order that the RFC allows, and
// flips a bit of every other stream.
func randomStream(r *rand.Rand) (stream []byte) {
	fragmented := false
	for range r.IntN(12) {
		payload := randomPayload(r)
		op := []frames.Opcode{frames.Text, frames.Binary, frames.Continuation, frames.Ping, frames.Pong, frames.Close}[min(r.IntN(16)/3, 5)]
		fin := r.IntN(3) > 0
		switch {
		case op == frames.Close:
			code := []frames.CloseCode{1000, 1001, 1014, 3000, 4999}[r.IntN(5)]
			payload = string(frames.AppendClose(nil, code, payload))
		case op.IsControl():
			payload = payload[:min(len(payload), frames.MaxControlPayload)]
		case fragmented:
			op = frames.Continuation
		case op == frames.Continuation:
			op = frames.Text
		}
		if op.IsControl() {
			fin = true
		} else {
			fragmented = !fin
		}
		stream = appendFrame(stream, fin, op, payload)
	}
	if len(stream) > 0 && r.IntN(2) == 0 {
		stream[r.IntN(len(stream))] ^= 1 << r.IntN(8)
	}
	return stream
}

func randomPayload(r *rand.Rand) string {
	return strings.Repeat([]string{"a", "é", "世", "😀", "\xe2\x82", "\xff"}[min(r.IntN(50)/9, 5)], r.IntN(4)*r.IntN(80))
}

func FuzzDifferential(f *testing.F) {
	for _, s := range streams {
		f.Add(s.tail)
	}
	f.Fuzz(func(t *testing.T, stream []byte) { compareVerdicts(t, stream) })
}
