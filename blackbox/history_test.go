package blackbox

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const historyConfig = `GLOBAL
		websocket {
			drain off
		}
	END
	:PORT {
		websocket /short/* broadcast {
			room short{path}
			history 50
		}
		websocket /brief/* broadcast {
			room brief{path}
			history 20
		}
		websocket /long/* broadcast {
			room long{path}
			history 10000
		}
		websocket /named/* broadcast "{user}: {message}" {
			history 10 off 3
		}
	}`

// kept is a message of a room that remembers messages, as the subprotocol json tells it.
type kept struct {
	Type    string
	Epoch   string
	Version uint64
	Oldest  uint64
	From    *struct{ ID, User string }
	Time    time.Time
	Data    *string
	Binary  []byte
	ID      string
	Repeat  bool
	Error   string
	Code    string
	Retry   bool
}

func (c *client) kept() (m kept) {
	c.t.Helper()
	_, p, err := c.ReadMessage()
	if err == nil {
		err = json.Unmarshal(p, &m)
	}
	if err != nil {
		c.t.Fatalf("%s, %v", p, err)
	}
	return m
}

// keptHistory is the answer to a GET.
type keptHistory struct {
	Type, Epoch string
	First, Last uint64
	Gap         bool
	Messages    []kept
}

func (s *server) history(t *testing.T, path string) keptHistory {
	t.Helper()
	return s.ask(t, "GET", path, "", "Accept: application/json").history(t)
}

func (a answer) history(t *testing.T) (h keptHistory) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), &h); err != nil || a.status != http.StatusOK || h.Type != "history" {
		t.Fatalf("%+v, %v", a, err)
	}
	return h
}

// The same messages are kept for all ways of asking, and every message has the same place.
func TestHistoryOverEveryTransport(t *testing.T) {
	s := start(t, historyConfig)
	silent := s.dial(t, "/short/a", "Sec-WebSocket-Protocol: json").kept()
	if silent.Type != "state" || silent.Version != 0 || len(silent.Epoch) != 8 {
		t.Fatalf("in a silent room: %+v", silent)
	}
	epoch := silent.Epoch
	s.post(t, "/short/a", "one", epoch+"-1")
	s.ask(t, "POST", "/short/a", "\x00\xff", "Content-Type: application/octet-stream")
	ann := s.dial(t, "/short/a", "Sec-WebSocket-Protocol: json")
	if m := ann.kept(); m.Type != "state" || m.Version != 0 {
		t.Errorf("%+v", m)
	}
	if m := ann.kept(); m.Version != 1 || m.Data == nil || *m.Data != "one" || m.From == nil || m.From.ID == "" || m.From.User != "" || time.Since(m.Time).Abs() > time.Minute {
		t.Errorf("%+v", m)
	}
	if m := ann.kept(); m.Version != 2 || m.Data != nil || string(m.Binary) != "\x00\xff" {
		t.Errorf("%+v", m)
	}
	ann.send(`{"data":"three\nlines","id":"a:1"}`)
	if m := ann.kept(); m.Version != 3 || *m.Data != "three\nlines" {
		t.Errorf("%+v", m)
	}
	if m := ann.kept(); m.Type != "reply" || m.Version != 3 || m.ID != "a:1" || m.Repeat {
		t.Errorf("%+v", m)
	}
	text := s.dial(t, "/short/a")
	text.expect("one")
	text.expectBinary("\x00\xff")
	text.expect("three\nlines")
	events := s.events(t, "/short/a", "Last-Event-ID: "+epoch+"-1")
	for _, want := range []event{{epoch + "-2", "binary", "AP8="}, {epoch + "-3", "", "three\nlines"}} {
		if got := events.next(); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	if got := s.events(t, "/short/a", "Last-Event-ID: ELSEWHER-1").next(); got.name != "gap" {
		t.Errorf("%+v", got)
	}
	a := s.ask(t, "GET", "/short/a", "")
	if a.body != "one\nAP8=\nthree\nlines\n" || a.header.Get("ETag") == "" {
		t.Errorf("%+v", a)
	}
	if a := s.ask(t, "GET", "/short/a", "", "If-None-Match: "+a.header.Get("ETag")); a.status != http.StatusNotModified {
		t.Errorf("%+v", a)
	}
	if h := s.history(t, "/short/a?limit=1&after="+epoch+"-1"); h.Epoch != epoch || h.First != 1 || h.Last != 3 || h.Gap || len(h.Messages) != 1 || h.Messages[0].Version != 2 {
		t.Errorf("%+v", h)
	}
	if h := s.history(t, "/short/a?after=ELSEWHER-1"); !h.Gap || len(h.Messages) != 3 {
		t.Errorf("%+v", h)
	}
	for query, want := range map[string]int{
		"?limit=0": 400, "?limit=1001": 400, "?limit=x": 400, "?limit=1&limit=2": 400, "?after=x": 400, "?after=" + epoch + "-1&after=" + epoch + "-2": 400, "?limit=1000": 200,
	} {
		if a := s.ask(t, "GET", "/short/a"+query, ""); a.status != want {
			t.Errorf("%s: %+v", query, a)
		}
	}
	ann.send("no object")
	if m := ann.kept(); m.Type != "error" || !strings.Contains(m.Error, "data") {
		t.Errorf("%+v", m)
	}
}

// A POST with the subprotocol json in its URL is answered in it.
func TestPostsOfTheSubprotocolJSON(t *testing.T) {
	s := start(t, historyConfig+`
	:OTHERPORT {
		websocket /chat broadcast
		websocket /echo echo
	}`)
	c := s.dial(t, "/short/a", "Sec-WebSocket-Protocol: json")
	c.kept()
	for range 2 {
		a := s.ask(t, "POST", "/short/a?subprotocol=json", `{"data":"hi","id":"p:1"}`)
		if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/json" || !strings.Contains(a.body, `"version":1,"id":"p:1"`) {
			t.Errorf("%+v", a)
		}
	}
	if m := c.kept(); *m.Data != "hi" {
		t.Errorf("%+v", m)
	}
	other := *s
	other.Port = s.OtherPort
	for _, test := range []struct {
		path, body string
		status     int
		want       string
	}{
		{"/chat?subprotocol=json", `{"data":"hi"}`, http.StatusNoContent, ""},
		{"/chat?subprotocol=json", `hi`, http.StatusBadRequest, `"code":"refused"`},
		{"/chat?subprotocol=json", `{"data":"hi","id":"p:1"}`, http.StatusBadRequest, `"code":"stateless","retry":false,"id":"p:1"`},
		{"/chat", `{"data":"hi","id":"p:1"}`, http.StatusNoContent, ""},
		{"/chat?subprotocol=mqtt", `hi`, http.StatusNotAcceptable, ""},
		{"/echo?subprotocol=json", `hi`, http.StatusNotAcceptable, ""},
	} {
		if a := other.ask(t, "POST", test.path, test.body); a.status != test.status || !strings.Contains(a.body, test.want) {
			t.Errorf("%s %s: %+v", test.path, test.body, a)
		}
	}
}

// A sender cannot pretend to be somebody else: what it sends is never a field beside data.
func TestSendersCannotBeForged(t *testing.T) {
	s := start(t, historyConfig)
	c := s.dial(t, "/named/a", "Sec-WebSocket-Protocol: json")
	c.kept()
	text := s.dial(t, "/named/a")
	c.send(`{"data":"hi\",\"from\":{\"id\":\"x\"},\"x\":\"","from":{"id":"x","user":"root"},"version":7}`)
	m := c.kept()
	if *m.Data != `hi","from":{"id":"x"},"x":"` || m.From.ID == "x" || m.From.User != "" || m.Version != 1 {
		t.Errorf("%+v", m)
	}
	text.expect(`: hi","from":{"id":"x"},"x":"`)
}

// A repeat is not published, and is told the first place, a thousand messages later in a
// room that keeps fifty, and after a crash.
func TestRepeatAThousandMessagesLater(t *testing.T) {
	s := start(t, historyConfig)
	first := s.ask(t, "POST", "/short/a", "once", "Idempotency-Key: producer:1")
	c := s.dial(t, "/short/a")
	c.expect("once")
	for i := range 1000 {
		c.send(strconv.Itoa(i))
		c.expect(strconv.Itoa(i))
	}
	for range 2 {
		again := s.ask(t, "POST", "/short/a", "once", "Idempotency-Key: producer:1")
		if again.status != http.StatusOK || again.body != first.body || !strings.HasSuffix(again.body, "-1") {
			t.Errorf("%+v, then %+v", first, again)
		}
		if other := s.ask(t, "POST", "/short/a", "other", "Idempotency-Key: producer:1"); other.status != http.StatusUnprocessableEntity {
			t.Errorf("%+v", other)
		}
		if h := s.history(t, "/short/a?limit=1000"); h.Last != 1001 || h.First != 952 || len(h.Messages) != 50 || *h.Messages[49].Data != "999" {
			t.Errorf("%+v", h)
		}
		s.kill(t)
		s.again(t)
	}
}

// A producer that posts each message until it is acknowledged, a server that is killed and
// reloaded, and readers that are cut and come back: every reader has all messages in their
// order, once, whatever way it reads; and none is published twice.
func TestReadersHaveAllMessages(t *testing.T) {
	s := start(t, historyConfig)
	last, life := uint64(3000), uint64(300) // of a server, in messages, at most
	if testing.Short() || race {
		last, life = 1000, 200
	}
	n := found(t, s, "/long/a")
	n.last.Store(last)
	var done sync.WaitGroup
	go1 := func(do func() error) {
		done.Go(func() {
			if err := do(); err != nil {
				t.Error(err)
			}
		})
	}
	go1(n.print)
	for _, way := range []way{bySocket, bySocket, byEvents, byEvents, byGet} {
		go1(func() error { return (&subscriber{paper: n}).read(way) })
	}
	rounds := 0
	for ; n.printed.Load() < last && !t.Failed(); rounds++ {
		next := min(n.printed.Load()+1+rand.Uint64N(life), last)
		for n.printed.Load() < next && !t.Failed() {
			time.Sleep(time.Millisecond)
		}
		s.kill(t)
		s.again(t)
	}
	done.Wait()
	t.Logf("%d messages, %d kills", last, rounds)
	if h := s.history(t, n.path+"?limit=1"); h.Last != last || h.First != 1 {
		t.Errorf("%+v", h)
	}
}
