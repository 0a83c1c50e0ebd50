package caddyws

import (
	"fmt"
	"net/http"
	"testing"
)

// All readers of a room that nobody has written to are shown one tag, through reloads
// and over every transport; what is written first counts under its epoch.
func TestEpochIsTheSameForEveryReader(t *testing.T) {
	s := start(t, site("/sum", "sum", "name s"))
	tag := func(want int, headers ...string) string {
		t.Helper()
		answer, _ := s.request(http.MethodGet, "/sum", "", headers...)
		if answer.StatusCode != want {
			t.Fatalf("%v is answered with %s", headers, answer.Status)
		}
		return answer.Header.Get("ETag")
	}
	first, state := tag(http.StatusOK), s.state("/sum")
	if again := tag(http.StatusNotModified, "If-None-Match: "+first); again != first || first != `"`+state.Epoch+`-0"` {
		t.Errorf("one reader is shown %s, another one %s, JSON has %+v", first, again, state)
	}
	s.load(site("/sum", "sum", "name s\n ping 20s"))
	said := func(kind string, version, total int) string {
		return fmt.Sprintf(`{"type":%q,"epoch":%q,"version":%d,"total":%d}`, kind, state.Epoch, version, total)
	}
	c := s.dial("/sum", "Sec-WebSocket-Protocol: json")
	c.expect(said("state", 0, 0))
	c.ask("6", said("reply", 1, 6))
	c.Close()
	s.dial("/sum", "Sec-WebSocket-Protocol: json").expect(said("state", 1, 6))
}
