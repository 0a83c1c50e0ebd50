package blackbox

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// answerText is what the example publishes.
var answerText = strings.Repeat("A token is a piece of a word, 日本語 \\ \"quoted\"\tor\n\nnot.  ", 12)

// publisher is the example's producer.
type publisher struct {
	*exec.Cmd
	said  bytes.Buffer
	ended chan error
}

// publish starts the producer.
func publish(t *testing.T, to string, arguments ...string) *publisher {
	t.Helper()
	program := filepath.Join(workshop, "stream")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", program, "../examples/stream").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p := &publisher{Cmd: exec.Command(program, append(arguments, "-to", to)...), ended: make(chan error, 1)}
	p.Env = append(os.Environ(), "PRODUCER_TOKEN=")
	p.Stdin, p.Stderr = strings.NewReader(answerText), &p.said
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- p.Wait() }()
	t.Cleanup(func() { p.Process.Kill() })
	return p
}

// wait waits for the end of the producer, which has published all.
func (p *publisher) wait(t *testing.T) {
	t.Helper()
	if err := p.end(t); err != nil {
		t.Fatalf("%v\n%s", err, &p.said)
	}
}

// end waits for the end of the producer.
func (p *publisher) end(t *testing.T) error {
	t.Helper()
	select {
	case err := <-p.ended:
		return err
	case <-time.After(2 * patience):
		t.Fatal("the producer does not end")
		return nil
	}
}

// tokenMessage is a message of the example.
type tokenMessage struct {
	Token string
	Done  bool
	Error string
}

// follow reads the events of an answer behind one, up to so many or the last one, and returns
// the text and the id of the last event.
func (s *server) follow(t *testing.T, path, last string, n int) (text, id string, done bool) {
	t.Helper()
	var header []string
	if last != "" {
		header = append(header, "Last-Event-ID: "+last)
	}
	e := s.events(t, path, header...)
	epoch, position, _ := strings.Cut(last, "-")
	at, _ := strconv.Atoi(position)
	for range n {
		got := e.next()
		if at++; epoch == "" {
			epoch, _, _ = strings.Cut(got.id, "-")
		}
		if want := epoch + "-" + strconv.Itoa(at); got.id != want || got.name != "" {
			t.Fatalf("%+v, want the id %s", got, want)
		}
		var m tokenMessage
		if err := json.Unmarshal([]byte(got.data), &m); err != nil || m.Error != "" {
			t.Fatalf("%+v, %v", got, err)
		}
		text += m.Token
		id = got.id
		if m.Done {
			return text, id, true
		}
	}
	return text, id, false
}

// Readers of a token stream have all tokens in order and once, also those who come late and
// come back, while connections are cut and the server is killed.
func TestExampleStream(t *testing.T) {
	s := example(t, "stream")
	c := newCutter(t, s)
	p := publish(t, c.url("/answers/1"), "-pace", "2ms")
	var text, id string
	for done := false; !done; {
		var more string
		more, id, done = s.follow(t, "/answers/1", id, 40)
		text += more
		if c.cut(); !done {
			s.kill(t)
			s.again(t)
		}
	}
	p.wait(t)
	if text != answerText {
		t.Errorf("a reader that was there has %q", text)
	}
	if late, _, _ := s.follow(t, "/answers/1", "", 10_000); late != answerText {
		t.Errorf("a late reader has %q", late)
	}
	if a := s.ask(t, "POST", "/answers/1", `{"token":"x"}`); a.status != 403 {
		t.Errorf("somebody else publishes: %d", a.status)
	}
	second := publish(t, s.url("/answers/1"), "-pace", "0")
	if err := second.end(t); err == nil || !strings.Contains(second.said.String(), "has an answer already") {
		t.Errorf("published at the same URL: %v, %s", err, &second.said)
	}
	again := publish(t, s.url("/answers/2"), "-pace", "0", "-name", "again")
	again.wait(t)
	publish(t, s.url("/answers/2"), "-pace", "0", "-name", "again").wait(t)
	if text, _, _ := s.follow(t, "/answers/2", "", 10_000); text != answerText {
		t.Errorf("published twice under one name it is %q", text)
	}
	if one, two := s.history(t, "/answers/1?limit=1"), s.history(t, "/answers/2?limit=1"); one.Last != two.Last {
		t.Errorf("%d and %d messages are kept", one.Last, two.Last)
	}
}

// The same in the page, which comes late.
func TestExampleStreamInABrowser(t *testing.T) {
	browser := chromium(t)
	s := example(t, "stream")
	c := newCutter(t, s)
	p := publish(t, s.url("/answers/1"), "-pace", "20ms")
	until(t, "the first tokens", func() bool { return s.ask(t, "GET", "/answers/1", "").body != "" })
	early := openWindow(t, browser, c.url("/"))
	for range 3 {
		until(t, "a connection", func() bool {
			state := early.run(`document.getElementById("state").textContent`)
			return state == "Live" || state == "Complete"
		})
		c.cut()
		s.kill(t)
		s.again(t)
	}
	p.wait(t)
	late := openWindow(t, browser, c.url("/?answer=1"))
	for _, w := range []window{early, late} {
		w.waitFor("state", "Complete")
		w.waitFor("text", answerText)
	}
}
