package caddyws

import (
	"bufio"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/caddyws/caddy-websocket/frames"
)

// overTime is when Caddy's timeouts, all set to 3 s, have passed.
const overTime = 4 * time.Second

// No timeout that Caddy has for requests ends a connection that lives, over any
// version of HTTP, whatever stands around the handler.
func TestCaddysTimeoutsEndNoConnection(t *testing.T) {
	for name, test := range map[string]struct{ servers, around string }{
		"all":     {"read_body 3s\n read_header 3s\n read_body_idle 3s 1000\n write 3s\n write_idle 3s 1000\n idle 3s", ""},
		"no_idle": {"read_body 3s\n write 3s\n read_body_idle -1s\n write_idle -1s", ""},
		"around": {"read_body 3s\n write 3s", `timeouts {
			read_timeout 3s 1000
			write_timeout 3s 1000
		}
		encode
		templates
		intercept {
			@broken status 5xx
			handle_response @broken {
				respond intercepted
			}
		}
		forward_auth localhost:OTHERPORT {
			uri /
		}`},
	} {
		t.Run(name, func(t *testing.T) {
			overStreamsOf(t, timeoutsConfig(test.servers, test.around), func(t *testing.T, s *server, open func(path, protocol string) *bidirectional) {
				stream, upgraded := open("/sum", "websocket"), s.dial("/sum", "Sec-WebSocket-Protocol: json")
				stream.expect(t, frames.Text, `"total":0`)
				all := s.followers()
				for _, l := range all {
					l.expect(t, "data: 0")
				}
				time.Sleep(overTime) // is the subject
				stream.say(t, frames.Text, "6")
				stream.expect(t, frames.Text, `"total":6`)
				for _, l := range all {
					l.expect(t, "data: 6")
				}
				upgraded.send("1")
				stream.expect(t, frames.Text, `"total":7`)
				for _, l := range all {
					l.expect(t, "data: 7")
				}
			})
		})
	}
}

// timeoutsConfig is a site with timeouts for requests.
func timeoutsConfig(servers, around string) string {
	return `GLOBAL
	servers {
		timeouts {
			` + servers + `
		}
	}
END
(routes) {
	log
	` + around + `
	websocket /sum sum {
		room r
	}
	websocket /echo echo
}
https://localhost:TLSPORT {
	tls CERTIFICATE CERTIFICATE
	import routes
}
http://localhost:PORT {
	import routes
}
http://localhost:OTHERPORT {
	respond ok
}`
}

// What bounds the body of a request does not bound what a WebSocket may say in
// its life.
func TestRequestBodyBoundsNoWebSocket(t *testing.T) {
	overStreamsOf(t, strings.Replace(streamConfig, "encode", "request_body {\n max_size 100B\n }", 1),
		func(t *testing.T, _ *server, open func(path, protocol string) *bidirectional) {
			stream, text := open("/echo", "websocket"), strings.Repeat("x", 60)
			for range 10 {
				stream.say(t, frames.Text, text)
				stream.expect(t, frames.Text, text)
			}
		})
}

// follower follows an event stream.
type follower struct {
	name  string
	lines *bufio.Reader
}

// version is a version of HTTP, and how it reaches a server.
type version struct {
	major     int
	transport http.RoundTripper
	site      string
}

// versions are all that there are. The server has its certificate.
func (s *server) versions() []version {
	plain, secure := "http://localhost:"+strconv.Itoa(s.Port), "https://localhost:"+strconv.Itoa(s.TLSPort)
	h1, h2 := &http.Transport{}, &http.Transport{TLSClientConfig: s.roots(), ForceAttemptHTTP2: true}
	h3 := &http3.Transport{TLSClientConfig: http3.ConfigureTLSConfig(s.roots())}
	s.t.Cleanup(func() { h1.CloseIdleConnections(); h2.CloseIdleConnections(); h3.Close() })
	return []version{{1, h1, plain}, {2, h2, secure}, {3, h3, secure}}
}

// followers follow /sum over each version of HTTP.
func (s *server) followers() (all []*follower) {
	for _, v := range s.versions() {
		all = append(all, s.followOver(v.transport, v.site+"/sum", v.major))
	}
	return all
}

func (s *server) followOver(transport http.RoundTripper, url string, major int) *follower {
	s.t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	answer, err := roundTrip(s.t, transport, r)
	if err != nil {
		s.t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK || answer.ProtoMajor != major {
		s.t.Fatalf("answered %d over %s", answer.StatusCode, answer.Proto)
	}
	return &follower{answer.Proto, bufio.NewReader(answer.Body)}
}

// expect reads on to a line.
func (l *follower) expect(t *testing.T, want string) {
	t.Helper()
	for {
		line, err := l.lines.ReadString('\n')
		if err != nil {
			t.Fatalf("events over %s: %v instead of %q", l.name, err, want)
		}
		if line == want+"\n" {
			return
		}
	}
}
