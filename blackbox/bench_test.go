package blackbox

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// measured is what is tested of a report.
type measured struct {
	Connections struct{ Wanted, Opened, Lost int }
	Messages    struct {
		Planned, Sent, Answered, Unanswered, Delivered, Others int
		NotSent                                                int `json:"not_sent"`
	}
	Bytes  struct{ Sent, Received int }
	Answer *struct{ P50, Max float64 } `json:"answer_ms"`
	Errors []struct {
		Error string
		Count int
	}
	Notes []string
}

// bench measures an endpoint for a moment.
func (s *server) bench(t *testing.T, path string, args ...string) (measured, ran) {
	t.Helper()
	got := s.websocket(t, "", append([]string{"bench", "--json", "--duration", "300ms", s.webSocketURL(path)}, args...)...)
	var m measured
	if err := json.Unmarshal([]byte(got.stdout), &m); err != nil && got.status == 0 {
		t.Fatalf("%v in %+v", err, got)
	}
	return m, got
}

// Each kind of app is measured, and each message has its answer.
func TestBenchCommand(t *testing.T) {
	s := start(t, connectConfig)
	for path, args := range map[string][]string{
		"/echo":     nil,
		"/echo?b":   {"--binary", "--connections", "50", "--size", "5000"},
		"/private":  {"--user", "ann:secret"},
		"/sum/json": {"--subprotocol", "json", "--message", `{"value":1,"id":"{id}"}`},
	} {
		m, got := s.bench(t, path, args...)
		if got.status != 0 || m.Messages.Answered == 0 || m.Messages.Answered != m.Messages.Sent || m.Connections.Lost+len(m.Errors) != 0 || m.Answer == nil || m.Answer.Max < m.Answer.P50 {
			t.Errorf("%s: %+v", path, got)
		}
	}
}

// A room of sum repeats the id of a message in the subprotocol json only: then each answer
// is known, and the report agrees with the total. Without it the report says what to do.
func TestBenchOfASumNeedsTheID(t *testing.T) {
	s := start(t, connectConfig)
	const numbered = `{"value":1,"id":"{id}"}`
	m, got := s.bench(t, "/sum/unmatched", "--message", numbered, "--rate", "50", "--wait", "5s")
	if got.status != 1 || m.Messages.Answered != 0 || m.Messages.Others == 0 || !strings.Contains(strings.Join(m.Notes, "\n"), "--message with {id}") {
		t.Errorf("%+v", got)
	}
	m, got = s.bench(t, "/sum/matched", "--subprotocol", "json", "--message", numbered, "--connections", "3")
	if got.status != 0 || m.Messages.Answered == 0 || m.Messages.Unanswered != 0 || strings.Contains(strings.Join(m.Notes, "\n"), "{id}") {
		t.Errorf("%+v", got)
	}
	room := "http" + strings.TrimPrefix(s.webSocketURL("/sum/matched"), "ws")
	if total := ask(t, plain, http.MethodGet, room, "").body; total != strconv.Itoa(m.Messages.Sent) {
		t.Errorf("the total is %s after %d messages", total, m.Messages.Sent)
	}
}

// At a rate what is due is sent, and what a room sends to others is a delivery.
func TestBenchAtARate(t *testing.T) {
	s := start(t, connectConfig)
	m, got := s.bench(t, "/chat", "--rate", "100", "--connections", "5")
	if m.Messages.Planned != 30 || m.Messages.Sent != 30 || m.Messages.Answered != 30 || m.Messages.Delivered != 120 || got.status != 0 {
		t.Errorf("%+v", got)
	}
	m, got = s.bench(t, "/sum/plain", "--rate", "100", "--message", "1")
	if m.Messages.Sent != 30 || m.Answer != nil || m.Messages.Others < 30 || got.status != 0 {
		t.Errorf("%+v", got)
	}
}

// Whoever is let in is measured, and who is not is told; if nobody is, there is only
// the reason.
func TestBenchIsRefused(t *testing.T) {
	s := start(t, connectConfig)
	m, got := s.bench(t, "/narrow", "--connections", "3")
	if m.Connections.Opened != 1 || m.Messages.Answered == 0 || len(m.Errors) != 1 || m.Errors[0].Count != 2 || got.status != 1 || !strings.Contains(got.stderr, "2 connections could not be opened") {
		t.Errorf("%+v", got)
	}
	if _, got = s.bench(t, "/full"); got.status != 2 || got.stdout != "" || !strings.Contains(got.stderr, "Retry-After: 7") {
		t.Errorf("%+v", got)
	}
	if m, got = s.bench(t, "/slow", "--size", "2000", "--rate", "10", "--connections", "1"); got.status != 1 || m.Connections.Lost != 1 || len(m.Errors) != 1 || !strings.Contains(m.Errors[0].Error, "1009") {
		t.Errorf("%+v", got)
	}
}

// What must not be done is not begun.
func TestBenchDoesNotBegin(t *testing.T) {
	s := start(t, connectConfig)
	for _, row := range []struct {
		args []string
		want string
	}{
		{[]string{"bench", "ws://192.0.2.1/"}, "192.0.2.1 (192.0.2.1) is not this machine, and bench puts load on it: add --yes"},
		{[]string{"bench", "--connections", "0", s.webSocketURL("/echo")}, "--connections 0: expected 1 to 100000"},
		{[]string{"bench", "--message", "1", s.webSocketURL("/sum")}, "give --rate"},
		{[]string{"bench", "--message", "{id}", "--size", "100", s.webSocketURL("/sum")}, "[size message] are set none of the others can be"},
		{[]string{"bench", s.webSocketURL("/echo"), "more"}, "accepts 1 arg"},
	} {
		if got := s.websocket(t, "", row.args...); got.status != 1 || got.stdout != "" || !strings.Contains(got.stderr, row.want) {
			t.Errorf("%q: %+v", row.args, got)
		}
	}
	shell := need(t, "sh")
	limited := s.command(t, []string{shell, "-c", `ulimit -n 300; exec "$0" "$@"`}, "websocket", "bench", "--connections", "10000", s.webSocketURL("/echo"))
	if got := finish(t, limited); got.status != 1 || !strings.Contains(got.stderr, "10000 connections need 10032 open files, and this process may have 300") || !strings.Contains(got.stderr, "ulimit -n 10032") {
		t.Errorf("%+v", got)
	}
	if line := s.log.String(); strings.Contains(line, "connection ended") {
		t.Errorf("somebody connected:\n%s", line)
	}
}
