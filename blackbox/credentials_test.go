package blackbox

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// basicAuth is the header with a name and a password.
func basicAuth(name, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}

// refuses asks a path in each way; each must be answered with a status.
func (s *server) refuses(t *testing.T, status int, path string, header ...string) {
	t.Helper()
	_, a, err := websocket.DefaultDialer.Dial("ws://"+s.address()+path, headers(header))
	if err == nil || a == nil || a.StatusCode != status {
		t.Errorf("a handshake with %q: %+v, %v", header, a, err)
	}
	for _, form := range []string{wantsText, wantsEvents} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if a := s.ask(t, method, path, "intruder", append(header, form)...); a.status != status {
				t.Errorf("%s with %q, %s: %+v", method, header, form, a)
			}
		}
	}
}

// Behind basic_auth nobody enters without a password, over no transport, and apps
// are told who speaks.
func TestBasicAuth(t *testing.T) {
	s := start(t, `:PORT {
		basic_auth {
			ann $2a$04$yuFwvUiSF/btYJNawoCcA.z5X/Yn06qKWrV8/SIFDcSS4vkfUWGKm
			bob $2a$04$yuFwvUiSF/btYJNawoCcA.z5X/Yn06qKWrV8/SIFDcSS4vkfUWGKm
		}
		websocket broadcast "{user}: {message}"
	}`)
	ann, bob := basicAuth("ann", "secret"), basicAuth("bob", "secret")
	member, follower := s.dial(t, "/chat", ann), s.events(t, "/chat", bob)
	for _, credentials := range [][]string{
		nil,
		{basicAuth("ann", "")}, {basicAuth("ann", "wrong")},
		{"Authorization: Basic"}, {"Authorization: Basic %%%"}, {"Authorization: Bearer secret"},
		{"Remote-User: ann"}, {"X-Forwarded-User: ann"},
	} {
		s.refuses(t, http.StatusUnauthorized, "/chat", credentials...)
	}
	speaker := s.dial(t, "/chat", bob)
	member.send("1")
	speaker.expect("ann: 1")
	speaker.send("2")
	speaker.expect("bob: 2")
	if a := s.ask(t, http.MethodPost, "/chat", "3", bob); a.status != http.StatusNoContent {
		t.Errorf("%+v", a)
	}
	member.expect("ann: 1", "bob: 2", "bob: 3") // and nothing of an intruder
	follower.expect("ann: 1", "bob: 2", "bob: 3")
}

// gatekeeper decides who enters, for forward_auth: who has its cookie. It tells
// the name that stands in the cookie.
func gatekeeper(t *testing.T) (url string) {
	keeper := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, ok := strings.CutPrefix(r.Header.Get("Cookie"), "session=")
		if !ok || r.URL.Path != "/verify" || r.Header.Get("X-Forwarded-Uri") != "/chat" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if name != "" {
			w.Header().Set("Remote-User", name)
		}
	}))
	t.Cleanup(keeper.Close)
	return keeper.URL
}

// Behind forward_auth it is the same, but that Caddy knows the name as a request
// header only: {user} is empty, until a map makes it known.
func TestForwardAuth(t *testing.T) {
	for _, test := range []struct{ name, extra, ann, nobody string }{
		{"a header", "", ": ", ": "},
		{"a header that is mapped", "map {header.Remote-User} {http.auth.user.id} {\n ~(.+) ${1}\n}\n", "ann: ", ": "},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, ":PORT {\n"+test.extra+"forward_auth "+gatekeeper(t)+` {
					uri /verify
					copy_headers Remote-User
				}
				websocket {
					app broadcast "{user}: {message}"
					room "{header.Remote-User}'s"
				}
			}`)
			ann := []string{"Cookie: session=ann", "Remote-User: mallory"}
			nobody := []string{"Cookie: session=", "Remote-User: ann"}
			member, follower := s.dial(t, "/chat", ann...), s.events(t, "/chat", ann...)
			other := s.dial(t, "/chat", nobody...)
			s.refuses(t, http.StatusUnauthorized, "/chat")
			s.refuses(t, http.StatusUnauthorized, "/chat", "Remote-User: ann")
			other.send("from nobody")
			other.expect(test.nobody + "from nobody")
			member.send("1")
			member.expect(test.ann + "1")
			if a := s.ask(t, http.MethodPost, "/chat", "2", ann...); a.status != http.StatusNoContent {
				t.Errorf("%+v", a)
			}
			member.expect(test.ann + "2")
			follower.expect(test.ann+"1", test.ann+"2")
		})
	}
}
