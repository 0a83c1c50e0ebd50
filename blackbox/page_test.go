package blackbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/gorilla/websocket"
)

const pageConfig = `:PORT {
	websocket /sum/* sum {
		page
	}
}`

// narrow makes a window as wide as a telephone.
func (w window) narrow() {
	w.t.Helper()
	ctx, cancel := w.step()
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile)); err != nil {
		w.t.Fatal(err)
	}
}

// send sends a message by the page's form.
func (w window) send(message string) {
	w.t.Helper()
	w.run(`document.getElementById("text").value = ` + strconv.Quote(message) + `, String(document.getElementById("form").requestSubmit())`)
}

// expectsOwn has the page wait for its own messages for as long as they take to come back.
func (w window) expectsOwn() {
	w.t.Helper()
	w.run(`(setTimeout = (later => (f, after) => after === 2000 ? 0 : later(f, after))(setTimeout), "")`)
}

// waitForMessages waits until the list of messages has these, separated by |: "You Hello" is
// one's own, "alice Hello" is that of a user, "Hello" of somebody else.
func (w window) waitForMessages(want string) {
	w.t.Helper()
	var got string
	defer func() {
		if got != want {
			w.t.Errorf("the messages are %s", got)
		}
	}()
	until(w.t, "the messages "+want, func() bool {
		got = w.run(`[...document.querySelectorAll("#messages li")].map(li => [...li.querySelectorAll("b, span")].map(e => e.textContent).join(" ")).join("|")`)
		return got == want
	})
}

// layout is how a number is laid out.
type layout struct {
	Text  string // what is copied and read aloud
	Lines int
	Gaps  int  // wider than those between two digits
	Wide  bool // the page is wider than the window
}

// layout measures the digits of an element.
func (w window) layout(id string) (l layout) {
	w.t.Helper()
	text := w.run(`(async () => {
		await new Promise(requestAnimationFrame);
		const element = document.getElementById("` + id + `"), digits = [];
		const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
		for (let node; node = walker.nextNode();) for (let i = 0; i < node.length; i++) {
			if (!/[\d.]/.test(node.data[i])) continue;
			const range = document.createRange();
			range.setStart(node, i);
			range.setEnd(node, i + 1);
			digits.push(range.getBoundingClientRect());
		}
		const gap = i => digits[i].left - digits[i - 1].right, size = parseFloat(getComputedStyle(element).fontSize);
		return JSON.stringify({
			Text: element.textContent,
			Lines: new Set(digits.map(d => Math.round(d.top))).size,
			Gaps: digits.filter((d, i) => i && gap(i) > size / 10).length,
			Wide: document.documentElement.scrollWidth > innerWidth,
		});
	})()`)
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		w.t.Fatal(err)
	}
	return l
}

// Numbers have a gap before every three digits and stand on one line, on a telephone,
// too. The longest can be scrolled. The gap is no character.
func TestPageShowsNumbersOnOneLine(t *testing.T) {
	browser := chromium(t)
	stage := newStage(t)
	w := openWindow(t, browser, stage.url)
	w.narrow()
	c := stage.enter(t)
	show := func(number string) {
		c.say(t, fmt.Sprintf(`{"type":"state","epoch":"%s","version":1,"total":%s}`, number, number))
		w.waitFor("value", number)
	}
	for number, gaps := range map[string]int{
		"0": 0, "999": 0, "1000": 1, "-999": 0, "999996": 1, "-123456.789": 1, "0.1234567": 0, "1234567890123456": 5,
	} {
		show(number)
		for _, id := range []string{"value", "max", "min"} {
			if got, want := w.layout(id), (layout{number, 1, gaps, false}); got != want {
				t.Errorf("%s of %s is laid out %+v, want %+v", id, number, got, want)
			}
		}
	}
	const longest = "123456789012345678901234567890.123456789012345678901234567891"
	show(longest)
	if got, want := w.layout("value"), (layout{longest, 1, 9, false}); got != want {
		t.Errorf("the longest number is laid out %+v, want %+v", got, want)
	}
}

// The title is the value and where it is from; what else stands there is in a
// visitor's words.
func TestPageSpeaksToVisitors(t *testing.T) {
	browser := chromium(t)
	s := start(t, pageConfig)
	s.post(t, "/sum/Guests%20today", "999996", "999996")
	w := openWindow(t, browser, s.url("/sum/Guests%20today"))
	w.waitFor("state", "Live")
	w.waitFor("value", "999996")
	w.waitForTitle("999\u202f996 – Guests today – " + s.address())
	w.waitFor("name", "Guests today")
	w.waitFor("place", s.address()+"/sum/Guests%20today")
	w.waitFor("changes", "1")
	w.waitFor("rate", "0")
	w.waitFor("seen", "The value that this tab has seen.")
	s.post(t, "/sum/Guests%20today", "4", "1000000")
	w.waitFor("changes", "2")
	w.waitFor("rate", "1")
	w.waitFor("seen", "The 2 values that this tab has seen.")
	w.waitForTitle("1\u202f000\u202f000 – Guests today – " + s.address())
	if text := w.run(`document.body.innerText`); strings.Contains(text, "version") {
		t.Errorf("the page speaks of versions: %s", text)
	}
}

// A room that nothing has come to says why that may be, until something comes.
func TestPageOfAnEmptyRoom(t *testing.T) {
	browser := chromium(t)
	s := start(t, pageConfig)
	w := openWindow(t, browser, s.url("/sum/a"))
	w.waitFor("value", "0")
	shown := `String(!document.getElementById("empty").hidden)`
	until(t, "the reason", func() bool { return w.run(shown) == "true" })
	w.waitFor("empty", "Nothing has come here yet. What was sent to another address of this server than "+s.address()+" may be in another room.")
	s.post(t, "/sum/a", "6", "6")
	w.waitFor("value", "6")
	until(t, "no reason any more", func() bool { return w.run(shown) == "false" })
}

// waitForTitle is waitFor for the window's title.
func (w window) waitForTitle(want string) {
	w.t.Helper()
	var title string
	until(w.t, "the title "+want, func() bool {
		title = w.run(`document.title`)
		return title == want
	})
}

// What is said of a connection that has ended is the last thing, and alone: no
// text is left from before, but for what became of one's own messages.
func TestPageSaysOneThingAtATime(t *testing.T) {
	browser := chromium(t)
	stage := newStage(t)
	w := openWindow(t, browser, stage.url)
	says := func(state, why, notice string) {
		t.Helper()
		w.waitFor("state", state)
		w.waitFor("why", why)
		w.waitFor("notice", notice)
	}
	const (
		unreachable = "The server cannot be reached, or refuses."
		unanswered  = "Not answered yet: 1. What is sent again counts once."
		uncertain   = "Sent and not answered, so counted or not: 1."
	)
	c := stage.enter(t)
	w.waitFor("value", "5")
	w.send("six")
	c.answer(t, `{"value":"six"}`, `{"type":"error","error":"not a number","code":"refused","retry":false}`)
	says("Live", "", "Error: not a number")

	stage.refuses.Store(true)
	c.end(t, websocket.CloseInternalServerErr, "out of luck")
	says("Reconnecting", unreachable, "")
	w.waitForTitle("Reconnecting – total – " + stage.host)
	stage.refuses.Store(false)
	c = stage.enter(t)
	says("Live", "", "")
	w.waitForTitle("5 – total – " + stage.host)

	w.send("six")
	c.answer(t, `{"value":"six"}`, `{"type":"error","error":"not a number","code":"refused","retry":false}`)
	says("Live", "", "Error: not a number")
	w.run(`String(document.getElementById("one").click())`)
	says("Live", "", "")
	c.answer(t, `{"value":"1"}`, "")
	c.end(t, 4000, "good luck")
	says("Reconnecting", "4000: The app closed the connection. “good luck”", unanswered)
	c = stage.enter(t)
	says("Live", "", "")
	c.answer(t, `{"value":"1"}`, `{"type":"reply","epoch":"AAAAAAAA","version":4,"total":7}`)
	w.waitFor("value", "7")
	w.run(`String(document.getElementById("one").click())`)
	c.answer(t, `{"value":"1"}`, "")
	c.end(t, websocket.CloseNormalClosure, "")
	says("Closed", "1000: The server closed the connection: it is done.", uncertain)
	w.waitForTitle("Closed – total – " + stage.host)
	w.run(`String(document.getElementById("connect").click())`)
	c = stage.enter(t)
	says("Live", "", uncertain)
	w.run(`String(document.getElementById("one").click())`)
	says("Live", "", "")
	c.answer(t, `{"value":"1"}`, `{"type":"reply","epoch":"AAAAAAAA","version":5,"total":8}`)
	w.waitFor("value", "8")
	w.run(`String(document.getElementById("connect").click())`)
	says("Closed", "You disconnected.", "")
}

// stage shows Caddy's page and plays the server of its WebSocket.
type stage struct {
	host, url string
	refuses   atomic.Bool   // connections
	admits    chan struct{} // a connection
	entered   chan actor
}

// actor is the server's end of a connection.
type actor struct{ *websocket.Conn }

// newStage plays the server of the page of a total with these options.
func newStage(t *testing.T, options ...string) *stage {
	t.Helper()
	return newStageOf(t, strings.Replace(pageConfig, "page\n", "page {\n"+strings.Join(options, "\n")+"\n}\n", 1))
}

// newStageOf plays the server of a page at /sum/total.
func newStageOf(t *testing.T, config string) *stage {
	t.Helper()
	s := start(t, config)
	caddy, err := url.Parse(s.url("/"))
	if err != nil {
		t.Fatal(err)
	}
	st := &stage{admits: make(chan struct{}), entered: make(chan actor, 1)}
	proxy := httputil.NewSingleHostReverseProxy(caddy)
	upgrader := websocket.Upgrader{Subprotocols: []string{"json"}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Accept") == "text/event-stream", st.refuses.Load() && websocket.IsWebSocketUpgrade(r):
			w.WriteHeader(http.StatusServiceUnavailable)
		case !websocket.IsWebSocketUpgrade(r):
			proxy.ServeHTTP(w, r)
		case !st.admitted(r):
		default:
			conn, err := upgrader.Upgrade(w, r, nil)
			if err != nil {
				t.Error(err)
				return
			}
			st.entered <- actor{conn}
		}
	}))
	t.Cleanup(server.Close)
	st.host, st.url = strings.TrimPrefix(server.URL, "http://"), server.URL+"/sum/total"
	return st
}

// admitted waits until the test asks for a connection, unless the client goes.
func (s *stage) admitted(r *http.Request) bool {
	select {
	case <-s.admits:
		return true
	case <-r.Context().Done():
		return false
	}
}

// enter waits for the page's next connection, which is shown a total.
func (s *stage) enter(t *testing.T) actor {
	t.Helper()
	c := s.connected(t)
	c.say(t, `{"type":"state","epoch":"AAAAAAAA","version":3,"total":5}`)
	return c
}

// connected waits for the page's next connection.
func (s *stage) connected(t *testing.T) actor {
	t.Helper()
	late := time.After(patience)
	for admits := s.admits; ; admits = nil {
		select {
		case admits <- struct{}{}:
		case c := <-s.entered:
			t.Cleanup(func() { c.Close() })
			return c
		case <-late:
			t.Fatal("the page does not connect")
		}
	}
}

func (c actor) say(t *testing.T, message string) {
	t.Helper()
	if err := c.WriteMessage(websocket.TextMessage, []byte(message)); err != nil {
		t.Fatal(err)
	}
}

// answer reads a message and answers it, if there is something to answer. Both are given
// without the id.
func (c actor) answer(t *testing.T, message, with string) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(patience))
	_, got, err := c.ReadMessage()
	id := idField.FindString(string(got))
	if text := strings.Replace(string(got), id, "", 1); err != nil || text != message {
		t.Fatalf("the page sent %q, %v, want %q", text, err, message)
	}
	if with != "" {
		c.say(t, strings.TrimSuffix(with, "}")+id+"}")
	}
}

var idField = regexp.MustCompile(`,"id":("[^"]*"|\d+)(,"at":"[^"]*")?`)

// end closes the connection.
func (c actor) end(t *testing.T, code int, reason string) {
	t.Helper()
	if err := c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason)); err != nil {
		t.Fatal(err)
	}
	_, _, _ = c.ReadMessage() // its close frame
	c.Close()
}

// A browser that opens any URL of the example is shown the page.
func TestExampleShowsPages(t *testing.T) {
	browser := chromium(t)
	config, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, strings.ReplaceAll(string(config), ":8080", ":PORT"))
	for path, answers := range map[string]string{"echo": "You Hello|Hello", "lowercase": "You Hello|hello", "chat": "You Hello"} {
		w := openWindow(t, browser, s.url("/"+path))
		w.waitFor("state", "Live")
		w.waitForTitle(path + " – " + s.address())
		w.expectsOwn()
		w.send("Hello")
		w.waitForMessages(answers)
	}
	w := openWindow(t, browser, s.url("/sum"))
	w.waitFor("value", "0")
}
