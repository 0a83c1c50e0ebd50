package caddyws

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// roomRequest is a request for target as Caddy's server prepares it, with its
// path rewritten afterwards if rewritten is not empty.
func roomRequest(host, target, rewritten string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Host = host
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), httptest.NewRecorder(), nil)
	if rewritten != "" {
		r.URL.Path, r.URL.RawPath = rewritten, ""
	}
	return r
}

func TestComputedRoom(t *testing.T) {
	for _, test := range []struct{ host, target, rewritten, want string }{
		{"example.com", "/chat", "", "//example.com/chat"},
		{"example.com", "/", "", "//example.com/"},
		{"EXAMPLE.Com", "/chat", "", "//example.com/chat"},
		{"example.com.", "/chat", "", "//example.com/chat"},
		{"example.com.:8080", "/chat", "", "//example.com:8080/chat"},
		{"example.com:80", "/chat", "", "//example.com/chat"},
		{"example.com:443", "/chat", "", "//example.com/chat"},
		{"example.com:", "/chat", "", "//example.com/chat"},
		{"example.com:8080", "/chat", "", "//example.com:8080/chat"},
		{"example.com:8443", "/chat", "", "//example.com:8443/chat"},
		{"192.0.2.1:8080", "/", "", "//192.0.2.1:8080/"},
		{"[2001:DB8::1]", "/", "", "//[2001:db8::1]/"},
		{"[2001:db8::1]:443", "/", "", "//[2001:db8::1]/"},
		{"[2001:db8::1]:8080", "/", "", "//[2001:db8::1]:8080/"},
		{"", "/chat", "", "///chat"},

		{"example.com", "/Chat", "", "//example.com/Chat"}, // case is kept
		{"example.com", "/chat/", "", "//example.com/chat"},
		{"example.com", "//chat", "", "//example.com/chat"},
		{"example.com", "/a/./b/../chat", "", "//example.com/a/chat"},
		{"example.com", "/../../chat", "", "//example.com/chat"},
		{"example.com", "/ch%61t", "", "//example.com/chat"},
		{"example.com", "/a%20b", "", "//example.com/a b"},
		{"example.com", "/caf%C3%A9", "", "//example.com/café"},
		{"example.com", "/%22%7B%7D%3D", "", `//example.com/"{}=`},
		{"example.com", "/chat?room=1&message=x", "", "//example.com/chat"}, // the query is ignored
		{"example.com", "/chat?", "", "//example.com/chat"},

		{"example.com", "/v1/chat", "/chat", "//example.com/v1/chat"}, // as handle_path does
		{"example.com", "/v2/chat", "/chat", "//example.com/v2/chat"},
		{"example.com", "/chat", "/index.html", "//example.com/chat"},
	} {
		got, err := new(Handler).roomName(roomRequest(test.host, test.target, test.rewritten))
		if err != nil || got != test.want {
			t.Errorf("host %q, target %q, rewritten %q: %q, %v, want %q", test.host, test.target, test.rewritten, got, err, test.want)
		}
	}
}

// Other handlers may clone the request's context away; the path is then what it is.
func TestComputedRoomWithoutOriginalRequest(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "http://example.com/chat", nil).WithContext(context.Background())
	if got, err := new(Handler).roomName(r); err != nil || got != "//example.com/chat" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestRoomFromTemplate(t *testing.T) {
	for _, test := range []struct{ template, host, target, want string }{
		{"lobby", "example.com", "/chat", "=lobby"},
		{"lobby", "other.example:8080", "/else", "=lobby"},
		{"{http.request.uri.query.room}", "example.com", "/?room=a%2Fb", "=a/b"},
		{"{http.request.uri.query.room}", "example.com", "/?room={http.request.host}", "={http.request.host}"}, // one pass
		{"{http.request.host}-{http.request.uri.query.room}", "example.com:99", "/?room=7", "=example.com-7"},
		{"x{http.request.uri.query.none}y", "example.com", "/", "=xy"},
		{"x{no.such.placeholder}y", "example.com", "/", "=xy"},
		{`\{lobby\}`, "example.com", "/", "={lobby}"},
		{" ", "example.com", "/", "= "},
	} {
		got, err := (&Handler{Room: test.template}).roomName(roomRequest(test.host, test.target, ""))
		if err != nil || got != test.want {
			t.Errorf("template %q, target %q: %q, %v, want %q", test.template, test.target, got, err, test.want)
		}
	}
}

// However a template is written and filled in, its room is never that of a URL.
func TestTemplateNeverNamesAComputedRoom(t *testing.T) {
	computed, err := new(Handler).roomName(roomRequest("example.com", "/chat", ""))
	if err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{"example.com/chat", "/example.com/chat", "//example.com/chat", "=//example.com/chat"} {
		r := roomRequest("example.com", "/chat?room="+url.QueryEscape(query), "")
		named, err := (&Handler{Room: "{http.request.uri.query.room}"}).roomName(r)
		if err != nil || named == computed {
			t.Errorf("%q names the room of the URL: %q, %v", query, named, err)
		}
	}
	for _, host := range []string{"=", "=lobby", ""} { // nor the other way round
		for _, target := range []string{"/", "/=lobby", "/lobby"} {
			if name, err := new(Handler).roomName(roomRequest(host, target, "")); err == nil && strings.HasPrefix(name, "=") {
				t.Errorf("host %q, target %q is the named room %q", host, target, name)
			}
		}
	}
}

func TestRoomNameRules(t *testing.T) {
	for _, test := range []struct {
		name string
		good bool
	}{
		{"a", true},
		{strings.Repeat("a", maxRoomName), true},
		{strings.Repeat("é", maxRoomName/2), true},
		{"café ☕ 😀", true},
		{"a\u00a0b", true},
		{`"quoted" \ {x} %41 ../`, true},
		{"", false},
		{strings.Repeat("a", maxRoomName+1), false},
		{strings.Repeat("é", maxRoomName/2+1), false},
		{"a\x00", false},
		{"a\nb", false},
		{"a\rb", false},
		{"a\tb", false},
		{"\x1b[31m", false},
		{"a\x7f", false},
		{"a\u0085b", false}, // C1
		{"a\xffb", false},
		{"\xc3", false},
		{"\xed\xa0\x80", false}, // a surrogate
		{"\xc0\xaf", false},     // overlong
	} {
		r := roomRequest("example.com", "/?room="+url.QueryEscape(test.name), "")
		got, err := (&Handler{Room: "{http.request.uri.query.room}"}).roomName(r)
		if test.good && (err != nil || got != "="+test.name) || !test.good && !errors.Is(err, errRoomName) {
			t.Errorf("%q: %q, %v", test.name, got, err)
		}
	}
}

// A path that would be a bad name is refused too, before anything is made of it.
func TestComputedRoomObeysTheRules(t *testing.T) {
	for _, target := range []string{"/%00", "/a%0Ab", "/a%0d%0ab", "/%1b[31m", "/%7f", "/%c2%85", "/%ff", "/%ed%a0%80", "/" + strings.Repeat("a", maxRoomName)} {
		if got, err := new(Handler).roomName(roomRequest("example.com", target, "")); !errors.Is(err, errRoomName) {
			t.Errorf("%q: %q, %v", target, got, err)
		}
	}
	longest := "/" + strings.Repeat("a", maxRoomName-len("example.com/"))
	if _, err := new(Handler).roomName(roomRequest("example.com", longest, "")); err != nil {
		t.Errorf("a room of %d bytes: %v", maxRoomName, err)
	}
}
