package blackbox

import (
	"crypto/tls"
	"net"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Members of /room and of /watch meet; only the former are pinged.
const halfOpenConfig = `GLOBAL
	admin 127.0.0.1:OTHERPORT
END
(routes) {
	websocket /room {
		app broadcast
		room {query.name}
		ping 200ms 10s
	}
	websocket /watch {
		app broadcast
		room {query.name}
		ping off
	}
	websocket /patient {
		app echo
		ping 50ms 20s
	}
}
:PORT {
	import routes
}
localhost:TLSPORT {
	tls internal
	import routes
}`

// soon is far more than ping and timeout of /room take, and less than anything
// else would.
const soon = 30 * time.Second

// Clients whose network has swallowed everything since, with no word of an end,
// are cut, whether something is being sent to them or not. Who answers is not.
func TestHalfOpenPeersAreCut(t *testing.T) {
	const peers = 20
	s := start(t, halfOpenConfig)
	s.overBad(t, func(t *testing.T, connect connector) {
		for name, say := range map[string]string{"quiet": "", "busy": text("to nobody")} {
			t.Run(name, func(t *testing.T) {
				room := "?name=" + t.Name()
				watcher := s.connect(t)
				watcher.join("/watch" + room)
				answering := answers(s.dial(t, "/room"+room))
				leftovers := s.leftovers(t)
				var proxies []*proxy
				for range peers {
					c, p := connect(t, network{})
					c.upgrade("/room" + room)
					proxies = append(proxies, p)
				}
				for _, p := range proxies {
					p.silence()
				}
				s.cutsSilent(t, peers, t.Name()+`"`, func() { watcher.write(say) })
				leftovers(t)
				watcher.write(text("end"))
				if err := <-answering; err != nil {
					t.Errorf("who answers pings: %v", err)
				}
			})
		}
	})
}

// answers answers pings until the message "end" comes, which is nil, or the end.
func answers(c *client) <-chan error {
	over := make(chan error, 1)
	go func() {
		for {
			if _, message, err := c.ReadMessage(); err != nil || string(message) == "end" {
				over <- err
				return
			}
		}
	}()
	return over
}

// cutsSilent waits until so many silent peers were cut in rooms of these names,
// while something is said to them.
func (s *server) cutsSilent(t *testing.T, peers int, room string, say func()) {
	t.Helper()
	began := time.Now()
	s.eventually(t, "the end of all silent peers of "+room, func() bool {
		say()
		return s.ends(`"room":"`+room, "no sign of life") >= peers
	})
	if took := time.Since(began); took > soon {
		t.Errorf("cutting the silent peers of %s took %v", room, took)
	}
}

// Whatever a client sends is a sign of life, not only the pong that was asked for.
// The server asks again only after one.
func TestAnyBytesAreASignOfLife(t *testing.T) {
	const rounds = 5
	s := start(t, halfOpenConfig)
	s.overBad(t, func(t *testing.T, connect connector) {
		for name, sign := range map[string]func(round int) string{
			"pongs that nobody asked for": func(int) string { return pong("nobody asked") },
			"fragments":                   func(int) string { return more("x") },
			"single bytes":                func(round int) string { return more("x")[round : round+1] },
		} {
			t.Run(name, func(t *testing.T) {
				c, _ := connect(t, network{})
				c.upgrade("/patient")
				c.write(begin(""))
				for round := range rounds {
					c.expect(frame{op: opPing, fin: true})
					c.write(sign(round))
				}
			})
		}
	})
}

// The same with a host that has gone from the network: what the server sends is not
// even acknowledged.
func TestPeersOnVanishedHostsAreCut(t *testing.T) {
	if _, err := caddy(); err != nil {
		t.Fatal(err)
	}
	isolate(t)
	ip(t, "address", "add", "192.0.2.1/32", "dev", "lo")
	s := start(t, halfOpenConfig)
	config := s.tls()
	watcher := s.connect(t)
	watcher.join("/watch?name=busy")
	for _, room := range []string{"quiet", "busy"} {
		for _, config := range []*tls.Config{nil, config} {
			s.distant(t, config).upgrade("/room?name=" + room)
		}
	}
	ip(t, "address", "delete", "192.0.2.1/32", "dev", "lo")
	s.cutsSilent(t, 4, "", func() { watcher.write(text("to nobody")) })
}

// distant connects from a host that is going to vanish, with a TLS configuration
// or without.
func (s *server) distant(t *testing.T, config *tls.Config) *socket {
	t.Helper()
	from, address := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("192.0.2.1")}}, s.address()
	if config != nil {
		address = s.tlsAddress()
	}
	conn, err := from.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if config != nil {
		conn = tls.Client(conn, config)
	}
	return adopt(t, conn)
}

// isolate moves the test, and what it starts, into a network of their own. Its
// thread is never used for anything else.
func isolate(t *testing.T) {
	t.Helper()
	need(t, "ip")
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("a network of one's own: %v", err)
	}
	ip(t, "link", "set", "lo", "up")
}

// ip configures the network of the test.
func ip(t *testing.T, args ...string) {
	t.Helper()
	if output, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %q: %v\n%s", args, err, output)
	}
}
