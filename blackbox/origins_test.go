package blackbox

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

const originsConfig = `
(routes) {
	websocket /own/echo echo
	websocket /own/* sum
	websocket /listed/* {
		app sum
		origins http://good.example https://other.example:8443 plain.example capacitor://localhost
	}
	websocket /null/* {
		app sum
		origins null
	}
	websocket /any/* {
		app sum
		origins *
	}
}
:PORT {
	import routes
}
localhost:TLSPORT {
	tls internal
	import routes
}`

// ways are the transports. Each is refused for the same reasons.
var ways = []struct {
	name string
	ask  func(t *testing.T, s *server, path string, header []string) int
}{
	{"GET", func(t *testing.T, s *server, path string, header []string) int {
		return s.ask(t, "GET", path, "", header...).status
	}},
	{"HEAD", func(t *testing.T, s *server, path string, header []string) int {
		return s.ask(t, "HEAD", path, "", header...).status
	}},
	{"OPTIONS", func(t *testing.T, s *server, path string, header []string) int {
		return s.ask(t, "OPTIONS", path, "", header...).status
	}},
	{"POST", func(t *testing.T, s *server, path string, header []string) int {
		return s.ask(t, "POST", path, "0", header...).status
	}},
	{"PUT", func(t *testing.T, s *server, path string, header []string) int {
		return s.ask(t, "PUT", path, "0", header...).status
	}},
	{"events", func(t *testing.T, s *server, path string, header []string) int {
		r := open(t, plain, "GET", s.url(path), "", append(header, wantsEvents))
		defer r.Body.Close()
		return r.StatusCode
	}},
	{"WebSocket", func(t *testing.T, s *server, path string, header []string) int {
		conn, r, err := new(websocket.Dialer).Dial("ws://"+s.address()+path, headers(header))
		if err == nil {
			conn.Close()
		}
		return r.StatusCode
	}},
}

// Which pages may use a route, by whatever way.
func TestOrigins(t *testing.T) {
	s := start(t, originsConfig)
	own := s.address()
	_, port, _ := strings.Cut(own, ":")
	for _, test := range []struct {
		path    string
		header  string // lines
		allowed bool
	}{
		{"/own/a", "", true},
		{"/own/a", "Origin: http://" + own, true},
		{"/own/a", "Origin: https://" + own, true}, // a proxy in front may have ended TLS
		{"/own/a", "Origin: HTTP://" + own, true},
		{"/own/a", "Origin: http://127.0.0.1", false},
		{"/own/a", "Origin: http://127.0.0.1:1", false},
		{"/own/a", "Origin: http://localhost:" + port, false},
		{"/own/a", "Origin: http://evil.example", false},
		{"/own/a", "Origin: http://" + own + ".evil.example", false},
		{"/own/a", "Origin: http://" + own + "@evil.example", false},
		{"/own/a", "Origin: http://" + own + "/", true},
		{"/own/a", "Origin: ws://" + own, true},
		{"/own/a", "Origin: wss://" + own + "/", true},
		{"/own/a", "Origin: http://" + own + "/chat", false},
		{"/own/a", "Origin: ws://127.0.0.1", false},
		{"/own/a", "Origin: file://", false},
		{"/own/a", "Origin: null", false},
		{"/own/a", "Origin:", false},
		{"/own/a", "Origin: http://" + own + "\nOrigin: http://evil.example", false},
		{"/own/a", "Sec-Fetch-Site: same-origin", true},
		{"/own/a", "Sec-Fetch-Site: none", true},
		{"/own/a", "Sec-Fetch-Site: same-site", false},
		{"/own/a", "Sec-Fetch-Site: cross-site", false},
		{"/own/a", "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: no-cors\nSec-Fetch-Dest: image", false},
		{"/own/a", "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: iframe", false},

		{"/listed/a", "Origin: http://good.example", true},
		{"/listed/a", "Origin: http://GOOD.example:80", true},
		{"/listed/a", "Origin: https://good.example", false},
		{"/listed/a", "Origin: http://good.example:8080", false},
		{"/listed/a", "Origin: http://www.good.example", false},
		{"/listed/a", "Origin: https://other.example:8443", true},
		{"/listed/a", "Origin: https://other.example", false},
		{"/listed/a", "Origin: https://plain.example", true},
		{"/listed/a", "Origin: http://plain.example", true},
		{"/listed/a", "Origin: http://" + own, true},
		{"/listed/a", "Origin: null", false},
		{"/listed/a", "Origin: capacitor://localhost", true},
		{"/listed/a", "Origin: capacitor://127.0.0.1", false},
		{"/listed/a", "Origin: http://good.example\nSec-Fetch-Site: cross-site", true},
		{"/listed/a", "Sec-Fetch-Site: cross-site", false},

		{"/any/a", "Origin: http://evil.example", true},
		{"/any/a", "Origin: http://" + own, true},
		{"/any/a", "Origin: null", true},
		{"/any/a", "Origin:", true},
		{"/any/a", "Origin: file://", true},
		{"/any/a", "Origin: https://github.com/gilmaimon/TinyWebsockets", true},
		{"/any/a", "Origin: https://%zz", true},
		{"/any/a", "Origin: http://" + own + "\nOrigin: http://evil.example", true},
		{"/any/a", "Sec-Fetch-Site: cross-site", true},

		{"/null/a", "Origin: null", true},
		{"/null/a", "Origin: null\nSec-Fetch-Site: cross-site", true},
		{"/null/a", "Origin: null\nOrigin: null", false},
		{"/null/a", "Origin: file://", false},
		{"/null/a", "Origin:", false},
		{"/null/a", "Sec-Fetch-Site: cross-site", false},
	} {
		t.Run(test.path+" "+test.header, func(t *testing.T) {
			for _, way := range ways {
				var header []string
				if test.header != "" {
					header = strings.Split(test.header, "\n")
				}
				if got := way.ask(t, s, test.path, header); got == http.StatusForbidden == test.allowed {
					t.Errorf("%s was answered with %d", way.name, got)
				}
			}
		})
	}
}

// A person may follow a link to the state; a message in a link is something else.
func TestNavigationFromElsewhere(t *testing.T) {
	s := start(t, originsConfig)
	link := []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}
	for _, row := range []row{
		head("state", "GET", "/own/a").is(200, "0", stateHeaders),
		head("message", "GET", "/own/echo?message=x").is(403, "", ""),
		head("message with a semicolon", "GET", "/own/echo?message=a;b").is(403, "", ""),
		head("message with a lone percent sign", "GET", "/own/echo?message=100%").is(403, "", ""),
		head("POST", "POST", "/own/a").with("1").is(403, "", ""),
	} {
		t.Run(row.name, func(t *testing.T) {
			row.check(t, s.ask(t, row.method, row.path, row.body, link...))
		})
	}
	s.shows(t, "/own/a", "0")
}

// Refused is refused: nothing has changed.
func TestRefusedOriginsChangeNothing(t *testing.T) {
	s := start(t, originsConfig)
	for _, header := range []string{"Origin: http://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site"} {
		head("", "", "").is(403, "", "Access-Control-Allow-Origin:").check(t, s.ask(t, "POST", "/own/a", "1", header))
		head("", "", "").is(403, "", "Access-Control-Allow-Origin:").check(t, s.ask(t, "GET", "/own/echo?message=x", "", header))
	}
	a := s.ask(t, "GET", "/own/a", "", wantsJSON)
	if masked(a.body) != `{"type":"state","epoch":"E","version":0,"total":0}` {
		t.Errorf("the state is %s", a.body)
	}
}

// Over TLS a page that came in the clear is refused: anybody on its way may have
// written it.
func TestOriginsOverTLS(t *testing.T) {
	s := start(t, originsConfig)
	config := s.tls()
	host := "localhost:" + strings.TrimPrefix(s.tlsAddress(), "127.0.0.1:")
	for origin, status := range map[string]int{
		"https://" + host:   101,
		"http://" + host:    403,
		"https://localhost": 403,
		"https://127.0.0.1:" + host[len("localhost:"):]: 403,
		"null": 403,
	} {
		c := s.connectTLS(t, config)
		c.write(changed("GET /own/echo HTTP/1.1", "Host: "+host+"\nOrigin: "+origin))
		if a := c.headerOf("GET"); a.StatusCode != status {
			t.Errorf("%s: %d, want %d", origin, a.StatusCode, status)
		}
	}
}

// The pages of listed origins may read what they are answered, those listed by
// name also with the user's credentials.
func TestSharingWithListedOrigins(t *testing.T) {
	s := start(t, originsConfig)
	const (
		named   = "Access-Control-Allow-Origin: http://good.example\nAccess-Control-Allow-Credentials: true\nAccess-Control-Expose-Headers: ETag"
		anybody = "Access-Control-Allow-Origin: *\nAccess-Control-Allow-Credentials:\nAccess-Control-Expose-Headers: ETag"
		literal = "Access-Control-Allow-Origin: null\nAccess-Control-Allow-Credentials:\nAccess-Control-Expose-Headers: ETag"
		nobody  = "Access-Control-Allow-Origin:\nAccess-Control-Allow-Credentials:"
		origin  = "Origin: http://good.example"
		asks    = "Access-Control-Request-Method: POST"
		asked   = "Access-Control-Request-Headers: cache-control,last-event-id"
		granted = "\nAccess-Control-Allow-Methods: GET, HEAD, POST, OPTIONS\nAccess-Control-Allow-Headers: Authorization, Cache-Control, Content-Type, Idempotency-At, Idempotency-Key, If-None-Match, Last-Event-ID\nAccess-Control-Max-Age: 600\nVary: Accept, Origin"
	)
	for _, row := range []row{
		head("state", "GET", "/listed/a", origin).is(200, "0", named+"\nVary: Accept, Origin"),
		head("HEAD", "HEAD", "/listed/a", origin).is(200, "", named),
		head("post", "POST", "/listed/a", origin).with("0").is(200, "0", named+"\nVary: Accept, Origin"),
		head("error", "POST", "/listed/a", origin).with("x").is(400, "error: not a number", named),
		head("preflight", "OPTIONS", "/listed/a", origin, asks, asked).is(204, "", named+granted),
		head("state to anybody", "GET", "/any/a", origin).is(200, "0", anybody),
		head("post of anybody", "POST", "/any/a", origin).with("0").is(200, "0", anybody),
		head("preflight of anybody", "OPTIONS", "/any/a", origin, asks, asked).is(204, "", anybody+granted),
		head("state to null", "GET", "/null/a", "Origin: null").is(200, "0", literal),
		head("preflight of null", "OPTIONS", "/null/a", "Origin: null", asks, asked).is(204, "", literal+granted),
		head("null to anybody", "GET", "/any/a", "Origin: null").is(200, "0", anybody),
		head("what is no origin", "GET", "/any/a", "Origin: https://a.example, https://b.example").is(200, "0", anybody),
		head("own origin", "GET", "/listed/a", "Origin: "+s.url("")).is(200, "0", nobody),
		head("no origin", "GET", "/any/a").is(200, "0", nobody+"\nVary: Accept, Origin"),
		head("preflight of a stranger", "OPTIONS", "/listed/a", "Origin: http://evil.example", asks).is(403, "", nobody),
	} {
		t.Run(row.name, func(t *testing.T) {
			row.check(t, s.ask(t, row.method, row.path, row.body, row.header...))
		})
	}
	events := s.events(t, "/listed/a", origin)
	if got := events.response.Header; got.Get("Access-Control-Allow-Origin") != "http://good.example" ||
		got.Get("Access-Control-Allow-Credentials") != "true" || !has(got, "Vary", "Origin") {
		t.Errorf("an event stream has %v", got)
	}
}

// Clients that are no browsers send origins of their own making. Each is let in, or
// there is an option that lets it in.
func TestOriginsOfOtherClients(t *testing.T) {
	const plain, secure = "localhost:PORT", "localhost:TLSPORT"
	clients := []struct {
		name, host, header string
		cure               string // the value of origins that lets it in; empty if it is let in without
	}{
		{"without a header: Python, Go, curl", plain, "", ""},
		{"Links2004/arduinoWebSockets", plain, "Origin: file://", "file://"},
		{"Links2004/arduinoWebSockets over TLS", secure, "Origin: file://", "file://"},
		{"TinyWebsockets", plain, "Origin: https://github.com/gilmaimon/TinyWebsockets", "*"},
		{"Starscream", plain, "Origin: ws://" + plain, ""},
		{"Starscream over TLS", secure, "Origin: wss://" + secure, ""},
		{"React Native", plain, "Origin: http://" + plain + "/", ""},
		{"React Native over TLS", secure, "Origin: https://" + secure + "/", ""},
		{"uwebsockets of MicroPython", plain, "Origin: http://" + plain, ""},
		{"uwebsockets of MicroPython over TLS", secure, "Origin: http://" + secure, "http://" + secure},
		{"uwebsockets of MicroPython, by host and port", secure, "Origin: http://" + secure, secure},
		{"uwebsockets of MicroPython, another fork", secure, "Origin: http://localhost", "http://localhost"},
		{"an app in Capacitor on iOS", secure, "Origin: capacitor://localhost", "capacitor://localhost"},
		{"a page from a file, or in a sandboxed frame", plain, "Origin: null", "null"},
		{"a proxy that adds its own", plain, "Origin: http://" + plain + "\nOrigin: http://proxy.example", "*"},
		{"nothing but the header's name", plain, "Origin:", "*"},
	}
	var routes strings.Builder
	for i, client := range clients {
		fmt.Fprintf(&routes, "websocket /%d echo\n", i)
		if client.cure != "" {
			fmt.Fprintf(&routes, "websocket /%d/cured echo {\n origins %s\n}\n", i, client.cure)
		}
	}
	s := start(t, ":PORT {\n"+routes.String()+"}\nlocalhost:TLSPORT {\n tls internal\n"+routes.String()+"}")
	ports := strings.NewReplacer("TLSPORT", strconv.Itoa(s.TLSPort), "PORT", strconv.Itoa(s.Port))
	config := s.tls()
	for i, client := range clients {
		t.Run(client.name, func(t *testing.T) {
			status := func(path string) int {
				c := s.connect(t)
				if client.host == secure {
					c = s.connectTLS(t, config)
				}
				c.write(changed("GET "+path+" HTTP/1.1", ports.Replace("Host: "+client.host+"\n"+client.header)))
				return c.headerOf("GET").StatusCode
			}
			path := "/" + strconv.Itoa(i)
			if client.cure == "" {
				if got := status(path); got != http.StatusSwitchingProtocols {
					t.Errorf("answered with %d", got)
				}
				return
			}
			if got := status(path); got != http.StatusForbidden {
				t.Errorf("answered with %d", got)
			}
			if got := status(path + "/cured"); got != http.StatusSwitchingProtocols {
				t.Errorf("with origins %s answered with %d", client.cure, got)
			}
		})
	}
}
