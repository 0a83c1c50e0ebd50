package blackbox

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// clientConfig is a site whose page does nothing by itself. No WebSocket comes through
// to blocked.
const clientConfig = `:PORT {
	header /page Content-Type text/html
	respond /page "<!doctype html><title>room</title><p id=shown></p>"
	@blocked {
		path /blocked/* /readers/blocked
		header Upgrade websocket
	}
	respond @blocked 403
	respond /answers/401 401
	respond /answers/403 403
	respond /answers/404 404
	respond /answers/503 503
	websocket /sum/* {
		app sum
		room {path}
	}
	websocket /blocked/* {
		app sum
		room {path}
	}
	websocket /readers/* {
		app sum
		room {path}
		write /elsewhere
	}
	websocket /kept/* {
		app broadcast
		history 1000
		room "kept {path}"
	}
	websocket /said/* {
		app broadcast
		room {path}
	}
	websocket /blocked/kept/* {
		app broadcast
		history 1000
		room "kept {path}"
	}
	websocket /blocked/said/* {
		app broadcast
		room {path}
	}
	websocket /ends/* {
		app sum
		room {path}
		expires {cookie.until}
		page
	}
	websocket /blocked/ends/* {
		app sum
		room {path}
		expires {cookie.until}
	}
	websocket /ends-echo {
		app echo
		expires {cookie.until}
	}
	websocket /mute {
		app broadcast
		write /elsewhere
	}
	websocket /small {
		app sum
		max_message_size 100B
	}
	websocket /echo echo
}`

// enter opens a page that has a Room, and counts what is told there.
func (c *cutter) enter(t *testing.T, browser window, path, options string) window {
	t.Helper()
	browser.run(fmt.Sprintf(`(async () => {
		const {Room} = await import(%q);
		for (const name of ["WebSocket", "EventSource"]) {
			window[name] = new Proxy(window[name], {construct(way, args) { window.way = name; return new way(...args); }});
		}
		window.room = new Room(%q, %s);
		window.told = [];
		for (const name of ["state", "update", "reply", "text"]) room.addEventListener(name, e => told.push({...e.detail, way: way === "EventSource" && name === "reply" ? "POST" : way}));
		const open = () => room.status === "open";
		window.opened = () => open() ? Promise.resolve() : new Promise(done =>
			room.addEventListener("status", function see() { if (open()) { room.removeEventListener("status", see); done(); } }));
		await opened();
		return "";
	})()`, path+"?client.js", path, options))
	return browser
}

// page opens the empty page over the cutter.
func (c *cutter) page(t *testing.T) window { return openWindow(t, chromium(t), c.url("/page")) }

// The module is a file like any other.
func TestTheModuleOfABrowser(t *testing.T) {
	s := start(t, clientConfig)
	a := s.ask(t, http.MethodGet, "/echo?client.js", "")
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "text/javascript; charset=utf-8" || !strings.Contains(a.body, "export class Room") {
		t.Fatalf("answered with %d %v", a.status, a.header)
	}
	a = s.ask(t, http.MethodGet, "/echo?client.js", "", "If-None-Match: "+a.header.Get("ETag"))
	if a.status != http.StatusNotModified || a.body != "" {
		t.Errorf("the second time: %d %q", a.status, a.body)
	}
}

// Whatever happens to the connections, and to the server, each number counts once, and
// each promise is kept.
func TestRoomsOfABrowserComeBack(t *testing.T) {
	s := start(t, clientConfig)
	c := newCutter(t, s)
	w := c.enter(t, c.page(t), "/sum/back", "{}")
	w.run(`(window.sums = Promise.all(Array.from({length: 100}, (_, i) => room.send(i % 2 ? 1 : {value: 1}))), "")`)
	for i := range 10 {
		switch i % 3 {
		case 0:
			c.cut()
		case 1:
			c.freeze()
			w.run(`(dispatchEvent(new Event("online")), "")`)
		case 2:
			s.kill(t)
			s.again(t)
		}
		w.run(`opened().then(() => { sums = Promise.all([sums, ...Array.from({length: 20}, () => room.send(1))]); return ""; })`)
	}
	if got := w.run(`sums.then(() => room.send(0)).then(reply => reply.total + " " + room.state.total)`); got != "300 300" {
		t.Errorf("the total is %s", got)
	}
	if got := w.run(`told.filter((m, i) => i > 0 && !m.repeat && told[i - 1].way === m.way && told[i - 1].version > m.version && !told[i - 1].repeat).length + ""`); got != "0" {
		t.Errorf("%s states were told after newer ones", got)
	}
	if total := s.state(t, "/sum/back").Total.String(); total != "300" {
		t.Errorf("the server has %s", total)
	}
}

// The page of the README works as it stands there.
func TestThePageOfTheReadme(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "\n### In a browser\n")
	_, section, _ = strings.Cut(section, "```html\n")
	page, _, found := strings.Cut(section, "```")
	if !found {
		t.Fatal("the README has no page")
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "index.html"), []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, ":PORT {\n websocket /sum sum\n root "+folder+"\n file_server\n}")
	w := openWindow(t, chromium(t), s.url("/"))
	w.waitFor("total", "0")
	w.run(`String(document.getElementById("add").click())`)
	w.waitFor("total", "1")
	s.post(t, "/sum", "5", "6")
	w.waitFor("total", "6")
}

// Where WebSockets are blocked, events and POSTs do as well.
func TestRoomsOfABrowserWithoutWebSockets(t *testing.T) {
	s := start(t, clientConfig)
	c := newCutter(t, s)
	w := c.enter(t, c.page(t), "/blocked/sum", "{}")
	w.run(`(window.sums = Promise.all(Array.from({length: 30}, () => room.send(1))), "")`)
	c.cut()
	if got := w.run(`sums.then(() => room.state.total + "")`); got != "30" {
		t.Errorf("the total is %s", got)
	}
	s.ask(t, http.MethodPost, "/blocked/sum", "5")
	if got := w.run(`new Promise(done => {
		if (room.state.total === 35) return done("35");
		room.addEventListener("update", e => { if (e.detail.total >= 35) done(e.detail.total + ""); });
	})`); got != "35" {
		t.Errorf("then it is told %s", got)
	}
}

// An app without JSON is told texts, and tells some.
func TestRoomsOfABrowserWithTexts(t *testing.T) {
	c := newCutter(t, start(t, clientConfig))
	w := c.enter(t, c.page(t), "/echo", `{protocol: ""}`)
	if got := w.run(`new Promise(done => {
		room.addEventListener("text", e => done(e.detail));
		room.send("{}");
	})`); got != "{}" {
		t.Errorf("the echo is %q", got)
	}
	if got := w.run(`(room.close(), room.send("x").catch(e => e.code + " " + room.status + " " + room.reason))`); got != "closed closed closed by the page" {
		t.Errorf("after the end: %s", got)
	}
}

// What the app refuses is an error with a code, and no hindrance.
func TestRefusalsInABrowser(t *testing.T) {
	c := newCutter(t, start(t, clientConfig))
	w := c.enter(t, c.page(t), "/sum/refused", "{}")
	if got := w.run(`Promise.allSettled([room.send(1), room.send("x"), room.send(2)]).then(all =>
		all.map(({value, reason}) => value?.total ?? reason.code + reason.retry).join(" "))`); got != "1 refusedfalse 3" {
		t.Errorf("answered with %s", got)
	}
}

// A page may close a room and connect again, and send what it likes: no message is left
// without an answer.
func TestEachMessageOfABrowserHasAnAnswer(t *testing.T) {
	c := newCutter(t, start(t, clientConfig))
	w := c.enter(t, c.page(t), "/sum/again", "{}")
	if got := w.run(`(async () => {
		await room.send(1);
		const lost = [room.send(1), room.send(1)].map(sent => sent.catch(e => e.code));
		room.close();
		room.connect();
		const kept = await Promise.all([room.send(1), room.send({value: 1})]);
		return (await Promise.all(lost)).join(" ") + " " + (kept[1].total - kept[0].total);
	})()`); got != "closed closed 1" {
		t.Errorf("over another connection: %s", got)
	}
	if got := w.run(`(async () => {
		const mine = {value: 1}, sent = room.send(mine);
		mine.value = 1000;
		const loop = {};
		loop.loop = loop;
		return (await room.send(loop).catch(e => e.constructor.name)) + " " + (await room.send(0)).total + " " + (await sent).total;
	})()`); got != "TypeError 4 4" && got != "TypeError 5 5" && got != "TypeError 6 6" {
		t.Errorf("what is no JSON: %s", got)
	}
	c.enter(t, w, "/small", "{}")
	if got := w.run(`(async () => {
		const sent = [room.send(1), room.send({value: 1, text: "x".repeat(200)}), room.send(1)].map(sent => sent.then(() => "counted", e => e.code));
		const codes = await Promise.all(sent);
		room.connect();
		return codes.join(" ") + " " + (await room.send(0)).total + " " + room.reason;
	})()`); got != "counted closed closed 1 " {
		t.Errorf("what is too large: %s", got)
	}
}

// A page that may only read is told so, over each way.
func TestReadersInABrowser(t *testing.T) {
	c := newCutter(t, start(t, clientConfig))
	w := c.page(t)
	for _, path := range []string{"/readers/open", "/readers/blocked"} {
		c.enter(t, w, path, "{}")
		if got := w.run(`Promise.allSettled([room.send(1), room.send(2)]).then(all => all.map(({reason}) => reason.code).join(" "))`); got != "read_only read_only" {
			t.Errorf("%s: %s", path, got)
		}
	}
}

// A server that has forgotten the client, and all, counts what it is sent from then on.
func TestABrowserWhoseServerForgets(t *testing.T) {
	s := start(t, "GLOBAL\n websocket {\n engine memory\n }\nEND\n"+clientConfig)
	c := newCutter(t, s)
	w := c.enter(t, c.page(t), "/sum/forgets", "{}")
	w.run(`room.send(5).then(() => room.send(5)).then(() => {
		window.ended = new Promise(done => room.addEventListener("status", done, {once: true}));
		return "";
	})`)
	s.kill(t)
	s.again(t)
	if got := w.run(`ended.then(opened).then(() => Promise.all([room.send(1), room.send(1)])).then(all => all.map(({total}) => total).join(" "))`); got != "1 2" {
		t.Errorf("counted to %s", got)
	}
}

// What is said in a chat that is kept is kept once, whatever happens to the connection, and
// answered with its place. All are told it once.
func TestChatsOfABrowserThatAreKept(t *testing.T) {
	s := start(t, clientConfig)
	c := newCutter(t, s)
	w := c.page(t)
	for _, path := range []string{"/kept/a", "/blocked/kept/a"} {
		c.enter(t, w, path, "{}")
		w.run(`(window.said = [],
			window.heard = new Promise(done => room.addEventListener("message", e => { if (said.push(e.detail.data) === 30) done(); })),
			window.sent = Promise.all(Array.from({length: 30}, (_, i) => room.send({data: String(i)}))), "")`)
		c.cut()
		if got := w.run(`sent.then(all => all.every(({type, version}, i) => type === "reply" && version === i + 1) + "")`); got != "true" {
			t.Errorf("%s: the messages are not answered with their places", path)
		}
		if got := w.run(`heard.then(() => said.every((text, i) => text === String(i)) + " " + said.length)`); got != "true 30" {
			t.Errorf("%s: not told all once, in order: %s", path, got)
		}
		if h := s.history(t, path); h.Last != 30 || len(h.Messages) != 30 || *h.Messages[29].Data != "29" {
			t.Errorf("%s: %+v", path, h)
		}
	}
}

// What is said in a chat that keeps nothing is sent once, and nobody waits for an answer.
func TestChatsOfABrowserThatAreNotKept(t *testing.T) {
	s := start(t, clientConfig)
	c := newCutter(t, s)
	w := c.page(t)
	for path, refused := range map[string]string{"/said/a": "sent refused", "/blocked/said/a": "refused refused"} {
		c.enter(t, w, path, "{}")
		w.run(`(window.said = [], window.errors = [],
			room.addEventListener("message", e => { said.push(e.detail.data); room.dispatchEvent(new Event("more")); }),
			room.addEventListener("error", e => { errors.push(e.detail.code); room.dispatchEvent(new Event("more")); }),
			window.until = is => new Promise(done => is() ? done() : room.addEventListener("more", function see() { if (is()) { room.removeEventListener("more", see); done(); } })),
			window.say = (...texts) => Promise.all(texts.map(data => room.send({data}))), "")`)
		if got := w.run(`say("a", "b", "c").then(() => until(() => said.length === 3)).then(() => said.join(" ") + errors.join(" "))`); got != "a b c" {
			t.Errorf("%s: %s", path, got)
		}
		seen := c.connections()
		if got := w.run(`room.send({data: 1}).then(() => "sent", e => e.code).then(got => until(() => errors.length === 1).then(() => got + " " + errors.join(" ")))`); got != refused {
			t.Errorf("%s: what is refused: %s, want %s", path, got, refused)
		}
		if now := c.connections(); path == "/said/a" && now != seen {
			t.Errorf("%d more connections", now-seen)
		}
		w.run(`(window.ended = new Promise(done => room.addEventListener("status", done, {once: true})), "")`)
		c.cut()
		if got := w.run(`ended.then(opened).then(() => say("d", "e")).then(() => until(() => said.length === 5)).then(() => said.join(" "))`); got != "a b c d e" {
			t.Errorf("%s: after a cut: %s", path, got)
		}
		w.run(`(room.close(), "")`)
	}
	c.enter(t, w, "/mute", "{}")
	if got := w.run(`room.send({data: "x"}).then(() => "sent", e => e.code)`); got != "read_only" {
		t.Errorf("a reader: %s", got)
	}
}

// A text is sent as it is, over each way. What comes of it is an event, with the text that it
// came as: its numbers may have more digits than those of JavaScript.
func TestABrowserSendsTextsAsTheyAre(t *testing.T) {
	c := newCutter(t, start(t, clientConfig))
	w := c.page(t)
	for _, path := range []string{"/sum/say", "/blocked/say"} {
		c.enter(t, w, path, "{}")
		if got := w.run(`new Promise(done => {
			for (const type of ["reply", "error"]) room.addEventListener(type, e => done(e.data.replace(/.*"total":/, "") + typeof e.detail.total));
			room.say("123456789012345678901234567890");
		})`); got != "123456789012345678901234567890}number" {
			t.Errorf("%s: %s", path, got)
		}
		if got := w.run(`new Promise(done => {
			room.addEventListener("error", e => done(e.detail.error));
			room.say("six");
		})`); got != "not a number" {
			t.Errorf("%s: a refusal is told as %s", path, got)
		}
		if got := w.run(`(() => { room.close(); try { room.say("1"); return ""; } catch (e) { return e.code; } })()`); got != "closed" {
			t.Errorf("%s: after the end: %s", path, got)
		}
	}
	c.enter(t, w, "/echo", `{protocol: ""}`)
	if got := w.run(`new Promise(done => {
		room.addEventListener("text", e => done(e.detail.constructor.name + e.detail.byteLength));
		room.say(new Uint8Array(3));
	})`); got != "ArrayBuffer3" {
		t.Errorf("a binary message is %s", got)
	}
}
