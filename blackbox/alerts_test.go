package blackbox

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// Alerts of the app meter, as clients are told them that do not read for a while, that
// are cut, and whose server is killed.

const alertsConfig = `GLOBAL
		websocket {
			drain off
		}
	END
	:PORT {
		websocket /power/* {
			app meter {
				alert high last above 1000 {
					message "high with {value}"
				}
			}
			room power{path}
		}
		websocket /window/* {
			app meter {
				window 1s
				latest
				alert high each last above 1000
			}
			room window{path}
		}
		websocket /long {
			app meter {
				window 1h
				latest
				alert high each last above 1000
			}
			room long
		}
	}`

// reading is the n-th reading, counted from 1: by turns the alert begins and ends. No two
// have the same value.
func reading(n int) string { return fmt.Sprint(n + n%2*1000) }

// alertsOf is what is told of the first n readings, each of which has a version.
func alertsOf(n int) (all []string) {
	for i := 1; i <= n; i++ {
		text := "high is over"
		if i%2 == 1 {
			text = "high with " + reading(i)
		}
		all = append(all, fmt.Sprintf("%d-1 %s", i, text))
	}
	return all
}

// listener is somebody who wants to be told every alert of a room once.
type listener struct {
	s      *server
	path   string
	stream bool // an event stream, else a WebSocket
	next   func() (kind, id, text string, err error)
	leave  func()

	last string   // the last event that it was told
	told []string // all of them: <version>-<number> and the text
}

// listeners are two that listen in one way or another.
func listeners(s *server, path string) []*listener {
	return []*listener{{s: s, path: path}, {s: s, path: path, stream: true}}
}

// come connects, and asks for what it has missed.
func (l *listener) come(t *testing.T) {
	t.Helper()
	if l.stream {
		l.follow(t)
	} else {
		l.join(t)
	}
}

func (l *listener) join(t *testing.T) {
	t.Helper()
	path := l.path
	if l.last != "" {
		path += "?after=" + l.last
	}
	c := l.s.connect(t)
	c.upgrade(path, "Sec-WebSocket-Protocol: json")
	l.leave = func() { c.Close() }
	l.next = func() (kind, id, text string, err error) {
		f, err := readFrame(c.r)
		if f.op == opPing {
			io.WriteString(c, pong(f.payload))
		}
		if err != nil || f.op != opText {
			return "", "", "", err
		}
		var m struct {
			Type, Epoch, Message string
			Version, Number      int
		}
		err = json.Unmarshal([]byte(f.payload), &m)
		return m.Type, fmt.Sprintf("%s-%d-%d", m.Epoch, m.Version, m.Number), m.Message, err
	}
}

func (l *listener) follow(t *testing.T) {
	t.Helper()
	var header []string
	if l.last != "" {
		header = []string{"Last-Event-ID: " + l.last}
	}
	e := l.s.events(t, l.path, header...)
	e.patience = 10 * patience
	l.leave = func() { e.response.Body.Close() }
	l.next = func() (kind, id, text string, err error) {
		got, err := e.read()
		return got.name, got.id, got.data, err
	}
}

// reads has a listener who has come read all the time.
func (l *listener) reads() {
	type told struct {
		kind, id, text string
		err            error
	}
	read, all := l.next, make(chan told, 1000)
	go func() {
		for a := (told{}); a.err == nil; all <- a {
			a.kind, a.id, a.text, a.err = read()
		}
	}()
	l.next = func() (kind, id, text string, err error) {
		a := <-all
		return a.kind, a.id, a.text, a.err
	}
}

// listen is told n alerts, counted from the first one on, unless the connection ends.
func (l *listener) listen(t *testing.T, n int) (whole bool) {
	t.Helper()
	for len(l.told) < n {
		late := time.AfterFunc(patience, l.leave)
		kind, id, text, err := l.next()
		late.Stop()
		if err != nil {
			return false
		}
		if kind == "gap" {
			t.Errorf("a gap after %s", l.last)
		}
		if kind == "event" {
			_, place, _ := strings.Cut(id, "-")
			l.last, l.told = id, append(l.told, place+" "+text)
		}
	}
	return true
}

// hasHeard fails the test unless the alerts of n readings are told, each once and in order.
func (l *listener) hasHeard(t *testing.T, n int) {
	t.Helper()
	if whole, want := l.listen(t, n), alertsOf(n); !whole || !slices.Equal(l.told, want) {
		t.Errorf("stream %t: told %q, want %q", l.stream, l.told, want)
	}
}

// Members that read nothing while alerts begin and end twenty times, and those that are cut
// meanwhile and come back, are told each of them once and in order.
func TestAlertsOfAMemberThatPauses(t *testing.T) {
	const readings, read = 40, 5
	s := start(t, alertsConfig)
	paused, cut := listeners(s, "/power/a"), listeners(s, "/power/a")
	for _, l := range slices.Concat(paused, cut) {
		l.come(t)
	}
	for n := 1; n <= readings; n++ {
		s.post(t, "/power/a", reading(n), reading(n))
		if n == read+2 { // two are on their way to them
			for _, l := range cut {
				if !l.listen(t, read) {
					t.Fatal("cut too early")
				}
				l.leave()
			}
		}
	}
	all := slices.Concat(paused, cut)
	for i, l := range all {
		if i >= len(paused) {
			l.come(t)
		}
		l.hasHeard(t, readings)
	}
	s.post(t, "/power/a", reading(readings+1), reading(readings+1))
	for _, l := range all {
		l.hasHeard(t, readings+1) // and nothing twice before that
	}
}

// sensor sends readings, each until it is answered. They count once.
type sensor struct {
	s    *server
	path string
	sent int // how many are answered
}

// send sends readings up to the n-th, unless the server is gone before.
func (c *sensor) send(n int) {
	for c.sent < n {
		r, err := http.NewRequest(http.MethodPost, c.s.url(c.path), strings.NewReader(reading(c.sent+1)))
		if err != nil {
			return
		}
		r.Header.Set("Idempotency-Key", fmt.Sprint("sensor:", c.sent+1))
		answer, err := plain.Do(r)
		if err != nil {
			return
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return
		}
		c.sent++
	}
}

// A server that is killed again and again while alerts begin and end loses none that it has
// told to anybody, and tells none twice to those that say what they have seen: those that
// read all the time, those that read only when the server is gone, and over event streams
// as over WebSockets.
func TestAlertsOfAKilledServer(t *testing.T) {
	const rounds, each = 10, 20
	s := start(t, alertsConfig)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	witnesses, paused, c := listeners(s, "/power/a"), listeners(s, "/power/a"), &sensor{s: s, path: "/power/a"}
	all := slices.Concat(witnesses, paused)
	for range rounds {
		for _, l := range all {
			l.come(t)
		}
		done, before := make(chan struct{}), c.sent
		go func() {
			defer close(done)
			c.send(before + each)
		}()
		heard := before + 1 + random.IntN(each-1)
		if !witnesses[0].listen(t, heard) {
			t.Fatal("the server is gone too early")
		}
		s.kill(t)
		<-done
		for _, l := range all {
			l.listen(t, before+2*each) // to the end of the connection
			l.leave()
		}
		if c.sent < heard-1 {
			t.Fatalf("%d alerts are told, and %d readings answered", heard, c.sent)
		}
		s.again(t)
	}
	for _, l := range all {
		l.come(t)
	}
	n := c.sent + 1 // one may be stored and not answered
	c.send(n)
	for _, l := range all {
		l.hasHeard(t, n)
	}
	if c.sent != n {
		t.Errorf("%d readings are answered, want %d", c.sent, n)
	}
	t.Logf("%d alerts", n)
	fresh := &listener{s: s, path: "/power/a"}
	fresh.come(t)
	if kind, id, _, err := fresh.next(); kind != "state" || !strings.HasSuffix(id, fmt.Sprintf("-%d-0", n)) {
		t.Errorf("the state is %s, %s, %v", kind, id, err)
	}
}

// Readings leave the window while no server runs, as they would have left otherwise: those
// that come back are told that the alert has ended, once. What is still in its window is
// there.
func TestWindowsOverAKill(t *testing.T) {
	s := start(t, alertsConfig)
	l, lasting := &listener{s: s, path: "/window/a"}, &listener{s: s, path: "/long"}
	l.come(t)
	lasting.come(t)
	const press = `{"key":"press","value":1001}`
	s.post(t, "/window/a", press, "1001")
	s.post(t, "/window/b", press, "1001") // where nobody is
	s.post(t, "/long", press, "1001")
	if !l.listen(t, 1) || !lasting.listen(t, 1) {
		t.Fatal("nobody is told that the alert has begun")
	}
	s.kill(t)
	killed := s.log
	s.again(t)
	until(t, "the end of the alert where nobody is", func() bool {
		return slices.ContainsFunc(strings.Split(killed.String()+s.log.String(), "\n"), func(line string) bool {
			return strings.Contains(line, "/window/b") && strings.Contains(line, "high is over for press")
		})
	})
	l.come(t)
	lasting.come(t)
	if !l.listen(t, 2) || l.told[0] != "1-1 high: last of press is 1001, above 1000" || !strings.HasSuffix(l.told[1], "-1 high is over for press") {
		t.Errorf("told %q", l.told)
	}
	s.shows(t, "/window/a", "count 0 sum 0")
	s.shows(t, "/window/b", "count 0 sum 0")
	s.shows(t, "/long", "count 1 sum 1001 min 1001 max 1001 mean 1001 last 1001")
	s.post(t, "/long", `{"key":"press","value":1002}`, "1002") // the alert goes on
	s.post(t, "/long", `{"key":"press","value":1}`, "1")
	if !lasting.listen(t, 2) || !strings.HasPrefix(lasting.told[1], "3-1 high is over") {
		t.Errorf("told %q", lasting.told)
	}
}
