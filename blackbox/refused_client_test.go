package blackbox

import (
	"fmt"
	"strings"
	"testing"
)

// permit has the browser say until when its user may be there: for an hour more, or until
// an hour ago.
func (w window) permit(may bool) {
	w.run(fmt.Sprintf(`(document.cookie = "until=" + Math.round(Date.now() / 1000 + (%v ? 3600 : -3600)) + "; path=/", "")`, may))
}

// visit opens a room, sends something at once, and returns what comes of a script. settled tells
// how the room is when it is open, closed, or waits.
func (w window) visit(path, options, script string) string {
	w.t.Helper()
	return w.run(fmt.Sprintf(`(async () => {
		const {Room} = await import("/echo?client.js");
		window.room = new Room(%q, %s);
		window.sends = () => { window.sent = room.send(1).then(reply => "counted " + reply.total, e => e.code); };
		window.settled = () => new Promise(done => (function look() {
			if (room.status === "connecting") room.addEventListener("status", look, {once: true}); else done(room.status + " " + room.reason);
		})());
		window.becomes = status => new Promise(done => (function look() {
			if (room.status !== status) room.addEventListener("status", look, {once: true}); else done(room.status + " " + room.reason);
		})());
		if (room.status === "connecting" && %[2]q === "{}") sends();
		return %s;
	})()`, path, options, script))
}

// waits has the page wait for as long as it takes to be told why it is refused.
func (w window) waits() window {
	w.t.Helper()
	w.run(`(AbortSignal.timeout = () => undefined, "")`)
	return w
}

// A client that may not come in, or not any more, ends, and says why. One that is refused for
// the moment goes on trying.
func TestABrowserThatIsRefused(t *testing.T) {
	w := newCutter(t, start(t, clientConfig)).page(t).waits()
	for path, want := range map[string]string{
		"/answers/401": "closed HTTP 401", "/answers/403": "closed HTTP 403",
		"/answers/404": "waiting HTTP 404", "/answers/503": "waiting HTTP 503",
		"/blocked/sum": "waiting cannot connect",
	} {
		how := `settled()`
		if strings.HasPrefix(want, "closed") { // once it was refused twice
			how = `becomes("closed")`
		}
		how += `.then(async got => { room.close(); return got + ", and what waits is " + await sent; })`
		if got := w.visit(path, "{}", how); got != want+", and what waits is closed" {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// When the permission is over the client ends, over whichever way, and settles what waits. It
// can connect again when there is another permission.
func TestABrowserWhosePermissionIsOver(t *testing.T) {
	w := newCutter(t, start(t, clientConfig)).page(t)
	for _, path := range []string{"/ends/a", "/blocked/ends/a"} {
		w.permit(false)
		if got := w.visit(path, "{}", `becomes("closed")`); got != "closed HTTP 401" {
			t.Errorf("%s: %s", path, got)
		}
		if got := w.run(`sent`); got != "closed" {
			t.Errorf("%s: what waited ends with %s", path, got)
		}
		w.permit(true)
		if got := w.run(`(room.connect(), sends(), sent)`); got != "counted 1" {
			t.Errorf("%s: with another permission it is %s", path, got)
		}
		w.run(`(room.close(), "")`)
	}
	w.permit(false)
	if got := w.visit("/ends-echo", `{protocol: ""}`, `becomes("closed")`); got != "closed HTTP 401" {
		t.Errorf("an app without events: %s", got)
	}
}

// A computer that sleeps for longer than the permission lasts wakes up to that.
func TestABrowserWhosePermissionEndsAsleep(t *testing.T) {
	c := newCutter(t, start(t, clientConfig))
	browsing := chromium(t)
	for _, path := range []string{"/ends/b", "/blocked/ends/b"} {
		w := openWindow(t, browsing, c.url("/page"))
		w.run(`(() => { const now = Date.now; window.leapt = 0; Date.now = () => now() + leapt; return ""; })()`)
		w.permit(true)
		if got := w.visit(path, "{}", `sent`); got != "counted 1" {
			t.Fatalf("%s: before it is %s", path, got)
		}
		c.freeze()
		w.run(`(sends(), "")`)
		w.permit(false)
		w.run(`(leapt = 300_000, "")`)
		if got := w.run(`becomes("closed")`); got != "closed HTTP 401" {
			t.Errorf("%s: %s", path, got)
		}
		if got := w.run(`sent`); got != "closed" {
			t.Errorf("%s: what waited ends with %s", path, got)
		}
	}
}

// The live page says so.
func TestPageWhosePermissionEndsWhileItIsAway(t *testing.T) {
	c := newCutter(t, start(t, clientConfig))
	w := c.page(t)
	w.permit(true)
	w = openWindow(t, w.ctx, c.url("/ends/d"))
	w.waitFor("state", "Live")
	w.permit(false)
	c.cut()
	w.waitFor("state", "Closed")
	w.waitFor("why", "Your permission to be here has ended. Load the page again to ask for another.")
}

// An answer to an earlier attempt says nothing about a later one.
func TestABrowserThatIsRefusedTooLate(t *testing.T) {
	w := newCutter(t, start(t, clientConfig)).page(t).waits()
	w.permit(false)
	w.run(`(() => {
		const {fetch} = window;
		window.asked = new Promise(asked => {
			window.answered = new Promise(answered => {
				window.fetch = async (...request) => {
					window.fetch = fetch;
					const answer = await fetch(...request);
					asked("");
					await new Promise(go => { window.go = go; });
					setTimeout(() => answered(""));
					return answer;
				};
			});
		});
		return "";
	})()`)
	if got := w.visit("/ends/c", "{}", `asked.then(() => room.status)`); got != "connecting" {
		t.Errorf("while it is not known why, it is %s", got)
	}
	w.permit(true)
	if got := w.run(`(room.connect(), sent)`); got != "counted 1" {
		t.Fatalf("the later attempt is %s", got)
	}
	if got := w.run(`(go(), answered.then(() => room.status))`); got != "open" {
		t.Errorf("then it is %s", got)
	}
}
