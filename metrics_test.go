package caddyws

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"
)

// samples are the metrics of this module as Prometheus gets them.
type samples map[string]float64

// scrape reads the metrics, which must all be there in one look.
func (s *server) scrape() samples {
	s.t.Helper()
	status, text := s.admin(http.MethodGet, "/metrics", "", "")
	if status != http.StatusOK {
		s.t.Fatalf("%d %s", status, text)
	}
	found := make(samples)
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "caddy_websocket_"), "} ")
		switch {
		case !strings.HasPrefix(line, "caddy_websocket_"):
			continue
		case ok:
			name += "}"
		default:
			name, value, _ = strings.Cut(name, " ")
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			s.t.Fatalf("%q: %v", line, err)
		}
		found[name] = n
	}
	return found
}

// rises checks how much metrics have risen.
func (s *server) rises(before samples, want samples) {
	s.t.Helper()
	now := s.scrape()
	for name, n := range want {
		if got := now[name] - before[name]; got != n {
			s.t.Errorf("%s rose by %v from %v, want %v", name, got, before[name], n)
		}
	}
}

// sends waits until nothing waits for clients: what a client has read may be counted a
// moment longer.
func (s *server) sends() {
	s.t.Helper()
	for deadline := time.Now().Add(patience); s.scrape()["queued_bytes"] != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatal("something still waits for clients")
		}
	}
}

const meteredSite = `GLOBAL
	websocket {
		max_rooms 2
	}
END
:PORT {
` + withUser + `
	websocket /chat/* {
		app broadcast
		name chat
		max_connections_per_ip 3
	}
	websocket /sum/* {
		app sum
		name total
	}
	websocket /panic {
		app test_panic
		name faulty
	}
}`

// What happens is counted, whatever is still going on, and goes on being counted after a
// reload.
func TestMetrics(t *testing.T) {
	s := start(t, meteredSite)
	before := s.scrape()
	alice, bob := s.chats("a", "alice")[0], s.chats("a", "bob")[0]
	s.listen("/chat/a")
	alice.ask("hello", "hello")
	bob.expect("hello")
	counted := samples{
		`connections{route="chat",transport="websocket"}`:  2,
		`connections{route="chat",transport="events"}`:     1,
		`rooms{app="broadcast"}`:                           1,
		`handshakes_total{result="accepted",route="chat"}`: 3,
		`messages_total{direction="in",route="chat"}`:      1,
		`messages_total{direction="out",route="chat"}`:     3,
		`bytes_total{direction="in",route="chat"}`:         11,
	}
	s.sends()
	s.rises(before, counted)
	if _, answer, err := s.tryDial("/chat/b"); err == nil || answer.StatusCode != http.StatusTooManyRequests {
		t.Error(answer, err)
	}
	if _, answer, err := s.tryDial("/chat/a", "Origin: https://elsewhere.example"); err == nil || answer.StatusCode != http.StatusForbidden {
		t.Error(answer, err)
	}
	s.raw("GET /chat/a HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n")
	s.request(http.MethodPut, "/chat/a", "") // no handshake
	alice.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""))
	alice.expectClose(1000)
	bob.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(4321, ""))
	bob.expectClose(4321)
	logged.waitAll(t, "both ends", 2, isMessage("connection ended"))
	counted = samples{
		`connections{route="chat",transport="websocket"}`:                0,
		`handshakes_total{result="max_connections_per_ip",route="chat"}`: 1,
		`handshakes_total{result="origin",route="chat"}`:                 1,
		`handshakes_total{result="bad_handshake",route="chat"}`:          1,
		`closes_total{code="1000",route="chat"}`:                         1,
		`closes_total{code="other",route="chat"}`:                        1,
		`messages_total{direction="in",route="chat"}`:                    1,
		`messages_total{direction="out",route="chat"}`:                   3,
	}
	s.rises(before, counted)
	s.load(strings.Replace(meteredSite, "max_rooms 2", "max_rooms 3", 1))
	s.rises(before, counted)
	s.chats("a", "carol")[0].ask("hi", "hi")
	s.rises(before, samples{
		`messages_total{direction="in",route="chat"}`:      2,
		`handshakes_total{result="accepted",route="chat"}`: 4,
	})
}

// Caddy's directive metrics serves them too, without the admin API.
func TestMetricsDirective(t *testing.T) {
	s := start(t, meteredSite+"\n:OTHERPORT {\n metrics\n}")
	answer, err := http.Get("http://127.0.0.1:" + strconv.Itoa(s.OtherPort) + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || !strings.Contains(string(text), `caddy_websocket_connections{route="total",transport="events"} 0`) {
		t.Errorf("%s, %v", text, err)
	}
}

func TestMetricsOfOperations(t *testing.T) {
	s := start(t, meteredSite)
	before := s.scrape()
	s.posts("/sum/a", "5", http.StatusOK, "5")
	s.posts("/sum/b", "6", http.StatusOK, "6")
	s.posts("/sum/b", "x", http.StatusBadRequest, "error: not a number")
	s.posts("/sum/a", "7", http.StatusOK, "12", "Idempotency-Key: me:1")
	s.posts("/sum/a", "7", http.StatusOK, "12", "Idempotency-Key: me:1")
	s.posts("/sum/a", "8", http.StatusUnprocessableEntity, "error: this id was given to another operation", "Idempotency-Key: me:1")
	s.rises(before, samples{
		`operations_total{app="sum",result="stored"}`:   3,
		`operations_total{app="sum",result="repeated"}`: 1,
		`operations_total{app="sum",result="refused"}`:  1,
		`operations_total{app="sum",result="bad_id"}`:   1,
		`batch_operations_count`:                        6,
		`batch_operations_sum`:                          6,
		`batch_operations_bucket{le="1"}`:               6,
		`commit_duration_seconds_count`:                 6,
		`commit_duration_seconds_bucket{le="+Inf"}`:     6,
	})
	now := s.scrape()
	if now["stored_rooms"] != 2 || now["commit_duration_seconds_sum"] <= before["commit_duration_seconds_sum"] {
		t.Errorf("%v", now)
	}
	if n, ok := now[`engine_errors_total{engine="bolt",operation="swap"}`]; !ok || n != 0 {
		t.Errorf("%v", now)
	}
}

func TestMetricsOfAppsThatFail(t *testing.T) {
	s := start(t, meteredSite)
	before := s.scrape()
	for _, message := range []string{"panic", "error"} {
		c := s.dial("/panic")
		c.send(message)
		c.expectClose(websocket.CloseInternalServerErr)
	}
	s.tryDial("/panic?panic")
	s.tryDial("/panic?refuse")
	logged.waitAll(t, "the ends", 2, isMessage("connection ended"))
	s.rises(before, samples{
		`app_errors_total{route="faulty"}`:                     3,
		`closes_total{code="1011",route="faulty"}`:             2,
		`handshakes_total{result="app_failed",route="faulty"}`: 1,
		`handshakes_total{result="app",route="faulty"}`:        1,
		`connections{route="faulty",transport="websocket"}`:    0,
	})
}

// Alerts are counted when they begin, by the names that are configured, whether anybody is
// there or not. Those that an app names otherwise are counted together.
func TestMetricsOfAlerts(t *testing.T) {
	s := start(t, `:PORT {
		websocket /power {
			app meter {
				alert high max above 900
				alert low each last below 10
			}
			name power
		}
		websocket /alarm {
			app test_alarm
			name alarms
		}
	}`)
	before := s.scrape()
	for _, alert := range []string{"high", "low"} {
		if _, ok := before[`alerts_total{alert="`+alert+`",route="power"}`]; !ok {
			t.Errorf("%s is not shown before it begins", alert)
		}
	}
	ask := func(path, message string) {
		t.Helper()
		if answer, body := s.request(http.MethodPost, path, message); answer.StatusCode != http.StatusOK {
			t.Fatal(answer.Status, body)
		}
	}
	for _, reading := range []string{"5", "50", "4", "950", "3"} {
		ask("/power", `{"key":"press","value":`+reading+`}`)
	}
	for i := range 20 {
		ask("/alarm", fmt.Sprintf("tell all %d", i))
	}
	logged.waitAll(t, "the events", 6+20, isMessage("room event"))
	ask("/alarm", "name notice")
	logged.waitAll(t, "the event after them", 6+20+1, isMessage("room event")) // one after another: those are counted
	s.rises(before, samples{
		`alerts_total{alert="high",route="power"}`:   1,
		`alerts_total{alert="low",route="power"}`:    3,
		`alerts_total{alert="other",route="alarms"}`: 20,
		`alerts_total{alert="other",route="power"}`:  0,
	})
}

// Every metric is described, stands in the README, and has no label that is not said
// there.
func TestMetricsAreDocumented(t *testing.T) {
	described := make(chan *prometheus.Desc, 100)
	collector{}.Describe(described)
	close(described)
	var names []string
	for d := range described {
		name := regexp.MustCompile(`fqName: "(\w+)"`).FindStringSubmatch(d.String())[1]
		labels := regexp.MustCompile(`variableLabels: \{([\w,]*)\}`).FindStringSubmatch(d.String())[1]
		names = append(names, name+" "+strings.ReplaceAll(labels, ",", ", "))
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(caddy_websocket_\\w+)` \\|([^|]*)\\|").FindAllStringSubmatch(string(readme), -1) {
		told = append(told, row[1]+" "+strings.ReplaceAll(strings.TrimSpace(row[2]), "`", ""))
	}
	slices.Sort(names)
	slices.Sort(told)
	if !slices.Equal(names, told) {
		t.Errorf("there are\n%s\nand the README tells\n%s", strings.Join(names, "\n"), strings.Join(told, "\n"))
	}
}

const rememberingSite = ":PORT {\n" + withUser + `
	websocket /chat/* {
		app broadcast
		name remembering
		history 2
		presence
		write header Remote-User *
		expires {header.X-Expires} optional
	}
}`

// Metrics and the admin API show people, requests that rights refuse, gaps, and the messages
// that are kept.
func TestPeopleRightsAndGapsAreCounted(t *testing.T) {
	s := start(t, rememberingSite)
	before := s.scrape()
	alice := s.dial("/chat/a", "Remote-User: alice")
	s.dial("/chat/a", "Remote-User: alice")
	reader := s.dial("/chat/a")
	reader.send("may I?")
	reader.expect("error: read only")
	for status, headers := range map[int][]string{
		http.StatusForbidden:    nil,
		http.StatusUnauthorized: {"Remote-User: alice", "X-Expires: 1"},
	} {
		if answer, _ := s.request(http.MethodPost, "/chat/a", "x", headers...); answer.StatusCode != status {
			t.Errorf("%s, want %d", answer.Status, status)
		}
	}
	if _, answer, err := s.tryDial("/chat/a", "X-Expires: 1"); err == nil || answer.StatusCode != http.StatusUnauthorized {
		t.Error(answer, err)
	}
	for i := range 3 {
		s.request(http.MethodPost, "/chat/a", fmt.Sprint(i), "Remote-User: bob")
		alice.expect(fmt.Sprint(i))
	}
	room := "app=broadcast&room=" + url.QueryEscape(s.roomOf("/chat/a"))
	var details roomDetails
	s.get("/websocket/room?"+room, &details)
	if h := details.History; h == nil || h.First != 2 || h.Last != 3 || h.Kept != 2 || h.Epoch == "" || details.People != 2 ||
		!strings.Contains(string(details.Presence), `"count":2,"members":[{"user":"alice","connections":2}`) {
		t.Fatalf("%+v, %+v", details, details.History)
	}
	gap := "gap: what happened before " + details.History.Epoch + "-2 is not known any more"
	s.dial("/chat/a?after="+details.History.Epoch+"-0", "Remote-User: alice").expect(gap)
	if _, body := s.request(http.MethodGet, "/chat/a?after="+details.History.Epoch+"-0", ""); !strings.HasPrefix(body, gap) {
		t.Errorf("told %q", body)
	}
	s.rises(before, samples{
		`people{app="broadcast"}`: 2,
		`requests_refused_total{result="read_only",route="remembering"}`: 1,
		`requests_refused_total{result="expired",route="remembering"}`:   1,
		`handshakes_total{result="expired",route="remembering"}`:         1,
		`operations_total{app="broadcast",result="read_only"}`:           2,
		`gaps_total{app="broadcast"}`:                                    2,
	})
	var quiet roomDetails
	s.dial("/chat/b")
	s.get("/websocket/room?app=broadcast&room="+url.QueryEscape(s.roomOf("/chat/b")), &quiet)
	if h := quiet.History; h == nil || h.Kept != 0 || h.Last != 0 || h.First != 1 || quiet.People != 1 {
		t.Errorf("a room in which nothing was said: %+v, %+v", quiet, h)
	}
}
