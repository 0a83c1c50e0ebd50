package blackbox

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"testing"
)

// A trace that goes on holds up neither a reload nor the end of Caddy.
func TestTracesHoldUpNobody(t *testing.T) {
	s := start(t, "GLOBAL\n\t\tadmin 127.0.0.1:OTHERPORT\nEND\n:PORT {\n websocket sum\n}")
	watch := func() *http.Response {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		t.Cleanup(cancel)
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:"+strconv.Itoa(s.OtherPort)+"/websocket/trace?user=alice", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatal(answer, err)
		}
		t.Cleanup(func() { answer.Body.Close() })
		return answer
	}
	ends := func(a *http.Response) {
		t.Helper()
		if text, err := io.ReadAll(a.Body); err != nil || len(text) == 0 {
			t.Errorf("%q, %v", text, err)
		}
	}
	first := watch()
	if output, err := s.command(t, nil, "reload", "--force", "--adapter", "caddyfile", "--config", s.configFile(), "--address", "127.0.0.1:"+strconv.Itoa(s.OtherPort)).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	ends(first)
	second := watch()
	s.stop() // which must end well
	ends(second)
}
