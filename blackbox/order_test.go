package blackbox

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// entry is what the four ways into a room are answered with. 0 is no answer at all.
type entry struct{ webSocket, events, get, post int }

// all is an entry that is the same by each way.
func all(status int) entry { return entry{status, status, status, status} }

// The entries to rooms without and with a state.
var (
	intoChat = entry{webSocket: 101, events: 200, get: 426, post: 204}
	intoSum  = entry{webSocket: 101, events: 200, get: 200, post: 200}
)

// enter tries each way to a path. What is posted is "12345".
func (s *server) enter(t *testing.T, path string) entry {
	t.Helper()
	try := func(request string) int {
		c := s.connect(t)
		defer c.Close()
		c.write(request)
		response, err := http.ReadResponse(c.r, nil)
		if err != nil {
			return 0
		}
		if response.Header.Get("Content-Type") != "text/event-stream" { // which never ends
			if _, err := io.Copy(io.Discard, response.Body); err != nil {
				t.Errorf("reading what %q is answered: %v", request, err)
			}
		}
		return response.StatusCode
	}
	const rest = " HTTP/1.1\r\nHost: localhost\r\n"
	return entry{
		webSocket: try(handshake(path)),
		events:    try("GET " + path + rest + wantsEvents + "\r\n\r\n"),
		get:       try("GET " + path + rest + "\r\n"),
		post:      try("POST " + path + rest + "Content-Length: 5\r\n\r\n12345"),
	}
}

// What people write to protect reverse_proxy protects websocket, too, by whatever
// way one comes.
func TestWhatProtectsOthersProtectsThis(t *testing.T) {
	nobody := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(nobody.Close)
	for _, test := range []struct {
		name, directives string
		want             entry
	}{
		{"respond", "@denied {\n path /secret\n not remote_ip 192.0.2.1\n }\n respond @denied 403", all(403)},
		{"respond by path", "respond /secret 403", all(403)},
		{"abort", "abort /secret", all(0)},
		{"error", "error /secret 410", all(410)},
		{"redir", "redir /secret /open", all(302)},
		{"basic_auth", "basic_auth /secret {\n ann $2a$04$yuFwvUiSF/btYJNawoCcA.z5X/Yn06qKWrV8/SIFDcSS4vkfUWGKm\n }", all(401)},
		{"forward_auth", "forward_auth /secret " + nobody.URL + " {\n uri /\n }", all(401)},
		{"request_body", "request_body /secret {\n max_size 4B\n }", entry{webSocket: 101, events: 200, get: 200, post: 413}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, ":PORT {\n websocket /secret sum {\n room everybody\n }\n websocket /open sum {\n room everybody\n }\n"+test.directives+"\n}")
			if got := s.enter(t, "/secret"); got != test.want {
				t.Errorf("answered with %+v, want %+v", got, test.want)
			}
			s.shows(t, "/open", "0")
			if got := s.enter(t, "/open"); got != intoSum {
				t.Errorf("the open room is answered with %+v", got)
			}
			s.shows(t, "/open", "12345")
		})
	}
}

// What answers everything hides the directive, as it hides reverse_proxy, unless
// each has a handle of its own.
func TestWhatHidesOthersHidesThis(t *testing.T) {
	for _, test := range []struct {
		name, directives string
		want             entry
	}{
		{"respond", `respond "Welcome"`, all(200)},
		{"metrics", "metrics", all(200)},
		{"handle", "handle {\n respond Welcome\n }", all(200)},
		{"file_server", "file_server", intoChat},
		{"reverse_proxy", "reverse_proxy 127.0.0.1:OTHERPORT", intoChat},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, ":PORT {\n websocket /chat broadcast\n"+test.directives+"\n}")
			if got := s.enter(t, "/chat"); got != test.want {
				t.Errorf("answered with %+v, want %+v", got, test.want)
			}
		})
	}
}

// The Caddyfiles of the README do what stands beside them, in this order.
func TestReadmeOrder(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "index.html"), []byte("Welcome"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := []struct {
		name      string
		chat      entry
		elsewhere int
		contains  string
	}{
		{"protected", all(403), 403, "respond @denied"},
		{"hidden by respond", all(200), 200, `respond "Welcome"`},
		{"beside respond", intoChat, 200, "handle {"},
		{"hidden by try_files", entry{webSocket: 200, events: 200, get: 200, post: 405}, 200, "try_files"},
		{"beside try_files", intoChat, 200, "try_files"},
		{"before respond", entry{webSocket: 101, events: 200, get: 200, post: 200}, 200, "http pass"},
	}
	configs := caddyfiles(t, "../README.md", "### Order")
	if len(configs) != len(want) {
		t.Fatalf("there are %d Caddyfiles, not %d", len(configs), len(want))
	}
	for i, test := range want {
		t.Run(test.name, func(t *testing.T) {
			if !strings.Contains(configs[i], test.contains) {
				t.Fatalf("this is another Caddyfile:\n%s", configs[i])
			}
			s := start(t, strings.NewReplacer("example.com", ":PORT", "/srv", root).Replace(configs[i]))
			if got := s.enter(t, "/chat"); got != test.chat {
				t.Errorf("the chat is answered with %+v, want %+v", got, test.chat)
			}
			if got := s.ask(t, http.MethodGet, "/elsewhere", ""); got.status != test.elsewhere {
				t.Errorf("another path is answered with %d, want %d", got.status, test.elsewhere)
			}
		})
	}
}

// caddyfiles returns the Caddyfiles in a section of a page.
func caddyfiles(t *testing.T, file, heading string) (all []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n"+heading+"\n")
	if !found {
		t.Fatalf("%s has no %s", file, heading)
	}
	section, _, _ = strings.Cut(section, "\n#")
	for i, part := range strings.Split(section, "```\n") {
		if i%2 == 1 {
			all = append(all, part)
		}
	}
	return all
}
