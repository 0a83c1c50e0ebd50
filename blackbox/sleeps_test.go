package blackbox

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	cdpnetwork "github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// wantedSleeps is how often a page sleeps.
func wantedSleeps(t *testing.T) int {
	t.Helper()
	text := os.Getenv("CADDYWS_SLEEPS")
	if text == "" {
		return 2 * len(sleepsOf)
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal("CADDYWS_SLEEPS: ", err)
	}
	return n
}

// awakeWithin is how soon a page that wakes up is to be back.
const awakeWithin = 2 * time.Second

// sleeper is a page that takes part in a chat that goes on while it sleeps.
type sleeper struct {
	window
	id      browser.WindowID
	network *cutter // between it and the server
	sent    int     // messages of its own
}

// sleepsOf are the ways to sleep. Each ends in an order that wakes the page up.
var sleepsOf = []struct {
	name string
	fall func(*sleeper) (wake func())
}{
	{"the computer sleeps", (*sleeper).sleepWithTheComputer},
	{"the network is gone", (*sleeper).loseTheNetwork},
	{"the page is hidden", (*sleeper).hide},
	{"the page is frozen", (*sleeper).freeze},
	{"the page is left", (*sleeper).leave},
}

// sleepWithTheComputer has connections die without a word, and the clock leap.
func (s *sleeper) sleepWithTheComputer() (wake func()) {
	s.network.freeze()
	s.says()
	return func() { s.leap(5 * time.Minute) }
}

// loseTheNetwork has the page try to come back in vain, until it waits for long between
// two attempts.
func (s *sleeper) loseTheNetwork() (wake func()) {
	offline := func(is bool) {
		order(s.window, cdpnetwork.OverrideNetworkState, cdpnetwork.OverrideNetworkStateParams{Offline: is, DownloadThroughput: -1, UploadThroughput: -1})
	}
	s.says()
	s.network.shut()
	offline(true)
	s.run(`(async () => {
		for (let i = 0; i < 5; i++) {
			room.connect();
			await new Promise(done => room.addEventListener("status", done, {once: true}));
		}
		return "";
	})()`)
	s.says()
	return func() {
		s.network.open()
		offline(false)
	}
}

// hide has the connection die without a word, which a hidden page cannot know. Its scripts
// go on.
func (s *sleeper) hide() (wake func()) {
	s.show(browser.WindowStateMinimized)
	s.network.freeze()
	for range 2 {
		s.leap(time.Minute)
		s.run(`(dispatchEvent(new Event("visibilitychange")), "")`) // as the client's timer would
	}
	return func() { s.show(browser.WindowStateNormal) }
}

// freeze has the browser stop all that the page does.
func (s *sleeper) freeze() (wake func()) {
	state := func(is page.SetWebLifecycleStateState) {
		order(s.window, page.SetWebLifecycleState, page.SetWebLifecycleStateParams{State: is})
	}
	s.network.freeze()
	s.says()
	s.show(browser.WindowStateMinimized)
	state(page.SetWebLifecycleStateStateFrozen)
	return func() {
		state(page.SetWebLifecycleStateStateActive)
		s.show(browser.WindowStateNormal)
	}
}

// leave has the visitor go to another page, and back: the browser keeps the page as it is.
func (s *sleeper) leave() (wake func()) {
	s.network.freeze()
	s.says()
	ctx, cancel := s.step()
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate("http://"+s.network.target+"/page")); err != nil {
		s.t.Fatal(err)
	}
	return func() {
		s.run(`(setTimeout(() => history.back()), "")`)
		until(s.t, "the page that was left", s.isBack)
	}
}

// isBack reports whether the page is shown, and not the other one, or none while the browser goes
// from one to the other.
func (s *sleeper) isBack() bool {
	ctx, cancel := s.step()
	defer cancel()
	kind, err := chromedp.Run(ctx, chromedp.Evaluate[string]("typeof hears"))
	return err == nil && kind == "function"
}

// order gives the browser an order.
func order[P, R any](w window, command cdp.Command[P, R], params P) (result R) {
	w.t.Helper()
	ctx, cancel := w.step()
	defer cancel()
	if err := chromedp.Do(ctx, func(ctx context.Context, target *chromedp.Target) (none chromedp.Void, err error) {
		result, err = cdp.Call(ctx, target, command, params)
		return none, err
	}); err != nil {
		w.t.Fatalf("%s: %v", command.Method, err)
	}
	return result
}

func (s *sleeper) show(as browser.WindowState) {
	order(s.window, browser.SetWindowBounds, browser.SetWindowBoundsParams{WindowID: s.id, Bounds: &browser.Bounds{WindowState: as}})
}

// leap puts the page's clock forward.
func (s *sleeper) leap(d time.Duration) {
	s.run(fmt.Sprintf(`(leapt += %d, "")`, d.Milliseconds()))
}

// says has the page send two messages.
func (s *sleeper) says() {
	for range 2 {
		s.sent++
		s.run(fmt.Sprintf(`(say("mine %d"), "")`, s.sent))
	}
}

// newSleeper opens a page in a room that keeps messages. Its clock can be put forward.
func newSleeper(t *testing.T, network *cutter, browsing context.Context, path string) *sleeper {
	w := openWindow(t, browsing, network.url("/page"))
	s := &sleeper{window: w, network: network}
	s.id = order(w, browser.GetWindowForTarget, browser.GetWindowForTargetParams{}).WindowID
	w.run(fmt.Sprintf(`(async () => {
		const now = Date.now;
		window.leapt = 0;
		Date.now = () => now() + leapt;
		const {Room} = await import(%q);
		window.room = new Room(%q);
		window.heard = [], window.said = [], window.gaps = 0;
		room.addEventListener("message", e => heard.push(e.detail));
		room.addEventListener("gap", () => gaps++);
		window.say = async data => said.push({data, version: (await room.send({data})).version});
		window.hears = version => new Promise(done => (function look() {
			if (heard.at(-1)?.version >= version) done(""); else setTimeout(look, 5);
		})());
		await new Promise(done => room.addEventListener("state", done, {once: true}));
		return "";
	})()`, path+"?client.js", path))
	return s
}

// talks posts to a room again and again, until the end.
func (s *server) talks(t *testing.T, path string) (end func()) {
	stop := make(chan struct{})
	var talking sync.WaitGroup
	talking.Go(func() {
		for i := 0; ; i++ {
			answer, err := http.Post(s.url(path), "text/plain", strings.NewReader(fmt.Sprint("theirs ", i)))
			if err != nil || answer.StatusCode != http.StatusOK {
				t.Errorf("%v, %+v", err, answer)
				return
			}
			answer.Body.Close()
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	return sync.OnceFunc(func() {
		close(stop)
		talking.Wait()
	})
}

// last is the place of the newest message of a room.
func (s *server) last(t *testing.T, path string) uint64 { return s.history(t, path+"?limit=1").Last }

// A page that sleeps, in whatever way, is back soon after it has woken up, over WebSockets or where
// they are blocked: it is told all that has been said meanwhile, in order and once, and what it has
// said itself is kept once. CADDYWS_SLEEPS says how often; how long it takes is in the test's output.
func TestSleepsOfABrowser(t *testing.T) {
	s := start(t, clientConfig)
	browsing := chromium(t)
	var all []time.Duration
	for _, path := range []string{"/kept/asleep", "/blocked/kept/asleep"} {
		p := newSleeper(t, newCutter(t, s), browsing, path)
		end := s.talks(t, path)
		t.Cleanup(end)
		took := make([][]time.Duration, len(sleepsOf))
		for i := range wantedSleeps(t) / 2 {
			way := i % len(sleepsOf)
			took[way] = append(took[way], p.sleeps(t, s, path, sleepsOf[way].fall))
		}
		end()
		p.isAnswered(t)
		p.hasHeardAll(t, s.last(t, path))
		for i, way := range sleepsOf {
			t.Logf("%s, %s: %s", path, way.name, timesOf(took[i]))
			all = append(all, took[i]...)
		}
	}
	t.Logf("in all: %s; wanted: %v", timesOf(all), awakeWithin)
}

// sleeps has a page sleep until it has missed some messages, and returns how long it takes from
// waking up to having heard them.
func (s *sleeper) sleeps(t *testing.T, from *server, path string, fall func(*sleeper) (wake func())) time.Duration {
	t.Helper()
	s.hears(from.last(t, path))
	asleep := from.last(t, path)
	wake := fall(s)
	until(t, "more to be said", func() bool { return from.last(t, path) > asleep+5 })
	missed, woken := from.last(t, path), time.Now()
	wake()
	s.hears(missed)
	return time.Since(woken)
}

// hears waits until the page has heard all messages up to a place.
func (s *sleeper) hears(version uint64) { s.run(fmt.Sprintf(`hears(%d)`, version)) }

func timesOf(all []time.Duration) string {
	if len(all) == 0 {
		return "never"
	}
	slices.Sort(all)
	return fmt.Sprintf("%d times, median %v, worst %v", len(all), all[len(all)/2].Round(time.Millisecond), all[len(all)-1].Round(time.Millisecond))
}

// isAnswered waits until all that the page has sent is answered.
func (s *sleeper) isAnswered(t *testing.T) {
	t.Helper()
	until(t, "all answers", func() bool { return s.run(`said.length + ""`) == strconv.Itoa(s.sent) })
}

// hasHeardAll checks that the page has heard all messages in order and once, and that each of its
// own is among them once, at the place of its answer.
func (s *sleeper) hasHeardAll(t *testing.T, last uint64) {
	t.Helper()
	s.hears(last)
	if got, want := s.run(`[gaps, heard.every((m, i) => m.version === i + 1), heard.length, heard.filter(m => m.data.startsWith("mine")).length,
		said.every(({data, version}) => heard[version - 1]?.data === data)].join(" ")`), fmt.Sprint("0 true ", last, " ", s.sent, " true"); got != want {
		t.Errorf("heard: %s, want %s", got, want)
	}
}
