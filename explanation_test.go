package caddyws

import (
	"net/http"
	"strings"
	"testing"
)

// A browser that asks for a page where there is none is told in words what is there, with
// the status and the headers that programs get.
func TestBrowsersAreToldInWords(t *testing.T) {
	const config = ":PORT {\n websocket /chat broadcast\n websocket /off sum {\n http off\n }\n websocket /sum sum\n}"
	for path, test := range map[string]struct {
		post   bool
		reason error
		option string
	}{
		"/chat": {true, errNoState, "app"},
		"/off":  {false, errNotUpgrade, "http"},
	} {
		t.Run(path, func(t *testing.T) {
			answer, body := start(t, config).browse(path)
			for name, want := range map[string]string{
				"Upgrade": "websocket", "Connection": "Upgrade",
				"Content-Type": "text/html; charset=utf-8", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
				"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
			} {
				if got := answer.Header.Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			if answer.StatusCode != http.StatusUpgradeRequired || !strings.Contains(answer.Header.Get("Vary"), "Accept") {
				t.Errorf("%s, Vary: %s", answer.Status, answer.Header.Get("Vary"))
			}
			if !strings.Contains(body, "<h1>This address is a WebSocket</h1>") || !strings.Contains(body, "npx wscat -c 'ws://localhost"+path+"'</pre>") {
				t.Error(body)
			}
			if strings.Contains(body, "curl -d Hello 'http://localhost"+path+"'") != test.post {
				t.Errorf("it has a line about POST: %v\n%s", !test.post, body)
			}
			checkRefusal(t, "info", "426 "+test.reason.Error(), entry{"option": test.option})
		})
	}
	s := start(t, config)
	if answer, body := s.browse("/sum"); answer.StatusCode != http.StatusOK || body != "0" {
		t.Errorf("a state: %s %q", answer.Status, body)
	}
	head, body := s.request(http.MethodHead, "/chat", "", "Accept: "+asBrowser)
	if head.StatusCode != http.StatusUpgradeRequired || head.Header.Get("Content-Type") != "text/html; charset=utf-8" || body != "" {
		t.Errorf("HEAD: %s %v %q", head.Status, head.Header, body)
	}
}

// Programs are not told in words, nor the visitors of a site that has words of its own.
func TestOthersAreNotToldInWords(t *testing.T) {
	s := start(t, ":PORT {\n websocket /chat broadcast\n}")
	for _, accept := range []string{"", "*/*", "application/json", "text/plain, text/html", "text/*", "text/html;q=0.5, */*"} {
		answer, body := s.raw("GET /chat HTTP/1.1\r\nHost: localhost\r\nAccept: " + accept + "\r\n\r\n")
		if answer.StatusCode != http.StatusUpgradeRequired || body != "" {
			t.Errorf("Accept %q: %s %q", accept, answer.Status, body)
		}
	}
	s = start(t, ":PORT {\n websocket /chat broadcast\n handle_errors {\n respond \"{err.status_code}, sorry\"\n }\n}")
	if answer, body := s.browse("/chat"); answer.StatusCode != http.StatusUpgradeRequired || body != "426, sorry" {
		t.Errorf("handle_errors: %s %q", answer.Status, body)
	}
}

// What stands in a link by anybody is text, and harmless where it is copied to.
func TestWordsAreText(t *testing.T) {
	s := start(t, ":PORT {\n websocket broadcast\n}")
	for _, test := range []struct{ host, path, want string }{
		{"localhost", "/a'b%22<b>$(x)", "ws://localhost/a%27b%22%3Cb%3E$%28x%29"},
		{"a'$(x)", "/chat", "ws://example.com/chat"},
		{"[::1]:8080", "/chat", "ws://[::1]:8080/chat"},
	} {
		_, body := s.raw("GET " + test.path + " HTTP/1.1\r\nHost: " + test.host + "\r\nAccept: " + asBrowser + "\r\n\r\n")
		if !strings.Contains(body, "wscat -c '"+test.want+"'</pre>") || !strings.Contains(body, `new WebSocket("`+test.want+`");`) {
			t.Errorf("%s%s: want %s in %s", test.host, test.path, test.want, body)
		}
	}
}
