package blackbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// chromium starts a browser that ends with the test. Its windows are contexts.
func chromium(t *testing.T) context.Context {
	t.Helper()
	path := need(t, "chromium", "chromium-browser", "google-chrome")
	profile, err := os.MkdirTemp("", "blackbox-chromium")
	if err != nil {
		t.Fatal(err)
	}
	options := []chromedp.ExecAllocatorOption{chromedp.ExecPath(path), chromedp.UserDataDir(profile)}
	for _, flag := range []string{
		"headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
		"disable-component-update", "disable-sync", "disable-dev-shm-usage", "disable-background-timer-throttling",
		"disable-backgrounding-occluded-windows", "disable-renderer-backgrounding",
	} {
		options = append(options, chromedp.Flag(flag, true))
	}
	ctx, cancelAll := context.WithCancel(context.Background())
	ctx, cancelProcess := chromedp.NewExecAllocator(ctx, options...)
	ctx, _ = chromedp.NewContext(ctx)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("closing chromium: %v", err)
		}
		cancelProcess()
		cancelAll()
		os.RemoveAll(profile)
	})
	late := time.AfterFunc(2*patience, cancelAll)
	defer late.Stop()
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting chromium: %v", err)
	}
	return ctx
}

// window is a page in a window of its own.
type window struct {
	t   *testing.T
	ctx context.Context
}

func openWindow(t *testing.T, browser context.Context, url string) window {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewWindow(true))
	t.Cleanup(cancel)
	late := time.AfterFunc(2*patience, cancel)
	defer late.Stop()
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		t.Fatalf("opening %s: %v", url, err)
	}
	return window{t, ctx}
}

// step returns the context of one step: each has its time, since a test has many.
func (w window) step() (context.Context, context.CancelFunc) {
	return context.WithTimeout(w.ctx, 2*patience)
}

// run runs JavaScript and waits for the promise that it is.
func (w window) run(script string) string {
	w.t.Helper()
	ctx, cancel := w.step()
	defer cancel()
	result, err := chromedp.Run(ctx, chromedp.Evaluate[string](script, chromedp.EvalAwaitPromise))
	if err != nil {
		w.t.Fatalf("%s: %v", script, err)
	}
	return result
}

// waitFor waits until an element has a text, and fails with the one that it has
// in the end.
func (w window) waitFor(id, text string) {
	w.t.Helper()
	got := w.run(`new Promise(done => {
		const end = Date.now() + ` + strconv.FormatInt(patience.Milliseconds(), 10) + `;
		(function look() {
			const text = document.getElementById(` + strconv.Quote(id) + `).textContent;
			if (text === ` + strconv.Quote(text) + ` || Date.now() > end) done(text); else setTimeout(look, 10);
		})();
	})`)
	if got != text {
		w.t.Fatalf("%s is %q, want %q", id, got, text)
	}
}

// example starts the server of an example.
func example(t *testing.T, name string) *server {
	t.Helper()
	folder, err := filepath.Abs(filepath.Join("../examples", name))
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(folder, "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	return start(t, strings.NewReplacer(":8080", ":PORT", "file_server", "root "+folder+"\n\tfile_server").Replace(string(config)))
}

// Clicks in two windows, over the subprotocol json.
func TestClicksInTwoWindows(t *testing.T) {
	browser := chromium(t)
	s := example(t, "clicks")
	one, two := openWindow(t, browser, s.url("/")), openWindow(t, browser, s.url("/"))
	for _, w := range []window{one, two} {
		w.waitFor("state", "Connected")
		w.waitFor("total", "0")
	}
	click := func(w window) { w.run(`String(document.getElementById("click").click())`) }
	click(one)
	click(one)
	click(two)
	for _, w := range []window{one, two} {
		w.waitFor("total", "3")
	}
	one.waitFor("own", "2")
	two.waitFor("own", "1")
	s.post(t, "/clicks", "-3", "0")
	for _, w := range []window{one, two} {
		w.waitFor("total", "0")
	}
}

// The same over EventSource and POST.
func TestEventSourceInTwoWindows(t *testing.T) {
	browser := chromium(t)
	s := example(t, "sse")
	one, two := openWindow(t, browser, s.url("/")), openWindow(t, browser, s.url("/"))
	for i, w := range []window{one, two} {
		w.waitFor("state", "Following")
		w.waitFor("total", strconv.Itoa(2*i))
		w.run(`document.getElementById("number").value = "2", String(document.getElementById("form").requestSubmit())`)
		w.waitFor("total", strconv.Itoa(2*i+2))
	}
	one.waitFor("total", "4")
	s.dial(t, "/total").send("-4.5")
	for _, w := range []window{one, two} {
		w.waitFor("total", "-0.5")
	}
}

const hostileConfig = `
(page) {
	root PAGES
	file_server
}
:PORT {
	log
	websocket /echo/* echo
	websocket /sum/* sum
	import page
}
:OTHERPORT {
	import page
}`

// The ways in testdata/page.html, and what a page of the own origin learns by
// them.
var pageWays = map[string]string{
	"image": "", "form": "7", "beacon": "", "simple": "7", "post": "7", "credentials": "7", "json": "7", "put": "405",
	"state": "0", "question": "secret", "frame": "0", "script": "7", "events": "0", "socket": "7",
}

// adding are those that add 7.
var adding = []string{"beacon", "credentials", "form", "json", "post", "simple", "socket"}

// learnt tries all ways from the page of an origin, who is how it calls itself.
func (s *server) learnt(t *testing.T, browser context.Context, origin, who string) (learnt map[string]string) {
	t.Helper()
	w := openWindow(t, browser, origin+"/page.html")
	text := w.run(`tryAll("` + s.url("") + `", "` + who + `").then(JSON.stringify)`)
	if err := json.Unmarshal([]byte(text), &learnt); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return learnt
}

// access returns the access log's line of a path.
func (s *server) access(t *testing.T, path string) string {
	t.Helper()
	return s.log.wait(t, `"uri":"`+path+`"`, `"uri":"`+path+`?`)
}

func hostile(t *testing.T) *server {
	pages, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	return start(t, strings.ReplaceAll(hostileConfig, "PAGES", pages))
}

// A page of the own origin can do everything: so the next test proves something.
func TestOwnPage(t *testing.T) {
	browser := chromium(t)
	s := hostile(t)
	if got := s.learnt(t, browser, s.url(""), "own"); !maps.Equal(got, pageWays) {
		t.Errorf("learnt %v, want %v", got, pageWays)
	}
	for _, way := range adding {
		s.access(t, "/sum/own/"+way) // a beacon is on its way while the page goes on
		s.shows(t, "/sum/own/"+way, "7")
	}
}

// A hostile page changes nothing and learns nothing, by whatever way, whether to
// the browser it is of the same site (another port) or of another one.
func TestHostilePage(t *testing.T) {
	browser := chromium(t)
	s := hostile(t)
	for _, host := range []string{"127.0.0.1", "localhost"} {
		learnt := s.learnt(t, browser, "http://"+host+":"+strconv.Itoa(s.OtherPort), host)
		for _, way := range slices.Sorted(maps.Keys(pageWays)) {
			if learnt[way] != "" {
				t.Errorf("by %s the page on %s has learnt %q", way, host, learnt[way])
			}
			app := "/sum/"
			if way == "question" || way == "script" {
				app = "/echo/"
			}
			path := app + host + "/" + way
			if line := s.access(t, path); !strings.Contains(line, `"status":403`) {
				t.Errorf("%s on %s was answered: %s", way, host, line)
			}
			if app == "/echo/" {
				continue
			}
			if a := s.ask(t, "GET", path, "", wantsJSON); masked(a.body) != `{"type":"state","epoch":"E","version":0,"total":0}` {
				t.Errorf("%s on %s has changed the state to %s", way, host, a.body)
			}
		}
	}
}

// What is said in one window is in the other, and after a crash in a new one.
func TestExampleChat(t *testing.T) {
	browser := chromium(t)
	s := example(t, "chat")
	one, two := openWindow(t, browser, s.url("/")), openWindow(t, browser, s.url("/"))
	for _, w := range []window{one, two} {
		w.waitFor("state", "Connected")
	}
	says := func(w window, name, text string) {
		w.run(fmt.Sprintf(`(document.getElementById("name").value = %q, document.getElementById("text").value = %q, document.getElementById("form").requestSubmit(), "")`, name, text))
	}
	says(one, "ann", "<b>Hi")
	two.waitFor("log", "ann<b>Hi")
	s.kill(t)
	s.again(t)
	one.waitFor("state", "Connected")
	two.waitFor("state", "Connected")
	says(two, "bob", "Welcome back")
	three := openWindow(t, browser, s.url("/"))
	for _, w := range []window{one, two, three} {
		w.waitFor("log", "ann<b>HibobWelcome back")
	}
	one.texts("li.own", "ann<b>Hi")
	two.texts("li.own", "bobWelcome back")
}
