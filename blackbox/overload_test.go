package blackbox

import (
	"crypto/tls"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// Clients that ask for more than they take, or more than there is a reason for.

const overloadConfig = `
(routes) {
	websocket /bystander echo
	websocket /hasty {
		app echo
		write_timeout 500ms
	}
	websocket /echo echo
	websocket /room {
		app broadcast
		room everybody
		max_queue 256KiB
	}
}
:PORT {
	import routes
}
localhost:TLSPORT {
	tls internal
	import routes
}`

// Who asks and asks and never reads is not read either: his writes block, and
// when he has taken nothing for the write timeout he is cut.
func TestClientsThatNeverReadAreNotRead(t *testing.T) {
	const clients, bytes = 4, 64 << 20
	s := besiege(t, overloadConfig)
	for transport, config := range map[string]*tls.Config{"ws": nil, "wss": s.tls()} {
		for kind, chunk := range map[string]string{
			"messages": text(strings.Repeat("x", 32<<10)),
			"pings":    strings.Repeat(ping(strings.Repeat("x", 125)), 256),
		} {
			t.Run(transport+", "+kind, func(t *testing.T) {
				before := s.log.count(tookNothing)
				s.withstands(t, 32, func() { // of 256
					all := s.upgraded(t, clients, config, "/hasty")
					for _, taken := range atOnce(all, func(c *socket) int { return c.flood(bytes, chunk) }) {
						if taken >= bytes/2 {
							t.Errorf("%d bytes were taken of a client that does not read", taken)
						}
					}
					s.log.waitAll(t, before+clients, tookNothing)
				})
			})
		}
	}
}

const tookNothing = "client took nothing for the write timeout"

// Who reads the pongs may ask for as many as he likes: all come, in order.
func TestPingFloodIsAnswered(t *testing.T) {
	const pings, together = 100000, 500
	s := besiege(t, overloadConfig)
	s.withstands(t, 32, func() {
		c := s.connect(t)
		c.upgrade("/echo")
		go func() {
			for i := 0; i < pings; i += together {
				var b strings.Builder
				for j := range together {
					b.WriteString(pong("unasked") + ping(strconv.Itoa(i+j)))
				}
				io.WriteString(c, b.String())
			}
		}()
		for i := range pings {
			c.expect(frame{op: opPong, fin: true, payload: strconv.Itoa(i)})
		}
		c.write(text("still here"))
		c.expectText("still here")
	})
}

// What a room says to members who do not read, by WebSocket or event stream, is
// kept for a while, not for ever: then they are closed with 1013. Who keeps up
// misses nothing.
func TestManySlowMembers(t *testing.T) {
	const slow, messages = 10, 1024 // of 32 KiB
	s := besiege(t, overloadConfig)
	s.withstands(t, 24, func() { // of 32, if the queues share what they hold, or else of 640
		sender, keen, late := s.connect(t), s.connect(t), s.upgraded(t, slow, nil, "/room")[0]
		sender.upgrade("/room")
		keen.upgrade("/room")
		for range slow {
			c := s.connect(t)
			c.write("GET /room HTTP/1.1\r\nHost: localhost\r\n" + wantsEvents + "\r\n\r\n")
			if a := c.headerOf(http.MethodGet); a.StatusCode != http.StatusOK {
				t.Fatalf("following: %+v", a)
			}
		}
		for i := range messages {
			sender.write(text(numbered(i)))
			sender.expectText(numbered(i))
			keen.expectText(numbered(i))
			if i == messages/4 {
				late.expectTooSlow(i)
			}
		}
		s.log.waitAll(t, 2*slow, `"code":1013`)
	})
}

// numbered is a large message.
func numbered(i int) string { return strconv.Itoa(i) + strings.Repeat(".", 32<<10) }

// expectTooSlow reads messages, from the first one on and whole, to the end, which
// comes before the last. (A client that reads within 3 s sees the close frame.)
func (c *socket) expectTooSlow(last int) {
	c.t.Helper()
	for i := range last {
		f, err := readFrame(c.r)
		if err != nil || f.op == opClose && strings.HasPrefix(f.payload, "\x03\xf5") {
			c.t.Logf("ended after %d messages with %.40q, %v", i, f.payload, err)
			return
		}
		if want := (frame{op: opText, fin: true, payload: numbered(i)}); f != want {
			c.t.Fatalf("got %.100q, want %.100q", show(f), show(want))
		}
	}
	c.t.Fatal("a member that did not read has got everything")
}

// Two thousand who come and go, in whatever way, leave neither a descriptor nor
// memory behind. As many before them are not counted: they fill what is kept for
// the next.
func TestNothingStaysOfConnections(t *testing.T) {
	s := besiege(t, overloadConfig)
	for transport, test := range map[string]struct {
		config *tls.Config
		each   int
	}{"ws": {nil, 400}, "wss": {s.tls(), 40}} {
		t.Run(transport, func(t *testing.T) {
			descriptors := s.descriptors(t)
			for _, limit := range []int{64, 8} {
				s.before = s.peak(t)
				s.withstands(t, limit, func() {
					for range test.each {
						s.comeAndGo(t, test.config)
					}
				})
				s.waitForDescriptors(t, descriptors)
			}
		})
	}
}

// comeAndGo connects and leaves in all ways that there are.
func (s *server) comeAndGo(t *testing.T, config *tls.Config) {
	t.Helper()
	for _, said := range []string{
		"",
		"GET /echo HTTP/1.1\r\nHost: x\r\n",
		handshake("/echo"),
		handshake("/echo") + begin("unfinished"),
	} {
		c := s.over(t, config)
		c.write(said)
		c.Close() // with the answer unread, if there is one
	}
	c := s.over(t, config)
	c.upgrade("/echo")
	c.write(text("x") + closing(1000, ""))
	c.expectText("x")
	c.expectClose(1000)
	c.Close()
	c = s.over(t, config)
	c.write("GET /room HTTP/1.1\r\nHost: localhost\r\n" + wantsEvents + "\r\n\r\n")
	c.headerOf(http.MethodGet)
	c.Close()
}

// The rate is each connection's and, of plain requests, each user's or address's:
// who is over it is told so, and nobody else.
func TestRatesAreCountedApart(t *testing.T) {
	s := besiege(t, `GLOBAL
		servers {
			trusted_proxies static 127.0.0.0/8
		}
		END
		:PORT {
			websocket /bystander echo
			basic_auth /users {
				ann $2a$04$yuFwvUiSF/btYJNawoCcA.z5X/Yn06qKWrV8/SIFDcSS4vkfUWGKm
				bob $2a$04$yuFwvUiSF/btYJNawoCcA.z5X/Yn06qKWrV8/SIFDcSS4vkfUWGKm
			}
			websocket {
				app echo
				message_rate 0.001/s 10
			}
		}`)
	t.Run("connections", func(t *testing.T) {
		s.withstands(t, 16, func() {
			for _, c := range s.upgraded(t, 2, nil, "/") {
				c.write(ping("") + strings.Repeat(text("x"), 10) + pong("") + ping(""))
				c.expect(frame{op: opPong, fin: true})
				c.expectText(strings.Split(strings.Repeat("x", 10), "")...)
				c.expect(frame{op: opPong, fin: true})
				go c.flood(8<<20, strings.Repeat(text("x"), 4096))
				c.expectClose(1008)
			}
		})
	})
	for _, client := range []struct{ name, path, header string }{
		{"an address", "/", "X-Forwarded-For: 192.0.2.1"},
		{"another address", "/", "X-Forwarded-For: 192.0.2.2"},
		{"an address of IPv6", "/", "X-Forwarded-For: 2001:db8::1"},
		{"a user", "/users", basicAuth("ann", "secret")},
		{"another user", "/users", basicAuth("bob", "secret")},
	} {
		t.Run(client.name, func(t *testing.T) {
			for range 10 {
				head("", "", "").is(200, "x", "").check(t, s.ask(t, "POST", client.path, "x", client.header))
			}
			for range 2 {
				head("", "", "").is(429, "", "Retry-After: 1").check(t, s.ask(t, "POST", client.path, "x", client.header))
			}
		})
	}
}
