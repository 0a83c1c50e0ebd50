package blackbox

import (
	"net/http"
	"testing"
)

const (
	aRandomKey = "0c9e4f3b-5f6d-4f0e-9d5a-2b7f1c8a6e10"
)

// refusal is a POST that is not answered with a reply.
type refusal struct {
	status int
	code   string
	retry  bool
	id     any
}

// check compares the response to a POST that asks for JSON.
func (want refusal) check(t *testing.T, got answer) {
	t.Helper()
	a, err := parseTold(got.body)
	if err != nil {
		t.Fatalf("%+v: %v", got, err)
	}
	if now := (refusal{got.status, a.Code, a.Retry, a.ID}); now != want || a.Type != "error" || a.Error == "" {
		t.Errorf("%d %s, want %+v", got.status, got.body, want)
	}
	if media := got.header.Get("Content-Type"); media != "application/json" {
		t.Errorf("Content-Type: %s", media)
	}
	if again := got.header.Get("Retry-After") != ""; again != (want.status == http.StatusServiceUnavailable) {
		t.Errorf("%d with Retry-After %q", got.status, got.header.Get("Retry-After"))
	}
}

// counts expects a POST to be answered with this total, as a repeat or not.
func counts(t *testing.T, got answer, total string, repeat bool) {
	t.Helper()
	a, err := parseTold(got.body)
	if err != nil || got.status != http.StatusOK || a.Type != "reply" || a.Total.String() != total || a.Repeat != repeat {
		t.Errorf("%d %s, %v, want the total %s, repeat %t", got.status, got.body, err, total, repeat)
	}
}

// While the disk refuses, operations are refused and the last total is shown. When it
// is well again, so is Caddy, and what was refused can be sent again.
func TestDiskThatRefusesForAWhile(t *testing.T) {
	s := start(t, writersConfig)
	s.tolerates = []string{"input/output error"}
	socket := s.sender(t, "/sum/a", false)
	if a := socket.do(operation{id: "ws:1", value: "1"}); a.Type != "reply" {
		t.Fatal(a.raw)
	}
	mend := s.spoil(t, "fdatasync:error=EIO")
	for _, keys := range [][]string{nil, {"Idempotency-Key: post:1"}, {"Idempotency-Key: " + aRandomKey}} {
		refusal{503, "unavailable", true, nil}.check(t, s.ask(t, "POST", "/sum/a", "1", append(keys, wantsJSON)...))
		s.shows(t, "/sum/a", "1")
	}
	refusal{503, "unavailable", true, "hello"}.check(t, s.ask(t, "POST", "/sum/a", `{"value":1,"id":"hello"}`, wantsJSON))
	refusal{503, "unavailable", true, nil}.check(t, s.ask(t, "POST", "/sum/new", "1", wantsJSON))
	if a := socket.do(operation{id: "ws:2", value: "1"}); a.Type != "error" || a.Code != "unavailable" || !a.Retry || a.ID != "ws:2" {
		t.Errorf("the WebSocket is told %s", a.raw)
	}
	if a := socket.do(operation{id: "ws:3", value: "1"}); a.Code != "expected" || a.Error != "expected ws:2" || !a.Retry {
		t.Errorf("the WebSocket is told %s", a.raw)
	}
	mend()
	s.shows(t, "/sum/a", "1")
	counts(t, s.ask(t, "POST", "/sum/a", "1", "Idempotency-Key: post:1", wantsJSON), "2", false)
	counts(t, s.ask(t, "POST", "/sum/a", "1", "Idempotency-Key: "+aRandomKey, wantsJSON), "3", false)
	if a := socket.do(operation{id: "ws:2", value: "1"}); a.Total != "4" || a.Repeat {
		t.Errorf("the WebSocket is told %s", a.raw)
	}
	s.kill(t)
	s.again(t)
	s.shows(t, "/sum/a", "4")
	s.shows(t, "/sum/new", "0")
}

// When the disk does not even tell what it has, a client is told so, after some time.
// What was sent with an id counts once when it is sent again, and without one at most
// once.
func TestDiskThatIsSilentForAWhile(t *testing.T) {
	for name, test := range map[string]func(*testing.T, *server, func() func()) uint64{
		"POST with an id": func(t *testing.T, s *server, spoil func() func()) uint64 {
			mend := spoil()
			refusal{504, "unknown", true, nil}.check(t, s.ask(t, "POST", "/sum/a", "1", "Idempotency-Key: client:2", wantsJSON))
			mend()
			isSecond(t, s.sender(t, "/sum/a", true).do(operation{id: "client:2", value: "1"}))
			return 2
		},
		"WebSocket": func(t *testing.T, s *server, spoil func() func()) uint64 {
			socket := s.sender(t, "/sum/a", false)
			mend := spoil()
			if a := socket.do(operation{id: "client:2", value: "1"}); a.Type != "error" || a.Code != "unknown" || !a.Retry || a.ID != "client:2" {
				t.Errorf("told %s", a.raw)
			}
			mend()
			isSecond(t, socket.do(operation{id: "client:2", value: "1"}))
			return 2
		},
		"POST without an id": func(t *testing.T, s *server, spoil func() func()) uint64 {
			mend := spoil()
			refusal{504, "unknown", false, nil}.check(t, s.ask(t, "POST", "/sum/a", "1", wantsJSON))
			mend()
			s.sender(t, "/sum/a", true).do(operation{value: "0"})
			return s.state(t, "/sum/a").Version
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each takes ten seconds
			s := start(t, writersConfig)
			s.tolerates = []string{"input/output error"}
			counts(t, s.ask(t, "POST", "/sum/a", "1", "Idempotency-Key: client:1", wantsJSON), "1", false)
			version := test(t, s, func() func() { return s.spoil(t, "fdatasync,fsync:error=EIO") })
			before := s.state(t, "/sum/a")
			if before.Version != version || version > 3 || before.Total.String() > "2" {
				t.Errorf("the state is %s", before.raw)
			}
			s.kill(t)
			s.again(t)
			if now := s.state(t, "/sum/a"); now != before {
				t.Errorf("%s was shown, and %s after a kill", before.raw, now.raw)
			}
		})
	}
}

// isSecond expects the reply to the second operation of a room, whether it is a
// repeat or not.
func isSecond(t *testing.T, a told) {
	t.Helper()
	if a.Type != "reply" || a.Total != "2" || a.Version != 2 {
		t.Errorf("sent again: %s", a.raw)
	}
}
