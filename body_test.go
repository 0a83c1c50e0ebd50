package caddyws

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"
)

// Routes that count and bound messages, and some that take none.
const (
	bodyConfig = bodyRoutes + `:PORT {
	import routes
}`
	bodyConfigTLS = bodyRoutes + `https://localhost:TLSPORT {
	tls CERTIFICATE CERTIFICATE
	import routes
}`
	bodyRoutes = `GLOBAL
	servers {
		trusted_proxies static 127.0.0.0/8
	}
END
(routes) {
	websocket /sum/* sum
	websocket /small echo {
		max_message_size 1000B
	}
	websocket /once/* echo {
		message_rate 0.001/s 1
		max_message_size 1000B
	}
	websocket /off echo {
		http off
	}
	websocket /named {
		app sum
		room {query.room}
	}
}
`
)

// An answer that does not depend on the body does not wait for it: each of these
// requests announces one that never comes.
func TestAnswersDoNotWaitForABody(t *testing.T) {
	s := start(t, bodyConfig)
	s.posts("/once/post", "x", http.StatusOK, "x")
	const size, chunked = "Content-Length: 10\r\n", "Transfer-Encoding: chunked\r\n"
	for _, test := range []struct {
		name, method, path, headers string
		status                      int
	}{
		{"over the rate", "POST", "/once/post", size, 429},
		{"over the rate, chunked", "POST", "/once/post", chunked, 429},
		{"over the rate, asked before", "POST", "/once/post", size + "Expect: 100-continue\r\n", 429},
		{"one byte too large", "POST", "/small", "Content-Length: 1001\r\n", 413},
		{"too large", "POST", "/small", "Content-Length: 1000000000000\r\n", 413},
		{"too large, asked before", "POST", "/small", "Content-Length: 1001\r\nExpect: 100-continue\r\n", 413},
		{"encoded", "POST", "/sum/a", size + "Content-Encoding: gzip\r\n", 415},
		{"in another charset", "POST", "/sum/a", chunked + "Content-Type: text/plain;charset=utf-16\r\n", 415},
		{"from another site", "POST", "/sum/a", size + "Origin: https://evil.example\r\n", 403},
		{"room without a name", "POST", "/named", size, 400},
		{"another method", "PUT", "/sum/a", size, 405},
		{"http off", "POST", "/off", size, 426},
		{"GET with a body", "GET", "/sum/a", size, 200},
		{"GET without a state", "GET", "/small", size, 426},
		{"upgrade with a body", "GET", "/small", size + "Upgrade: websocket\r\n", 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			s.t = t
			answer, _ := s.raw(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: localhost:%d\r\n%s\r\n", test.method, test.path, s.Port, test.headers))
			if answer.StatusCode != test.status || !answer.Close {
				t.Errorf("answered %d %v, want %d and the end of the connection", answer.StatusCode, answer.Header, test.status)
			}
			if upgrade := answer.Header.Get("Upgrade"); (test.status == http.StatusUpgradeRequired) != (upgrade == "websocket") {
				t.Errorf("Upgrade is %q", upgrade)
			}
		})
	}
	s.t = t
	if total := s.state("/sum/a"); total.Version != 0 {
		t.Errorf("the room shows %+v", total)
	}
}

// The same over HTTP/2 and HTTP/3, where a connection goes on.
func TestAnswersOverStreamsDoNotWaitForABody(t *testing.T) {
	s := start(t, bodyConfigTLS)
	h2 := &http.Transport{TLSClientConfig: s.roots(), ForceAttemptHTTP2: true}
	h3 := &http3.Transport{TLSClientConfig: s.roots()}
	defer h2.CloseIdleConnections()
	defer h3.Close()
	for name, client := range map[string]http.RoundTripper{"h2": h2, "h3": h3} {
		t.Run(name, func(t *testing.T) {
			ask := func(path string, body io.Reader, size int64) *http.Response {
				t.Helper()
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://localhost:"+strconv.Itoa(s.TLSPort)+path, body)
				if err != nil {
					t.Fatal(err)
				}
				r.ContentLength = size
				r.Header.Set("X-Forwarded-For", "192.0.2."+name[1:]) // a rate of its own
				answer, err := (&http.Client{Transport: client, Timeout: patience}).Do(r)
				if err != nil {
					t.Fatal(err)
				}
				answer.Body.Close()
				return answer
			}
			withheld := func() io.Reader {
				body, end := io.Pipe()
				t.Cleanup(func() { end.Close() })
				return body
			}
			if answer := ask("/once/a", strings.NewReader("x"), 1); answer.StatusCode != http.StatusOK {
				t.Fatalf("answered %s over %s", answer.Status, answer.Proto)
			}
			if answer := ask("/once/a", withheld(), 10); answer.StatusCode != http.StatusTooManyRequests {
				t.Errorf("over the rate: %s", answer.Status)
			}
			if answer := ask("/small", withheld(), 1001); answer.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("too large: %s", answer.Status)
			}
			if answer := ask("/small", strings.NewReader("x"), 1); answer.StatusCode != http.StatusOK || answer.Header.Get("Connection") != "" {
				t.Errorf("afterwards: %s %v", answer.Status, answer.Header)
			}
		})
	}
}

// A connection whose request was read to its end goes on, whatever the answer.
func TestAnswersThatHaveReadTheBodyKeepTheConnection(t *testing.T) {
	s := start(t, bodyConfig)
	for body, status := range map[string]int{"6": 200, "six": 400, "\xff": 400} {
		answer, _ := s.raw(fmt.Sprintf("POST /sum/kept HTTP/1.1\r\nHost: localhost:%d\r\nContent-Length: %d\r\n\r\n%s", s.Port, len(body), body))
		if answer.StatusCode != status || answer.Close || answer.Header.Get("Connection") != "" {
			t.Errorf("%q: %s %v", body, answer.Status, answer.Header)
		}
	}
	if answer, _ := s.raw(fmt.Sprintf("GET /sum/kept HTTP/1.1\r\nHost: localhost:%d\r\n\r\n", s.Port)); answer.Close {
		t.Errorf("GET: %v", answer.Header)
	}
}

// Every message counts against message_rate, also one that is refused.
func TestRefusedMessagesCount(t *testing.T) {
	s := start(t, bodyConfig)
	big, client := strings.Repeat("x", 1001), 0
	for name, test := range map[string]struct {
		method, query, body string
		headers             []string
		status              int
	}{
		"not UTF-8":          {"POST", "", "\xff", nil, 400},
		"too large":          {"POST", "", big, nil, 413},
		"encoded":            {"POST", "", "x", []string{"Content-Encoding: gzip"}, 415},
		"question not UTF-8": {"GET", "?message=%ff", "", nil, 400},
		"question too large": {"GET", "?message=" + big, "", nil, 413},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			path := "/once/" + strings.ReplaceAll(name, " ", "-") + test.query
			client++
			headers := append(test.headers, "X-Forwarded-For: 192.0.2."+strconv.Itoa(client)) // a rate of its own
			for i, want := range []int{test.status, 429, 429} {
				answer, _ := s.request(test.method, path, test.body, headers...)
				if answer.StatusCode != want {
					t.Errorf("%d. %s: %s, want %d", i+1, test.method, answer.Status, want)
				}
			}
			if answer, _ := s.request(http.MethodHead, path, ""); test.query != "" && answer.StatusCode != test.status {
				t.Errorf("HEAD: %s", answer.Status)
			}
		})
	}
	s.t = t
}

// A body that stops in the middle is answered by Caddy's read timeout.
func TestBodyThatStops(t *testing.T) {
	s := start(t, strings.Replace(bodyConfig, "servers {", "servers {\n timeouts {\n read_body 100ms\n }", 1))
	begun := time.Now()
	answer, _ := s.raw(fmt.Sprintf("POST /sum/a HTTP/1.1\r\nHost: localhost:%d\r\nContent-Length: 2\r\n\r\n6", s.Port))
	if answer.StatusCode != http.StatusRequestTimeout || !answer.Close {
		t.Errorf("%s %v after %v", answer.Status, answer.Header, time.Since(begun))
	}
	if total := s.state("/sum/a"); total.Version != 0 {
		t.Errorf("the room shows %+v", total)
	}
}

// A body that a handler around the directive refuses is refused for that handler's
// reason: no option of the directive decides it.
func TestBodyThatRequestBodyRefuses(t *testing.T) {
	s := start(t, strings.Replace(bodyConfig, "\timport routes", "request_body {\n max_size 4B\n }\n import routes", 1))
	answer, _ := s.raw(fmt.Sprintf("POST /sum/a HTTP/1.1\r\nHost: localhost:%d\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n", s.Port))
	if answer.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("answered with %s", answer.Status)
	}
	e := logged.wait(t, "the refusal", isMessage("request refused"))
	if e["option"] != nil || e["error"] != "http: request body too large" {
		t.Errorf("logged %v", e)
	}
}
