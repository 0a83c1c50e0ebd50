package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/gorilla/websocket"
)

func TestTargets(t *testing.T) {
	for raw, want := range map[string]string{
		"ws://localhost:8080/sum":      "ws://localhost:8080/sum",
		"WSS://example.com/a?b=c%20d":  "wss://example.com/a?b=c%20d",
		"http://example.com":           "ws://example.com",
		"https://[::1]:8443/sum":       "wss://[::1]:8443/sum",
		"ws://alice:secret@localhost/": "ws://localhost/",
	} {
		if d, err := NewDialer(raw, Options{}); err != nil || d.URL.String() != want {
			t.Errorf("%s: %v, %v", raw, d, err)
		}
	}
	for raw, want := range map[string]string{
		"localhost:8080/sum": "write ws:// or, for TLS, wss://",
		"":                   "no scheme",
		"ftp://localhost/":   "expected ws, wss, http or https",
		"ws:///sum":          "no host",
		"ws://localhost/#a":  "fragment",
		"ws://local host/":   "reading the URL",
		"ws://localhost:x/":  "reading the URL",
	} {
		if _, err := NewDialer(raw, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", raw, err, want)
		}
	}
}

func TestWrongOptions(t *testing.T) {
	for want, o := range map[string]Options{
		`the header "X" has not the form "Name: value"`: {Headers: []string{"X"}},
		`the header "X Y: 1"`:                           {Headers: []string{"X Y: 1"}},
		`the header "X: 1\r\nY: 2"`:                     {Headers: []string{"X: 1\r\nY: 2"}},
		"belongs to the handshake":                      {Headers: []string{"sec-websocket-key: x"}},
		"there is --subprotocol":                        {Headers: []string{"Sec-WebSocket-Protocol: json"}},
		`the subprotocol "a b" is not a token`:          {Subprotocols: []string{"a b"}},
	} {
		if _, err := NewDialer("ws://localhost/", o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// serve returns the URL of a server.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func dial(t *testing.T, url string, o Options) (*websocket.Conn, error) {
	t.Helper()
	d, err := NewDialer(url, o)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := d.Dial(t.Context())
	if err == nil {
		t.Cleanup(func() { conn.Close() })
	}
	return conn, err
}

// The handshake has what was asked for.
func TestHandshake(t *testing.T) {
	got := make(chan *http.Request, 1)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got <- r
		upgrader := websocket.Upgrader{Subprotocols: []string{"json"}, CheckOrigin: func(*http.Request) bool { return true }}
		if conn, err := upgrader.Upgrade(w, r, nil); err == nil {
			conn.Close()
		}
	})
	conn, err := dial(t, url, Options{
		Headers:      []string{"X-One: 1", "x-one:2", "Host: example.com", "Origin: https://example.org"},
		Subprotocols: []string{"v2", "json"}, User: "alice:s:cret",
	})
	if err != nil || conn.Subprotocol() != "json" {
		t.Fatalf("%v, %v", conn, err)
	}
	r := <-got
	user, password, _ := r.BasicAuth()
	if !slices.Equal(r.Header.Values("X-One"), []string{"1", "2"}) || r.Host != "example.com" || r.Header.Get("Origin") != "https://example.org" || user != "alice" || password != "s:cret" {
		t.Errorf("%s, %v", r.Host, r.Header)
	}
	if _, err = dial(t, strings.Replace(url, "http://", "ws://bob:pass@", 1), Options{}); err != nil {
		t.Fatal(err)
	}
	if user, password, _ = (<-got).BasicAuth(); user != "bob" || password != "pass" {
		t.Errorf("the URL's user is %s:%s", user, password)
	}
}

// A server that does not agree on what was asked for is a refusal, as it is in browsers.
func TestSubprotocolsThatAreNotAgreedOn(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var upgrader websocket.Upgrader
		if conn, err := upgrader.Upgrade(w, r, http.Header{"Sec-WebSocket-Protocol": r.URL.Query()["speak"]}); err == nil {
			conn.Close()
		}
	})
	for path, row := range map[string]struct {
		ask  []string
		want string
	}{
		"":            {[]string{"json", "v2"}, "speaks none of the subprotocols json, v2"},
		"?speak=v3":   {[]string{"json"}, "chosen the subprotocol v3, which was not asked for"},
		"?speak=json": {nil, "chosen the subprotocol json"},
	} {
		_, err := dial(t, url+path, Options{Subprotocols: row.ask})
		if r, ok := errors.AsType[*Refused](err); !ok || r.ExitStatus() != 2 || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q", path, err, row.want)
		}
	}
}

// A refusal tells the status, what to do, and what the server says of it, harmlessly.
func TestRefusals(t *testing.T) {
	for _, row := range []struct {
		status int
		header string
		want   []string
	}{
		{200, "", []string{"200 OK", "no WebSocket"}},
		{308, "Location: https://example.com/sum", []string{"308 Permanent Redirect", "with wss for https", "\nLocation: https://example.com/sum"}},
		{400, "", []string{"400 Bad Request"}},
		{401, `WWW-Authenticate: Basic realm="x"`, []string{"401 Unauthorized", "--user name:password", "\nWWW-Authenticate: Basic realm=\"x\""}},
		{403, "", []string{"403 Forbidden", "request refused"}},
		{404, "", []string{"404 Not Found"}},
		{405, "Allow: GET", []string{"405", "\nAllow: GET"}},
		{426, "Sec-WebSocket-Version: 13", []string{"426 Upgrade Required", "\nSec-WebSocket-Version: 13"}},
		{429, "Retry-After: 7", []string{"429 Too Many Requests", "\nRetry-After: 7"}},
		{500, "", []string{"500", "its log knows more"}},
		{502, "", []string{"502 Bad Gateway", "proxy"}},
		{503, "Retry-After: 5", []string{"503 Service Unavailable", "full or stopping", "\nRetry-After: 5"}},
	} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if name, value, found := strings.Cut(row.header, ": "); found {
				w.Header().Set(name, value)
			}
			w.WriteHeader(row.status)
			fmt.Fprintf(w, "because \x1b[2J%s", strings.Repeat("x", 1<<20))
		})
		_, err := dial(t, url, Options{})
		r, ok := errors.AsType[*Refused](err)
		if !ok || r.Code != row.status || r.ExitStatus() != 2 {
			t.Errorf("%d: %v", row.status, err)
			continue
		}
		for _, want := range append(row.want, "\n\nbecause \\x1b[2Jxxx") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%d: there is no %q in %q", row.status, want, err.Error())
			}
		}
		if len(err.Error()) > 2000 || strings.Contains(r.Short(), "\n") {
			t.Errorf("%d: too long: %q", row.status, err.Error())
		}
	}
}

// An answer 101 without the rest of a handshake is none.
func TestA101ThatIsNoHandshake(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusSwitchingProtocols) })
	if _, err := dial(t, url, Options{}); err == nil || !strings.Contains(err.Error(), "not as a WebSocket server does") {
		t.Error(err)
	}
}

// What the network says comes with what to do.
func TestNetworkErrors(t *testing.T) {
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	secure.Config.ErrorLog = nil
	plain := serve(t, http.NotFound)
	for url, want := range map[string]string{
		"ws://127.0.0.1:1/":                            "connection refused", // where nobody listens
		strings.Replace(plain, "http", "wss", 1):       "use ws:// instead of wss://",
		strings.Replace(secure.URL, "https", "wss", 1): "--insecure",
		"ws://nobody.invalid/":                         "there is no such host",
	} {
		_, err := dial(t, url, Options{})
		if _, refused := errors.AsType[*Refused](err); err == nil || refused || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
	var unverified *tls.CertificateVerificationError
	if _, err := dial(t, secure.URL, Options{}); !errors.As(err, &unverified) {
		t.Errorf("the cause is lost: %v", err)
	}
	if _, err := dial(t, secure.URL, Options{Insecure: true}); !strings.Contains(fmt.Sprint(err), "404") {
		t.Errorf("insecure: %v", err)
	}
}

// A server that takes a connection and never answers does not hold up an interruption.
func TestDialEndsWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d, err := NewDialer("ws://"+l.Addr().String(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		if conn, err := l.Accept(); err == nil {
			_, _ = conn.Read(make([]byte, 1)) // the handshake has begun
			cancel()
		}
	}()
	if _, err := d.Dial(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"plain äöü 漢字\n\t":         "plain äöü 漢字\n\t",
		"\x1b[31m\x07\x08\r\x7f":   `\x1b[31m\x07\x08\x0d\x7f`,
		"\u009b\u0085":             `\u009b\u0085`,
		"\u202e\u2066\u200b\ufeff": `\u202e\u2066\u200b\ufeff`,
		"\U000e0041":               `\U000e0041`,
		"\xff\xc3(":                `\xff\xc3(`,
		"\ufffd":                   "\ufffd",
		"👩\u200d🚀":                 "👩\u200d🚀",
	} {
		if got := Printable(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// Whatever is printed, it has no character that a terminal obeys.
func FuzzPrintable(f *testing.F) {
	f.Add("a\x1b[2J\u009b\u202e\xff")
	f.Fuzz(func(t *testing.T, text string) {
		for _, r := range Printable(text) {
			if !isShown(r) {
				t.Errorf("%q has %q", Printable(text), r)
			}
		}
	})
}

// Errors that this machine cannot easily be brought to have their hints, too.
func TestHints(t *testing.T) {
	for cause, want := range map[error]string{
		&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}:                            "no answer within 20s",
		&net.OpError{Op: "dial", Err: os.NewSyscallError("bind", syscall.EADDRNOTAVAIL)}: "no port left",
		errors.New("anything else"):                                                      "anything else",
	} {
		if err := explained(cause); !strings.Contains(err.Error(), want) || !errors.Is(err, cause) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
