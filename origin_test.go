package caddyws

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// originRequest is a request for host with headers "Name: value".
func originRequest(host string, secure bool, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Host, r.TLS = host, nil
	if secure {
		r.TLS = &tls.ConnectionState{}
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Add(name, value)
	}
	return r
}

// The origin rule without anything listed.
func TestOwnOrigin(t *testing.T) {
	const plain, secure = false, true
	for _, test := range []struct {
		host    string
		secure  bool
		origin  string
		allowed bool
	}{
		{"example.com", secure, "https://example.com", true},
		{"example.com:443", secure, "https://example.com", true},
		{"example.com", secure, "https://example.com:443", true},
		{"example.com:8443", secure, "https://example.com:8443", true},
		{"EXAMPLE.com", secure, "https://example.com", true},
		{"example.com", secure, "HTTPS://EXAMPLE.COM", true},
		{"example.com.", secure, "https://example.com.", true},
		{"[::1]:8443", secure, "https://[::1]:8443", true},
		{"[::1]", secure, "https://[::1]:443", true},
		{"[2001:DB8::1]", secure, "https://[2001:db8::1]", true},
		{"192.0.2.1", secure, "https://192.0.2.1", true},

		{"example.com", secure, "http://example.com", false}, // from a page that anybody on the way may have written
		{"example.com:443", secure, "http://example.com:443", false},
		{"example.com", secure, "http://example.com:443", false},
		{"example.com", secure, "https://example.com:80", false},
		{"example.com:80", secure, "https://example.com", false},
		{"example.com", secure, "https://example.com:8443", false},
		{"example.com:8443", secure, "https://example.com", false},
		{"example.com:8443", secure, "https://example.com:443", false},
		{"example.com", secure, "https://www.example.com", false},
		{"www.example.com", secure, "https://example.com", false},
		{"example.com", secure, "https://example.com.evil.example", false},
		{"example.com", secure, "https://evilexample.com", false},
		{"example.com", secure, "https://example.com.", false}, // another origin to browsers, too
		{"[::1]", secure, "https://[::2]", false},
		{"[::1]:8443", secure, "https://[::1]", false},

		{"example.com", plain, "http://example.com", true},
		{"example.com", plain, "https://example.com", true}, // a proxy in front may have ended TLS
		{"example.com:80", plain, "http://example.com", true},
		{"example.com", plain, "http://example.com:80", true},
		{"example.com:443", plain, "https://example.com", true},
		{"example.com:8080", plain, "http://example.com:8080", true},
		{"example.com:8080", plain, "https://example.com:8080", true},
		{"[::1]:8080", plain, "http://[::1]:8080", true},
		{"[::1]:80", plain, "http://[::1]", true},
		{"localhost:8080", plain, "http://localhost:8080", true},

		{"example.com", plain, "http://example.com:8080", false},
		{"example.com:8080", plain, "http://example.com", false},
		{"example.com:8080", plain, "http://example.com:8081", false},
		{"localhost:8080", plain, "http://127.0.0.1:8080", false},
		{"example.com", plain, "ftp://example.com", false},
		{"example.com", plain, "capacitor://example.com", false},
		{"example.com", plain, "file://", false},
		{"example.com", plain, "file://example.com", false},

		// The URL of the WebSocket itself.
		{"example.com", plain, "ws://example.com", true},
		{"example.com", plain, "wss://example.com", true},
		{"example.com", plain, "ws://example.com:80", true},
		{"example.com:8080", plain, "ws://example.com:8080", true},
		{"example.com", secure, "wss://example.com", true},
		{"example.com", secure, "WSS://example.com:443/", true},
		{"example.com:8443", secure, "wss://example.com:8443", true},
		{"example.com", secure, "ws://example.com", false},
		{"example.com", secure, "ws://example.com:443", false},
		{"example.com", secure, "wss://evil.example", false},
		{"example.com", secure, "wss://example.com/chat", false},
		{"example.com", plain, "ws://example.com:8080", false},

		// A slash behind it.
		{"example.com", secure, "https://example.com/", true},
		{"example.com:8080", plain, "http://example.com:8080/", true},
		{"example.com", secure, "http://example.com/", false},
		{"example.com", secure, "https://example.com//", false},
		{"example.com", secure, "https://example.com/?", false},
		{"example.com", secure, "https://example.com/.", false},
		{"example.com", secure, "https://example.com/%2f", false},
		{"", plain, "http://", false},
		{"", plain, "http://example.com", false},

		{"example.com", secure, "null", false},
		{"null", plain, "null", false},
		{"example.com", secure, "", false},
		{"example.com", secure, "example.com", false},
		{"example.com", secure, "//example.com", false},
		{"example.com", secure, "https://", false},
		{"example.com", secure, "https:example.com", false},
		{"example.com", secure, "https://example.com/chat", false},
		{"example.com", secure, "https://example.com?", false},
		{"example.com", secure, "https://example.com#", false},
		{"example.com", secure, "https://user@example.com", false},
		{"example.com", secure, "https://evil.example@example.com", false},
		{"example.com", secure, "https://example.com@evil.example", false},
		{"example.com", secure, "https://example.com https://evil.example", false},
		{"example.com", secure, "https://example.com, https://example.com", false},
		{"example.com", secure, "https://example.com:x", false},
		{"example.com", secure, "https://%65xample.com", false},
		{"example.com", secure, `https://example.com\@evil.example`, false},
		{"::1", secure, "https://::1", false},
	} {
		err := mustOrigins(t).check(originRequest(test.host, test.secure, "Origin: "+test.origin))
		if allowed := err == nil; allowed != test.allowed || !allowed && !errors.Is(err, errOrigin) {
			t.Errorf("host %q, TLS %v, origin %q: %v", test.host, test.secure, test.origin, err)
		}
	}
}

func mustOrigins(t *testing.T, list ...string) origins {
	t.Helper()
	o, err := parseOrigins(list)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// A listed host means the default ports of both schemes, a listed origin itself.
func TestListedOrigins(t *testing.T) {
	for _, test := range []struct{ list, allowed, refused string }{
		{
			"app.example",
			"https://app.example http://app.example https://app.example:443 http://app.example:80 https://APP.example",
			"https://app.example:8443 http://app.example:443 https://app.example:80 https://a.app.example https://app.example. null",
		},
		{"App.Example", "https://app.example http://app.example", "https://app.example2"},
		{"app.example:8443", "https://app.example:8443 http://app.example:8443", "https://app.example http://app.example"},
		{"app.example:443", "https://app.example http://app.example:443", "http://app.example"},
		{"app.example:80", "http://app.example https://app.example:80", "https://app.example"},
		{"app.example.", "https://app.example.", "https://app.example"},
		{"https://app.example", "https://app.example https://app.example:443", "http://app.example https://app.example:8443 http://app.example:443"},
		{"HTTP://App.Example:80", "http://app.example", "https://app.example"},
		{"https://app.example:8443", "https://app.example:8443", "https://app.example"},
		{"[::1]:3000", "http://[::1]:3000 https://[::1]:3000", "http://[::1]"},
		{"http://[::1]", "http://[::1] http://[::1]:80", "https://[::1]"},
		{"localhost", "http://localhost", "http://localhost:3000 http://127.0.0.1"},
		{"a.example https://b.example", "https://a.example http://a.example https://b.example", "http://b.example https://c.example"},
		{"*", "https://any.example http://any.example:8080 http://[::1]:80 null file:// ftp://x x :// https://a/b https://%zz", ""},
		{"* a.example", "https://any.example null", ""},
		{"https://app.example", "wss://app.example https://app.example/ wss://app.example:443/", "ws://app.example https://app.example//"},
		{"null", "null NULL", "file:// https://null nul null/"},
		{"file://", "file:// FILE://", "null file:/// file: file://x"},
		{"File:///", "file:///", "file://"},
		{"capacitor://localhost", "capacitor://localhost", "http://localhost https://localhost capacitor://localhost/ capacitor://localhost:80"},
		{"wss://app.example", "wss://app.example", "ws://app.example https://app.example wss://app.example:443"},
		{"ftp://app.example/path", "ftp://app.example/path", "ftp://app.example"},
		{"chrome-extension://abc a.example", "chrome-extension://abc https://a.example", "chrome-extension://abd"},
	} {
		o := mustOrigins(t, strings.Fields(test.list)...)
		for origin := range strings.FieldsSeq(test.allowed) {
			if err := o.check(originRequest("own.example", true, "Origin: "+origin)); err != nil {
				t.Errorf("list %q refuses %q", test.list, origin)
			}
		}
		for origin := range strings.FieldsSeq(test.refused) {
			if err := o.check(originRequest("own.example", true, "Origin: "+origin)); err == nil {
				t.Errorf("list %q allows %q", test.list, origin)
			}
		}
		if err := o.check(originRequest("own.example", true, "Origin: https://own.example")); err != nil {
			t.Errorf("list %q refuses the site's own page", test.list)
		}
	}
}

// What can never match is an error, not a rule that does nothing.
func TestWrongListedOrigins(t *testing.T) {
	for _, entry := range []string{
		"", "https://", "://", "http:///", "https://example.com/", "example.com/", "example.com/chat", "https://example.com/chat",
		"HTTPS://example.com/chat", "http:example.com", "file:", "file:/", "1file://", "-://x", "{scheme}://x", "file://*", "**", "null*", "file:// ",
		"fi le://", "file://\u00a0", "file://\x7f", "file://ü", "a.example,", "a.example,b.example", "file://,null", " null", "null.example/x",
		"https://example.com?x", "https://example.com?", "https://example.com#x", "https://u@example.com", "*.example.com", "https://*",
		"https://*.example.com", "example.com:x", "a b", "{env.ORIGIN}", "bücher.example", "::1", "exa\nmple.com", "%65xample.com",
	} {
		if o, err := parseOrigins([]string{"good.example", entry}); err == nil {
			t.Errorf("%q is allowed: %+v", entry, o)
		}
	}
	_, err := parseOrigins([]string{"bad/one", "good.example", "*.example"})
	if err == nil || !strings.Contains(err.Error(), `"bad/one"`) || !strings.Contains(err.Error(), `"*.example"`) {
		t.Errorf("not all that is wrong is told at once: %v", err)
	}
}

// Several are one too many, also where each would do: only * lets them in.
func TestSeveralOriginHeadersAreRefused(t *testing.T) {
	for _, list := range [][]string{nil, {"*"}, {"a.example", "null"}} {
		for _, headers := range [][]string{
			{"Origin: https://own.example", "Origin: https://own.example"},
			{"Origin: https://own.example", "Origin: https://evil.example"},
			{"Origin: https://a.example", "Origin: null"},
			{"Origin: ", "Origin: https://own.example"},
		} {
			allowed := mustOrigins(t, list...).check(originRequest("own.example", true, headers...)) == nil
			if allowed != slices.Contains(list, "*") {
				t.Errorf("list %q, headers %q: %v", list, headers, allowed)
			}
		}
	}
}

// Without an origin it is no page, unless the browser says that it is one.
func TestAbsentOrigin(t *testing.T) {
	for site, allowed := range map[string]bool{
		"": true, "same-origin": true, "none": true, "cross-site": false, "same-site": false,
	} {
		for _, mode := range []string{"", "Sec-Fetch-Mode: websocket", "Sec-Fetch-Mode: cors", "Sec-Fetch-Mode: no-cors"} {
			var headers []string
			if site != "" {
				headers = append(headers, "Sec-Fetch-Site: "+site)
			}
			if mode != "" {
				headers = append(headers, mode)
			}
			for _, list := range [][]string{nil, {"a.example", "null"}} {
				if err := mustOrigins(t, list...).check(originRequest("own.example", true, headers...)); (err == nil) != allowed {
					t.Errorf("list %q, headers %q: %v", list, headers, err)
				}
			}
			if err := mustOrigins(t, "*").check(originRequest("own.example", true, headers...)); err != nil {
				t.Errorf("* refuses %q", headers)
			}
		}
	}
}

// What another site's page may do without reading the answer, it may: following
// a link to the state. Nothing with an effect and nothing embedded.
func TestNavigationFromAnotherSite(t *testing.T) {
	link := []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}
	for _, test := range []struct {
		method, query string
		headers       []string
		allowed       bool
	}{
		{"GET", "", link, true},
		{"GET", "x=1", link, true},
		{"GET", "message=1", link, false},
		{"GET", "message", link, false},
		{"POST", "", link, false},
		{"HEAD", "", link, false},
		{"GET", "", []string{link[0], link[1], "Sec-Fetch-Dest: iframe"}, false},
		{"GET", "", []string{link[0], link[1], "Sec-Fetch-Dest: object"}, false},
		{"GET", "", link[:2], false},
		{"GET", "", []string{link[0], link[2]}, false},
	} {
		r := originRequest("own.example", true, test.headers...)
		r.Method, r.URL.RawQuery = test.method, test.query
		if err := mustOrigins(t).check(r); (err == nil) != test.allowed {
			t.Errorf("%s ?%s %q: %v", test.method, test.query, test.headers, err)
		}
	}
}

// What the page of another origin is told it may do. The user's credentials are
// for origins of http and https that are listed by name.
func TestSharing(t *testing.T) {
	for _, test := range []struct{ list, origin, allowed, credentials string }{
		{"a.example", "https://a.example", "https://a.example", "true"},
		{"* a.example", "https://a.example", "https://a.example", "true"},
		{"* a.example", "https://b.example", "*", ""},
		{"*", "https://own.example", "*", ""},
		{"*", "null", "*", ""},
		{"*", "no origin", "*", ""},
		{"* null", "null", "null", ""},
		{"null", "null", "null", ""},
		{"file://", "file://", "file://", ""},
		{"capacitor://localhost", "capacitor://localhost", "capacitor://localhost", ""},
		{"wss://a.example", "wss://a.example", "wss://a.example", ""},
		{"a.example", "https://own.example", "", ""},
		{"a.example null", "file://", "", ""},
		{"*", "", "", ""},
	} {
		r := originRequest("own.example", true)
		if test.origin != "" {
			r.Header.Set("Origin", test.origin)
		}
		header := make(http.Header)
		mustOrigins(t, strings.Fields(test.list)...).share(header, r)
		if allowed, credentials := header.Get("Access-Control-Allow-Origin"), header.Get("Access-Control-Allow-Credentials"); allowed != test.allowed || credentials != test.credentials {
			t.Errorf("list %q, origin %q: %v", test.list, test.origin, header)
		}
	}
}
