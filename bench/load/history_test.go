package load

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// chat is a server with one room that keeps messages. The hooks let it lie.
type chat struct {
	told    func(member, version int, text string) []string // nil: the text
	reply   func(version int, id string) string             // nil: as it is
	resumed func(texts []string) []string                   // nil: what is kept

	mu      sync.Mutex
	members []*websocket.Conn
	texts   []string
}

const chatState = `{"type":"state","epoch":"E","version":0}`

func (s *chat) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, err := (&websocket.Upgrader{Subprotocols: []string{"json"}}).Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer c.Close()
	s.mu.Lock()
	send(c, chatState)
	if r.URL.RawQuery == "after=E-0" {
		texts := s.texts
		if s.resumed != nil {
			texts = s.resumed(texts)
		}
		for _, text := range texts {
			send(c, text)
		}
	} else {
		s.members = append(s.members, c)
	}
	s.mu.Unlock()
	for {
		_, text, err := c.ReadMessage()
		if err != nil {
			return
		}
		s.receive(c, text)
	}
}

func (s *chat) receive(c *websocket.Conn, text []byte) {
	var said struct{ ID, Data string }
	_ = json.Unmarshal(text, &said) // what the generator sends
	s.mu.Lock()
	defer s.mu.Unlock()
	version := len(s.texts) + 1
	message := chatMessage(version, said.Data)
	s.texts = append(s.texts, message)
	for i, m := range s.members {
		messages := []string{message}
		if s.told != nil {
			messages = s.told(i, version, said.Data)
		}
		for _, message := range messages {
			send(m, message)
		}
	}
	reply := fmt.Sprintf(`{"type":"reply","epoch":"E","version":%d,"id":%q}`, version, said.ID)
	if s.reply != nil {
		reply = s.reply(version, said.ID)
	}
	send(c, reply)
}

func chatMessage(version int, text string) string {
	return fmt.Sprintf(`{"type":"message","epoch":"E","version":%d,"data":%q}`, version, text)
}

// A server that loses, doubles or confuses messages is found out.
func TestHistoryFindsLies(t *testing.T) {
	at5 := func(version int, lie, truth []string) []string {
		if version == 5 {
			return lie
		}
		return truth
	}
	one := func(version int, text string) []string { return []string{chatMessage(version, text)} }
	gapBefore := func(oldest int) string { return fmt.Sprintf(`{"type":"gap","epoch":"E","oldest":%d}`, oldest) }
	behind := func(gaps ...string) func([]string) []string { // the first message is not kept
		return func(texts []string) []string { return append(gaps, texts[1:]...) }
	}
	for name, test := range map[string]struct {
		server *chat
		want   string
	}{
		"nothing": {&chat{}, ""},
		"lost": {&chat{told: func(_, version int, text string) []string {
			return at5(version, nil, one(version, text))
		}}, "version 5 was told as"},
		"lost for one": {&chat{told: func(member, version int, text string) []string {
			if member == 0 {
				return one(version, text)
			}
			return at5(version, nil, one(version, text))
		}}, "version 5 was told as"},
		"twice": {&chat{told: func(_, version int, text string) []string {
			return append(at5(version, one(version, text), nil), one(version, text)...)
		}}, "version 6 was told as"},
		"counted twice": {&chat{told: func(_, version int, text string) []string {
			return at5(version, append(one(5, text), one(6, text)...), one(version, text))
		}}, "came behind its text"},
		"another text": {&chat{told: func(_, version int, text string) []string {
			return one(version, text[:len(text)-1]+"x")
		}}, "no member has sent that"},
		"gap": {&chat{told: func(_, version int, text string) []string {
			return at5(version, []string{gapBefore(6)}, one(version, text))
		}}, "a member was told"},
		"reply with another version": {&chat{reply: func(version int, id string) string {
			return fmt.Sprintf(`{"type":"reply","epoch":"E","version":%d,"id":%q}`, version+version/5, id)
		}}, "has version"},
		"reply to another id": {&chat{reply: func(version int, id string) string {
			return fmt.Sprintf(`{"type":"reply","epoch":"E","version":%d,"id":"%s0"}`, version, id)
		}}, "reply without"},
		"refused": {&chat{reply: func(int, string) string { return `{"type":"error","error":"busy"}` }}, "a member was told"},
		"one is not kept": {&chat{resumed: func(texts []string) []string {
			return append(append([]string(nil), texts[:7]...), texts[8:]...)
		}}, "came in place of 8"},
		"the oldest are not kept":      {&chat{resumed: func(texts []string) []string { return texts[1:] }}, "no gap was told"},
		"few are kept":                 {&chat{resumed: behind(gapBefore(2))}, "only messages from version 2 on are kept"},
		"gap before another version":   {&chat{resumed: behind(gapBefore(3))}, "a gap before version 3 was told"},
		"gap before what there is not": {&chat{resumed: behind(gapBefore(100_000))}, "came of"},
		"two gaps":                     {&chat{resumed: behind(gapBefore(2), gapBefore(2))}, "is not the first"},
		"gap within": {&chat{resumed: func(texts []string) []string {
			return append(append(append([]string(nil), texts[:3]...), gapBefore(4)), texts[3:]...)
		}}, "is not the first"},
		"gap where nothing is missing": {&chat{resumed: func(texts []string) []string {
			return append([]string{gapBefore(1)}, texts...)
		}}, "came of"},
		"another is kept": {&chat{resumed: func(texts []string) []string {
			other := strings.Replace(texts[3], "hh", "hx", 1)
			return append(append(append([]string(nil), texts[:3]...), other), texts[4:]...)
		}}, "which was told as"},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(test.server)
			t.Cleanup(s.Close)
			err := runHistory(t, strings.TrimPrefix(s.URL, "http://"))
			if got := fmt.Sprint(err); test.want == "" && err != nil || !strings.Contains(got, test.want) {
				t.Errorf("error is %v, want one with %q", err, test.want)
			}
		})
	}
}

// runHistory has three clients send about a hundred texts.
func runHistory(t *testing.T, addr string) error {
	t.Helper()
	g, err := New(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if err := g.History(History{Path: "", Rooms: 1, Clients: 3, Window: 4, Kept: 1000}); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Run(100, 5*time.Second); err != nil {
		return err
	}
	return g.Check()
}

// What is remembered of a room does not grow, and the newest messages are among it.
func TestTranscriptForgets(t *testing.T) {
	const remember, all = 100, 5000
	w := &writer{conn: new(conn), next: 1, flight: newFlight(4)}
	w.room = &transcript{writers: []*writer{w}, remember: remember}
	for n := range uint64(all) {
		w.sent++
		text := string(w.appendText(nil, n+1))
		if err := w.room.hear(w, []byte(chatMessage(int(n)+1, text))); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(w.room.told); n < remember || n > remember+2048 || w.room.last() != all {
		t.Errorf("%d are remembered, up to %d", n, w.room.last())
	}
	if p := w.room.version(all).payload; string(p) != chatMessage(all, string(w.appendText(nil, all))) {
		t.Errorf("the newest is %s", p)
	}
}

// Until clients know where the room stands nothing is sent; what stands there came with the
// answers to the handshakes, or after them.
func TestHistoryWaitsForTheState(t *testing.T) {
	s := httptest.NewServer(new(chat))
	t.Cleanup(s.Close)
	g, err := New(strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if err := g.History(History{Rooms: 1, Clients: 20, Window: 1, Kept: 10}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if p, err := g.Run(50, time.Minute); err != nil || p.Count < 50 {
			t.Errorf("%+v, %v", p, err)
		}
	}
	if p, err := g.Run(math.MaxInt, 0); err != nil || p.Count != 0 {
		t.Errorf("a phase of no time: %+v, %v", p, err)
	}
}
