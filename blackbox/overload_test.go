package blackbox

import (
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
)

// Clients that ask for more than they take, or more than there is a reason for.

const overloadConfig = `:PORT {
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
}`

// Who asks and asks and never reads is not read either: his writes block, and
// when he has taken nothing for the write timeout he is cut.
func TestClientsThatNeverReadAreNotRead(t *testing.T) {
	const clients, bytes = 8, 64 << 20
	for name, chunk := range map[string]string{
		"messages": text(strings.Repeat("x", 32<<10)),
		"pings":    strings.Repeat(ping(strings.Repeat("x", 125)), 256),
	} {
		t.Run(name, func(t *testing.T) {
			s := besiege(t, overloadConfig)
			s.withstands(t, 64, func() { // of 512
				all := s.upgraded(t, clients, "/hasty")
				for _, taken := range atOnce(all, func(c *socket) int { return c.flood(bytes, chunk) }) {
					if taken >= bytes/2 {
						t.Errorf("%d bytes were taken of a client that does not read", taken)
					}
				}
				s.log.waitAll(t, clients, "client took nothing for the write timeout")
			})
		})
	}
}

// Who reads the pongs may ask for as many as he likes: all come, in order.
func TestPingFloodIsAnswered(t *testing.T) {
	const pings, together = 200000, 500
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

// What a room says to members who do not read is kept for a while, not for ever.
// They are closed with 1013, which one of them sees who reads after all, behind
// the first messages, whole and in their order; who keeps up misses nothing.
func TestManySlowMembers(t *testing.T) {
	const slow, messages, enough = 20, 2048, 512 // of 32 KiB
	s := besiege(t, overloadConfig)
	s.withstands(t, 40, func() { // of 64, if the queues share what they hold, or else of 1280
		sender, keen := s.dial(t, "/room"), s.dial(t, "/room")
		all := s.upgraded(t, slow, "/room")
		for i := range messages {
			message := numbered(i)
			sender.send(message)
			sender.expect(message)
			keen.expect(message)
			if i == enough {
				expectTooSlow(all[0], enough)
			}
		}
		for _, c := range all {
			c.Close()
		}
		s.log.waitAll(t, slow, `"code":1013`)
	})
}

// numbered is a large message.
func numbered(i int) string { return strconv.Itoa(i) + strings.Repeat(".", 32<<10) }

// expectTooSlow reads messages from the first one on, and before the last one the
// end.
func expectTooSlow(c *socket, last int) {
	c.t.Helper()
	for i := range last {
		f, err := c.r.Peek(1)
		if err != nil {
			c.t.Fatal(err)
		}
		if f[0]&0xf == opClose {
			c.t.Logf("closed after %d messages", i)
			c.expectClose(1013)
			return
		}
		c.expectText(numbered(i))
	}
	c.t.Fatal("a member that does not read has got everything")
}

// Two thousand who come and go, in whatever way, leave neither a descriptor nor
// memory behind. The first ones are not counted: they fill what is kept for the
// next.
func TestNothingStaysOfConnections(t *testing.T) {
	const each = 500
	s := besiege(t, overloadConfig)
	visit := func() {
		for i := range each {
			s.connect(t).Close() // says nothing
			c := s.connect(t)    // leaves in the middle of the handshake
			c.write("GET /echo HTTP/1.1\r\nHost: x\r\n")
			c.Close()
			c = s.connect(t) // vanishes in the middle of a message
			c.upgrade("/room?" + strconv.Itoa(i))
			c.write(begin("unfinished"))
			c.Conn.(*net.TCPConn).SetLinger(0)
			c.Close()
			c = s.connect(t) // says goodbye
			c.upgrade("/echo")
			c.write(text("x") + closing(1000, ""))
			c.expectText("x")
			c.expectClose(1000)
			c.Close()
		}
	}
	visit()
	s.log.waitAll(t, 2*each, "connection ended")
	s.before = s.peak()
	s.withstands(t, 8, visit)
	s.log.waitAll(t, 4*each, "connection ended")
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
			for _, c := range s.upgraded(t, 2, "/") {
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
