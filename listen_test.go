package caddyws

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// What a client says amiss of the events that it is to be told is refused with a reason. It
// means nothing to requests that are not told events, and to apps without state.
func TestParametersThatCannotBeRead(t *testing.T) {
	s := start(t, ":PORT {\n websocket /alarm test_alarm\n websocket /chat broadcast\n handle_errors {\n respond {err.message}\n }\n}")
	many := strings.Repeat("&claim=x", 65)[1:]
	for _, test := range []struct{ query, reason string }{
		{"claim=", "parameter claim: a name that is claimed has 1 to 64 of A to Z, a to z, 0 to 9 and ._:-"},
		{"claim=a&claim=b%20c", "parameter claim: a name that is claimed has 1 to 64"},
		{"claim=" + strings.Repeat("x", 65), "parameter claim: a name that is claimed has 1 to 64"},
		{"claim=%C3%A4", "parameter claim: a name that is claimed has 1 to 64"},
		{many, "parameter claim: at most 64 names can be claimed"},
		{"after=", "parameter after: a point has the form"},
		{"after=ABCDEFGH", "parameter after: a point has the form"},
		{"after=-1", "parameter after: a point has the form"},
		{"after=ABCDEFGH-x", "parameter after: a point has the form"},
		{"after=ABCDEFGH-%2B1", "parameter after: a point has the form"},
		{"after=ABCDEFGH-1-0", "parameter after: a point has the form"},
		{"after=ABCDEFGH-1-2-3", "parameter after: a point has the form"},
		{"after=ABCDEFGH-99999999999999999999", "parameter after: a point has the form"},
		{"after=A-1&after=A-2", "more than one parameter after"},
	} {
		_, refused, _ := s.tryDial("/alarm?" + test.query)
		for _, answer := range []*http.Response{refused, s.stream("/alarm?" + test.query)} {
			body, err := io.ReadAll(answer.Body)
			if err != nil || answer.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), test.reason) {
				t.Errorf("%s: %d %s, %v", test.query, answer.StatusCode, body, err)
			}
		}
		if c, _, err := s.tryDial("/chat?" + test.query); err != nil {
			t.Errorf("%s of an app without state: %v", test.query, err)
		} else {
			c.Close()
		}
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if status := s.plainStatus(method, "/alarm?"+test.query); status != http.StatusOK {
				t.Errorf("%s %s: %d", method, test.query, status)
			}
		}
	}
}

// stream asks for an event stream.
func (s *server) stream(path string, headers ...string) *http.Response {
	s.t.Helper()
	_, answer := s.follow(path, headers...)
	return answer
}

func (s *server) plainStatus(method, path string) int {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, fmt.Sprintf("http://localhost:%d%s", s.Port, path), strings.NewReader("tell nobody"))
	if err != nil {
		s.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}

// Events come to the names that a URL claims, over WebSockets and event streams, and those
// since the point that it names.
func TestClaimsAndPointsOfAURL(t *testing.T) {
	s := start(t, site("/alarm", "test_alarm", "room hall"))
	sender := s.dial("/alarm")
	sender.ask("raise press-4 stop", "1")
	socket := s.dial("/alarm?claim=press-3&claim=press-4")
	socket.expect("press-4 stop")
	stream := bufio.NewReader(s.stream("/alarm?claim=press-4").Body)
	expectLines(t, stream, "event: event", "data: press-4 stop", "")
	id := strings.TrimSuffix(expectLines(t, stream, "id: ", "data: 1", "")[0][len("id: "):], "\n")
	sender.ask("tell press-3 go", "2")
	socket.expect("press-3 go", "2")
	expectLines(t, stream, "id: ", "data: 2", "")
	sender.ask("clear press-4", "3")
	socket.expect("press-4 over", "3")
	expectLines(t, stream, "id: ", "event: event", "data: press-4 over", "")

	after := "/alarm?after=" + url.QueryEscape(id)
	epoch, _, _ := strings.Cut(id, "-")
	s.dial(after+"&claim=press-3", "Sec-WebSocket-Protocol: json").expect(
		`{"type":"event","event":"alert","epoch":"`+epoch+`","version":2,"number":1,"to":"press-3","text":"go"}`,
		`{"type":"state","epoch":"`+epoch+`","version":3,"n":3}`)
	back := bufio.NewReader(s.stream(after+"&claim=press-4", lastEventID+": "+id+"-1").Body)
	expectLines(t, back, "id: ", "event: event", "data: press-4 over", "", "id: ", "data: 3", "")
	lost := bufio.NewReader(s.stream("/alarm?claim=press-4", lastEventID+": of another server").Body)
	expectLines(t, lost, "event: gap", "data: gap: what happened before ", "", "id: ")
}

// expectLines reads lines that begin like these.
func expectLines(t *testing.T, r *bufio.Reader, beginnings ...string) (lines []string) {
	t.Helper()
	for _, want := range beginnings {
		line, err := r.ReadString('\n')
		if line == ":\n" { // a comment
			_, _ = r.ReadString('\n')
			line, err = r.ReadString('\n')
		}
		if err != nil || !strings.HasPrefix(line, want) || want == "" && line != "\n" {
			t.Fatalf("read %q, %v; expected %q after %q", line, err, want, lines)
		}
		lines = append(lines, line)
	}
	return lines
}
