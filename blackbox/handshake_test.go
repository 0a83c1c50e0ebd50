package blackbox

import (
	"bufio"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const handshakeConfig = `:PORT {
	websocket /echo echo
	websocket /sum sum
	websocket /deflate {
		app echo
		compression
	}
	websocket /named {
		app echo
		room {query.room}
	}
	basic_auth /private {
		ann $2a$04$yuFwvUiSF/btYJNawoCcA.z5X/Yn06qKWrV8/SIFDcSS4vkfUWGKm
	}
	websocket /private echo
	respond /other "plain"
}`

// Every header of the opening handshake (RFC 6455, section 4.2), right and wrong.
// A request is that of the RFC; "-Name" takes a header out of it, and "Name: value"
// replaces or adds one.
func TestHandshakes(t *testing.T) {
	s := start(t, handshakeConfig)
	const none = "-"
	for _, test := range []struct {
		name    string
		request string // method, path, protocol; default GET /echo HTTP/1.1
		change  string // lines
		body    string
		status  int
		want    string // lines; "Name: -" is one that must not be there
	}{
		{"the RFC's own", "", "", "", 101, "Sec-WebSocket-Accept: " + sampleAccept + "\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Protocol: -\nSec-WebSocket-Extensions: -\nContent-Length: -\nTransfer-Encoding: -"},
		{"tokens in any case", "", "Upgrade: WebSocket\nConnection: UPGRADE", "", 101, ""},
		{"Firefox", "", "Connection: keep-alive, Upgrade", "", 101, ""},
		{"lists with empty elements", "", "Connection: , keep-alive ,, upgrade,\nUpgrade: ,websocket", "", 101, ""},
		{"more than one protocol", "", "Upgrade: foo/2, websocket", "", 101, ""},
		{"a version behind the protocol", "", "Upgrade: websocket/13", "", 426, ""}, // another protocol
		{"query", "GET /echo?a=b HTTP/1.1", "", "", 101, ""},
		{"extension on a route without", "", deflateOffer, "", 101, "Sec-WebSocket-Extensions: -"},
		{"extension", "GET /deflate HTTP/1.1", deflateOffer, "", 101, "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover"},
		{"second extension", "GET /deflate HTTP/1.1", "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=16, permessage-deflate", "", 101, "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover"},
		{"extension with a parameter nobody knows", "GET /deflate HTTP/1.1", "Sec-WebSocket-Extensions: permessage-deflate; foo", "", 101, "Sec-WebSocket-Extensions: -"},
		{"extension that nobody knows", "GET /deflate HTTP/1.1", "Sec-WebSocket-Extensions: foo; bar=\"baz\"", "", 101, "Sec-WebSocket-Extensions: -"},
		{"subprotocol", "GET /sum HTTP/1.1", "Sec-WebSocket-Protocol: soap, json", "", 101, "Sec-WebSocket-Protocol: json"},
		{"subprotocol on two lines", "GET /sum HTTP/1.1", "Sec-WebSocket-Protocol: soap\nSec-WebSocket-Protocol: json", "", 101, "Sec-WebSocket-Protocol: json"},
		{"subprotocol that nobody knows", "GET /sum HTTP/1.1", "Sec-WebSocket-Protocol: soap", "", 101, "Sec-WebSocket-Protocol: -"},
		{"subprotocol in another case", "GET /sum HTTP/1.1", "Sec-WebSocket-Protocol: JSON", "", 101, "Sec-WebSocket-Protocol: -"},
		{"subprotocol of an app without", "", "Sec-WebSocket-Protocol: json", "", 101, "Sec-WebSocket-Protocol: -"},

		{"no Upgrade", "", "-Upgrade", "", 426, "Upgrade: websocket\nConnection: Upgrade"},
		{"no Connection", "", "-Connection", "", 400, ""},
		{"Connection without upgrade", "", "Connection: keep-alive", "", 400, ""},
		{"no version", "", "-Sec-WebSocket-Version", "", 400, "Sec-WebSocket-Version: 13"},
		{"version 8", "", "Sec-WebSocket-Version: 8", "", 426, "Sec-WebSocket-Version: 13\nUpgrade: websocket"},
		{"version 14", "", "Sec-WebSocket-Version: 14", "", 426, "Sec-WebSocket-Version: 13"},
		{"two versions", "", "Sec-WebSocket-Version: 13, 8", "", 426, "Sec-WebSocket-Version: 13"},
		{"no key", "", "-Sec-WebSocket-Key", "", 400, "Sec-WebSocket-Accept: -"},
		{"two keys", "", "Sec-WebSocket-Key: " + sampleKey + "\nSec-WebSocket-Key: " + sampleKey, "", 400, ""},
		{"key of 15 bytes", "", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j", "", 400, ""},
		{"key of 17 bytes", "", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZTE=", "", 400, ""},
		{"key that is no base64", "", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j!!==", "", 400, ""},
		{"empty key", "", "Sec-WebSocket-Key:", "", 400, ""},
		{"HTTP/1.0", "GET /echo HTTP/1.0", "", "", 400, ""},
		{"POST", "POST /echo HTTP/1.1", "", "", 405, "Allow: GET"},
		{"HEAD", "HEAD /echo HTTP/1.1", "", "", 405, "Allow: GET"},
		{"body", "", "Content-Length: 5", "hello", 400, ""},
		{"chunked body", "", "Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n", 400, ""},
		{"another origin", "", "Origin: http://evil.example", "", 403, "Access-Control-Allow-Origin: -"},
		{"no origin of all", "", "Origin: null", "", 403, ""},
		{"own origin", "", "Origin: http://localhost", "", 101, ""},
		{"a route without the directive", "GET /other HTTP/1.1", "", "", 200, "Upgrade: -"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := s.connect(t)
			c.write(changed(test.request, test.change) + test.body)
			method, _, _ := strings.Cut(test.request, " ")
			a := c.headerOf(method)
			if a.StatusCode != test.status {
				t.Fatalf("answered %s %v, want %d", a.Status, a.Header, test.status)
			}
			for line := range strings.SplitSeq(test.want, "\n") {
				name, want, _ := strings.Cut(line, ": ")
				if want == none {
					want = ""
				}
				if got := strings.Join(a.Header.Values(name), ", "); name != "" && got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			if test.status == http.StatusSwitchingProtocols {
				c.write(ping("alive"))
				c.expectAfterState(frame{op: opPong, fin: true, payload: "alive"})
			}
		})
	}
}

// changed is the RFC's request with a first line and headers of a test's own.
func changed(request, change string) string {
	if request == "" {
		request = "GET /echo HTTP/1.1"
	}
	lines := []string{
		"Host: localhost", "Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Key: " + sampleKey, "Sec-WebSocket-Version: 13",
	}
	change += "\n"
	lines = slices.DeleteFunc(lines, func(line string) bool {
		name, _, _ := strings.Cut(line, ":")
		return strings.Contains("\n"+change, "\n"+name+":") || strings.Contains("\n"+change, "\n-"+name+"\n")
	})
	for line := range strings.SplitSeq(change, "\n") {
		if line != "" && !strings.HasPrefix(line, "-") {
			lines = append(lines, line)
		}
	}
	return request + "\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// headerOf reads the header of the response to a method.
func (c *socket) headerOf(method string) *http.Response {
	c.t.Helper()
	if method == "" {
		method = http.MethodGet
	}
	response, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("reading a response: %v", err)
	}
	return response
}

// expectAfterState is expect after the state that the subprotocol json begins
// with, if it does.
func (c *socket) expectAfterState(want frame) {
	c.t.Helper()
	f := c.frame()
	if strings.HasPrefix(f.payload, `{"type":"state"`) {
		f = c.frame()
	}
	if f != want {
		c.t.Fatalf("got %q, want %q", show(f), show(want))
	}
}

// What stands behind a refused upgrade, in the same segment, is HTTP or nothing: it
// is never taken for frames, and its answer is its own. Otherwise a proxy in front
// that believed in the upgrade would be led astray.
func TestNothingIsSmuggledBehindARefusedUpgrade(t *testing.T) {
	s := start(t, handshakeConfig)
	const second = "POST /sum HTTP/1.1\r\nHost: smuggled\r\nContent-Length: 1\r\nConnection: close\r\n\r\n7"
	const inner = "GET /other HTTP/1.1\r\nHost: localhost\r\n\r\n"
	for name, first := range map[string]string{
		"bad version":         changed("", "Sec-WebSocket-Version: 8"),
		"no key":              changed("", "-Sec-WebSocket-Key"),
		"bad origin":          changed("", "Origin: http://evil.example"),
		"no Upgrade":          changed("", "-Upgrade"),
		"no Connection":       changed("", "-Connection"),
		"POST":                changed("POST /echo HTTP/1.1", "Content-Length: 0"),
		"body":                changed("", "Content-Length: 5") + "hello",
		"chunked body":        changed("", "Transfer-Encoding: chunked") + "5\r\nhello\r\n0\r\n\r\n",
		"expectation":         changed("", "Expect: 100-continue\nContent-Length: 5") + "hello",
		"both lengths":        changed("", "Content-Length: 5\nTransfer-Encoding: chunked") + "0\r\n\r\n",
		"two lengths":         changed("", "Content-Length: 5\nContent-Length: 6") + "hello",
		"HTTP/2":              changed("", "Upgrade: h2c\nConnection: Upgrade, HTTP2-Settings\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"),
		"room without a name": changed("GET /named HTTP/1.1", ""),
		"no password":         changed("GET /private HTTP/1.1", ""),
		"request as a body":   changed("", "Content-Length: "+strconv.Itoa(len(inner))) + inner,
		"HTTP/1.0 keep-alive": changed("GET /echo HTTP/1.0", "Connection: Upgrade, keep-alive"),
	} {
		t.Run(name, func(t *testing.T) {
			c := s.connect(t)
			c.write(first + second)
			if a := c.response(); a.status < 400 || a.status == http.StatusNotImplemented {
				t.Fatalf("the upgrade was answered with %+v", a)
			}
			a, err := c.tryResponse()
			if err != nil {
				if c.r.Buffered() > 0 {
					t.Fatalf("what follows is no HTTP: %v", err)
				}
				return // the server has ended the connection
			}
			if a.status != http.StatusOK || a.header.Get("Content-Type") != "text/plain; charset=utf-8" {
				t.Fatalf("the second request was answered with %+v", a)
			}
			c.expectEnd()
		})
		t.Run(name+", then frames", func(t *testing.T) {
			c := s.connect(t)
			c.write(first + text("smuggled") + "\r\n\r\n") // the end of a request, or another frame
			c.response()
			rest, _ := bufio.NewReader(c.r).Peek(8)
			if len(rest) > 0 && string(rest) != "HTTP/1.1" {
				t.Fatalf("frames were answered with %q", rest)
			}
		})
	}
}

// The other way round: behind an accepted upgrade there are frames only.
func TestNoRequestIsServedBehindAnUpgrade(t *testing.T) {
	s := start(t, handshakeConfig)
	c := s.connect(t)
	c.write(handshake("/echo") + "GET /other HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if a := c.response(); a.status != http.StatusSwitchingProtocols {
		t.Fatalf("got %+v", a)
	}
	c.expectClose(1002)
}
