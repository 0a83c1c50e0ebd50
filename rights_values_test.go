package caddyws

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/gorilla/websocket"

	"github.com/caddyws/caddy-websocket/frames"
)

// rightsValues is a site whose rights are in headers of the request.
const rightsValues = `:PORT {
	websocket /open echo {
		name open
	}
	websocket /sum sum {
		name total
		write expression int({header.Rank})>2
		expires {header.Until} optional
		page
	}
	websocket /echo echo {
		name parrot
		write {
			header Rank 3
			not header Name bob
		}
		page
	}
	websocket /own test_page {
		name own
		write header Rank 3
		page
	}
}`

// A time is one in seconds or as RFC 3339 has it, and nothing else.
func TestTimesOfExpires(t *testing.T) {
	for text, want := range map[string]string{
		"0":                             "1970-01-01T00:00:00Z",
		"1798740000":                    "2026-12-31T18:00:00Z",
		"1798740000.25":                 "2026-12-31T18:00:00.25Z",
		"253402300799":                  "9999-12-31T23:59:59Z",
		"2026-12-31T18:00:00Z":          "2026-12-31T18:00:00Z",
		"2026-12-31T19:00:00.125+01:00": "2026-12-31T18:00:00.125Z",
		"":                              "",
		"1798740000000":                 "", // milliseconds
		"253402300800":                  "",
		"-1":                            "",
		"+1":                            "",
		"1e9":                           "",
		"0x10":                          "",
		".":                             "",
		"1.2.3":                         "",
		"NaN":                           "",
		"Inf":                           "",
		" 1798740000":                   "",
		"1798740000,1798740000":         "",
		"2026-12-31":                    "",
		"2026-12-31 18:00:00":           "",
		"2026-12-31T18:00:00":           "",
		"2026-02-30T18:00:00Z":          "",
		"Thu, 31 Dec 2026 18:00:00 GMT": "",
		strings.Repeat("9", 400):        "",
		"1798740000\u0660":              "",
	} {
		at, ok := parseTime(text)
		if ok != (want != "") || ok && at.UTC().Format(time.RFC3339Nano) != want {
			t.Errorf("%q: %v, %v, want %q", text, at, ok, want)
		}
	}
}

// statusOf sends a plain request and returns the status of the answer.
func (s *server) statusOf(method, path, body string, headers ...string) int {
	s.t.Helper()
	answer, _ := s.request(method, path, body, headers...)
	return answer.StatusCode
}

// A matcher that fails lets nobody in, and the log says whose fault it is.
func TestAMatcherOfWriteThatFails(t *testing.T) {
	s := start(t, rightsValues)
	before := s.scrape()
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		if got := s.statusOf(method, "/sum", "1", "Rank: high"); got != http.StatusInternalServerError {
			t.Errorf("%s: %d", method, got)
		}
	}
	if _, answer, err := s.tryDial("/sum", "Rank: high"); err == nil || answer.StatusCode != http.StatusInternalServerError {
		t.Errorf("WebSocket: %v, %v", answer, err)
	}
	e := logged.wait(t, "the refusal", isMessage("request refused"))
	if e["level"] != "error" || e["option"] != "write" || e["reason"] != "a matcher of write has failed" || e["error"] == nil {
		t.Errorf("the log has %v", e)
	}
	s.rises(before, samples{`handshakes_total{result="write_failed",route="total"}`: 1})
	s.dial("/sum", "Rank: 3").ask("1", "1")
}

// All matchers of a set have to match. Without the options everybody may do everything.
func TestWriteOfAnAppThatAnswers(t *testing.T) {
	s := start(t, rightsValues)
	s.dial("/open").ask("hello", "hello")
	s.dial("/echo", "Rank: 3").ask("hello", "hello")
	for _, headers := range [][]string{nil, {"Rank: 2"}, {"Rank: 3", "Name: bob"}} {
		c := s.dial("/echo", headers...)
		c.ask("hello", "error: read only")
		c.ask("hello", "error: read only") // it stays
		if got := s.statusOf(http.MethodGet, "/echo?message=hello", "", headers...); got != http.StatusForbidden {
			t.Errorf("%q: GET with a message: %d", headers, got)
		}
		if got := s.statusOf(http.MethodPost, "/echo", "hello", headers...); got != http.StatusForbidden {
			t.Errorf("%q: POST: %d", headers, got)
		}
	}
	if got := s.statusOf(http.MethodGet, "/echo?message=hello", "", "Rank: 3"); got != http.StatusOK {
		t.Errorf("GET with a message: %d", got)
	}
}

// The body of a POST that is refused is not waited for.
func TestRefusedWritersAreNotReadFrom(t *testing.T) {
	s := start(t, rightsValues)
	answer, _ := s.raw("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n")
	if answer.StatusCode != http.StatusForbidden {
		t.Error(answer.Status)
	}
}

// A POST whose body comes when the permission has ended counts no more.
func TestABodyAfterTheEndOfPermission(t *testing.T) {
	s := start(t, rightsValues)
	for lead := 200 * time.Millisecond; lead < time.Minute; lead *= 2 {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(2 * patience))
		until, lines := time.Now().Add(lead), bufio.NewReader(conn)
		fmt.Fprintf(conn, "POST /sum HTTP/1.1\r\nHost: localhost\r\nRank: 3\r\nUntil: %s\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n", until.Format(time.RFC3339Nano))
		answer, err := http.ReadResponse(lines, nil)
		if err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != http.StatusContinue {
			continue // this machine is busy: the time had come before
		}
		time.Sleep(time.Until(until)) // is the subject
		io.WriteString(conn, "1")
		if answer, err = http.ReadResponse(lines, nil); err != nil || answer.StatusCode != http.StatusUnauthorized {
			t.Fatalf("%v, %v", answer, err)
		}
		s.dial("/sum", "Rank: 3").ask("0", "0")
		return
	}
	t.Fatal("no body is asked for")
}

// One of several sets in JSON has to match.
func TestSetsOfWrite(t *testing.T) {
	s := start(t, rightsValues)
	config := strings.Replace(string(s.json(site("/sum", "sum", "write header Rank 3"))), `"write":[`, `"write":[{"header":{"Name":["alice"]}},`, 1)
	if status, body := s.admin(http.MethodPost, "/load", "application/json", config); status != http.StatusOK {
		t.Fatal(status, body)
	}
	for header, want := range map[string]int{"Rank: 3": http.StatusOK, "Name: alice": http.StatusOK, "Name: bob": http.StatusForbidden} {
		if got := s.statusOf(http.MethodPost, "/sum", "1", header); got != want {
			t.Errorf("%s: %d, want %d", header, got, want)
		}
	}
}

// Operators see who may write and until when, and how many were refused.
func TestRightsAreShownAndCounted(t *testing.T) {
	s := start(t, rightsValues)
	before := s.scrape()
	const until = "2100-01-01T01:00:00+01:00"
	writer, reader := s.dial("/sum", "Rank: 3", "Until: "+until), s.dial("/sum", "Rank: 1")
	var page struct {
		Connections []struct {
			MayWrite bool    `json:"may_write"`
			Expires  *string `json:"expires"`
		}
	}
	s.get("/websocket/connections", &page)
	if len(page.Connections) != 2 || !page.Connections[0].MayWrite || page.Connections[1].MayWrite ||
		page.Connections[0].Expires == nil || *page.Connections[0].Expires != "2100-01-01T00:00:00Z" || page.Connections[1].Expires != nil {
		t.Errorf("%+v", page)
	}
	reader.ask("1", "error: read only")
	s.posts("/sum", "1", http.StatusForbidden, "", "Rank: 1")
	s.refusesEvents("/sum?claim=me", http.StatusForbidden, "Rank: 1")
	s.refusesEvents("/sum", http.StatusUnauthorized, "Rank: 1", "Until: 1")
	s.refusesEvents("/sum", http.StatusUnauthorized, "Rank: 1", "Until: soon")
	if _, _, err := s.tryDial("/sum", "Rank: 3", "Until: 1"); err == nil {
		t.Error("let in")
	}
	s.closes("user=nobody", 0)
	writer.Close()
	s.rises(before, samples{
		`handshakes_total{result="accepted",route="total"}`:    2,
		`handshakes_total{result="read_only",route="total"}`:   1,
		`handshakes_total{result="expired",route="total"}`:     2,
		`handshakes_total{result="bad_expires",route="total"}`: 1,
		`operations_total{app="sum",result="read_only"}`:       2,
	})
	if e := logged.wait(t, "the value", func(e entry) bool { return e["reason"] == errExpires.Error() }); e["level"] != "warn" || !strings.Contains(fmt.Sprint(e["error"]), `"soon"`) {
		t.Errorf("the log has %v", e)
	}
}

// refusesEvents asks for an event stream, which must be refused.
func (s *server) refusesEvents(path string, status int, headers ...string) {
	s.t.Helper()
	answer, _ := s.request(http.MethodGet, path, "", append(headers, "Accept: text/event-stream")...)
	if answer.StatusCode != status || answer.Header.Get("Content-Type") == string(typeEvents) {
		s.t.Errorf("%s %q: %s %v, want %d", path, headers, answer.Status, answer.Header, status)
	}
}

// An end of permission is counted by its code, and logged.
func TestAnExpiredConnectionIsCounted(t *testing.T) {
	s := start(t, rightsValues)
	before := s.scrape()
	c, lead, err := (*client)(nil), 500*time.Millisecond, errExpired
	for ; err != nil && lead < time.Minute; lead *= 2 { // this machine may be busy
		c, _, err = s.tryDial("/sum", "Rank: 3", "Until: "+time.Now().Add(lead).Format(time.RFC3339Nano))
	}
	if err != nil {
		t.Fatal(err)
	}
	c.expectReason(int(frames.Unauthorized), "permission has ended")
	e := logged.wait(t, "the end", isMessage("connection ended"))
	if e["code"] != 3000. || e["reason"] != "permission has ended" || e["by_client"] != false {
		t.Error(e)
	}
	s.rises(before, samples{`closes_total{code="3000",route="total"}`: 1})
}

// A reload asks nobody again who is there: what was judged holds, also where a message is
// sent after it. Others are judged by the new options.
func TestReloadJudgesNobodyAgain(t *testing.T) {
	config := func(rank string) string {
		return site("/sum", "sum", "name total\nwrite header Rank "+rank)
	}
	s := start(t, config("3"))
	writer, reader := s.dial("/sum", "Rank: 3"), s.dial("/sum", "Rank: 1")
	s.load(config("1"))
	writer.ask("1", "1")
	reader.expect("1")
	reader.ask("1", "error: read only")
	s.dial("/sum", "Rank: 3").ask("1", "error: read only")
	s.dial("/sum", "Rank: 1").ask("1", "2")
}

// The page of this module says that it is read only. Others are left as they are.
func TestPageOfAReader(t *testing.T) {
	s := start(t, rightsValues)
	browse := func(path, header string) (string, string) {
		t.Helper()
		answer, body := s.request(http.MethodGet, path, "", header, "Accept: "+asBrowser)
		if answer.StatusCode != http.StatusOK {
			t.Fatal(path, answer.Status)
		}
		return body, answer.Header.Get("ETag")
	}
	for _, path := range []string{"/sum", "/echo"} {
		writes, one := browse(path, "Rank: 3")
		reads, other := browse(path, "Rank: 1")
		if !strings.Contains(writes, `data-readonly=""`) || !strings.Contains(reads, `data-readonly="yes"`) || one == other {
			t.Errorf("%s: the pages do not differ: %s, %s", path, one, other)
		}
	}
	writes, _ := browse("/own", "Rank: 3")
	reads, _ := browse("/own", "Rank: 1")
	if writes != reads || !strings.Contains(reads, "own") {
		t.Errorf("%q and %q", writes, reads)
	}
	if got := s.statusOf(http.MethodGet, "/sum", "", "Until: 1", "Accept: "+asBrowser); got != http.StatusUnauthorized {
		t.Errorf("expired: %d", got)
	}
}

// Without the Caddyfile around it there are no named matchers, but all others.
func TestUnmarshalWithoutNamedMatchers(t *testing.T) {
	var h Handler
	if err := h.UnmarshalCaddyfile(caddyfile.NewTestDispenser("websocket echo {\n write @staff\n}")); err == nil || !strings.Contains(err.Error(), "@staff") {
		t.Error(err)
	}
	h = Handler{}
	if err := h.UnmarshalCaddyfile(caddyfile.NewTestDispenser("websocket echo {\n write /staff/*\n}")); err != nil || string(h.WriteRaw[0]["path"]) != `["/staff/*"]` {
		t.Error(err, h.WriteRaw)
	}
}

// An app may close with 3000 too: a POST is then answered with 401.
func TestCodesAsStatuses(t *testing.T) {
	for code, want := range map[frames.CloseCode]int{
		frames.Unauthorized: http.StatusUnauthorized, frames.PolicyViolation: http.StatusForbidden, websocket.CloseNormalClosure: http.StatusNoContent,
	} {
		if got := statusOfCode(code); got != want {
			t.Errorf("%d: %d, want %d", code, got, want)
		}
	}
}
