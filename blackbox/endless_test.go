package blackbox

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Clients that begin what they do not end, or announce what they do not send.

const endlessConfig = `:PORT {
	websocket /bystander echo
	websocket /echo echo
	websocket /deflate {
		app echo
		compression
	}
	websocket /larger {
		app echo
		max_message_size 1MiB
	}
	websocket /large {
		app echo
		max_message_size 1GiB
	}
}`

// A message without an end is refused when it has too many fragments, or too many
// bytes, long before the client has sent what it has.
func TestMessagesWithoutAnEnd(t *testing.T) {
	const clients, bytes = 8, 32 << 20
	deflating := string(frame{op: opText, rsv: rsv1, payload: deflated("x")}.bytes())
	s := besiege(t, endlessConfig)
	for _, test := range []struct {
		name, path, begin, more string
		code                    uint16
	}{
		{"one-byte fragments", "/echo", begin("x"), more("x"), 1008},
		{"one-byte fragments of a larger message", "/larger", begin("x"), more("x"), 1008},
		{"empty fragments", "/echo", begin(""), more(""), 1008},
		{"empty fragments and pongs", "/echo", begin(""), more("") + pong("x"), 1008},
		{"empty compressed fragments", "/deflate", deflating, more(""), 1008},
		{"large fragments", "/echo", begin(""), more(strings.Repeat("x", 1<<10)), 1009},
		{"large compressed fragments", "/deflate", deflating, more(strings.Repeat("x", 1<<10)), 1009},
	} {
		t.Run(test.name, func(t *testing.T) {
			s.withstands(t, 16, func() {
				all := s.upgraded(t, clients, nil, test.path, deflateOffer)
				for _, c := range all {
					c.write(test.begin)
					go c.flood(bytes, strings.Repeat(test.more, 4096))
				}
				for _, c := range all {
					c.expectClose(test.code)
					c.Close()
				}
			})
		})
	}
}

// The limit is where the README says.
func TestFragmentsWithinTheLimit(t *testing.T) {
	s := start(t, endlessConfig)
	c := s.connect(t)
	c.upgrade("/echo")
	c.write(begin("x") + strings.Repeat(more("x"), 4094) + last("x"))
	c.expectText(strings.Repeat("x", 4096))
	c.write(begin("x") + strings.Repeat(more("x"), 4095) + last("x"))
	c.expectClose(1008)
}

// It follows the size: a message of 4 MiB may come in frames of 64 bytes.
func TestFragmentsOfALargeMessage(t *testing.T) {
	s := start(t, `:PORT {
		websocket {
			app echo
			max_message_size 64MiB
			max_queue 64MiB
		}
	}`)
	c := s.connect(t)
	c.upgrade("/")
	piece := strings.Repeat("x", 64)
	c.write(begin(piece) + strings.Repeat(more(piece), 65_535) + last(""))
	if f := c.frame(); f.op != opText || f.payload != strings.Repeat("x", 4<<20) {
		t.Errorf("got %.100q of %d bytes", show(f), len(f.payload))
	}
}

// Small messages that are enormous once they are inflated.
func TestManyBombs(t *testing.T) {
	const clients, flushed = 20, "\x00\x00\xff\xff" // what deflated leaves off
	bomb := strings.TrimSuffix(strings.Repeat(deflated(strings.Repeat("\x00", 1<<20))+flushed, 60), flushed)
	if len(bomb) > 64<<10 || len(inflated(t, bomb)) != 60<<20 {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	half := len(bomb) / 2
	whole := string(frame{op: opBinary, fin: true, rsv: rsv1, payload: bomb}.bytes())
	parts := string(frame{op: opBinary, rsv: rsv1, payload: bomb[:half]}.bytes()) + last(bomb[half:])
	s := besiege(t, endlessConfig)
	s.withstands(t, 32, func() { // of 1200
		all := s.upgraded(t, clients, nil, "/deflate", deflateOffer)
		for i, c := range all {
			c.write([]string{whole, parts}[i%2])
		}
		for _, c := range all {
			c.expectClose(1009)
		}
	})
}

// announced is the beginning of a message of n bytes: its header and masking key.
func announced(n uint64) string {
	return "\x82\xff" + string(binary.BigEndian.AppendUint64(nil, n)) + "mask"
}

// A length that is not allowed is refused when it is announced, and one that is
// allowed costs nothing until the bytes come.
func TestAnnouncedLengths(t *testing.T) {
	s := besiege(t, endlessConfig)
	for n, code := range map[uint64]uint16{64<<10 + 1: 1009, 1 << 31: 1009, 1<<63 - 1: 1009, 1 << 63: 1002, 1<<64 - 1: 1002} {
		t.Run(strconv.FormatUint(n, 10), func(t *testing.T) {
			s.withstands(t, 8, func() {
				c := s.connect(t)
				c.upgrade("/echo")
				c.write(announced(n))
				c.expectClose(code)
			})
		})
	}
	t.Run("allowed", func(t *testing.T) {
		s.withstands(t, 16, func() { // of 100 GiB
			for _, c := range s.upgraded(t, 100, nil, "/large") {
				c.write(announced(1<<30) + "the beginning")
				defer c.Close()
			}
			c := s.connect(t)
			c.upgrade("/large")
			c.write(announced(1<<30 + 1))
			c.expectClose(1009)
		})
	})
}

// Caddy's own read_header ends handshakes that take too long, and read_body
// requests, which the module then answers with 408. Who has shaken hands is past
// both. (Half a request line net/http takes for a bad one, and says so.)
func TestRequestsWithoutAnEnd(t *testing.T) {
	const each = 20
	const header = "GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Long: "
	const body = "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
	s := besiege(t, `GLOBAL
		servers {
			timeouts {
				read_header 3s
				read_body 3s
			}
		}
		END
		`+endlessConfig)
	s.withstands(t, 16, func() {
		var all []*socket
		sent := make(map[*socket]string)
		for range each {
			for _, beginning := range []string{"", "GET /echo", header, body} {
				c := s.connect(t)
				c.write(beginning)
				all, sent[c] = append(all, c), beginning
			}
		}
		for _, got := range atOnce(all, func(c *socket) [2]string { return [2]string{sent[c], c.dribble(sent[c])} }) {
			want := map[string]string{"": "", "GET /echo": "400", header: "", body: "408"}[got[0]]
			if got[1] != want {
				t.Errorf("%q was answered with %q, want %q", got[0], got[1], want)
			}
		}
	})
}

// dribble writes behind a beginning, while that is a header, byte by byte what never
// comes to an end, until the server answers or ends the connection. (Bytes behind an
// answer could destroy it on its way.) It returns the status or, at the end, nothing.
func (c *socket) dribble(beginning string) string {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		c.within = 50 * time.Millisecond
		_, err := c.r.Peek(1)
		c.within = patience
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if strings.HasSuffix(beginning, ": ") {
			io.WriteString(c, "x")
		}
	}
	a, err := c.tryResponse()
	switch {
	case err == nil:
		return strconv.Itoa(a.status)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "no end"
	}
	return ""
}
