package blackbox

import (
	"fmt"
	"strings"
	"testing"
)

const chatConfig = `:PORT {
	websocket /sum/* {
		app broadcast
		room {path}
		history 100
		page
	}
}`

// gapOfChat is what the page says of a gap.
const gapOfChat = "Some messages are missing here: they are not kept any more."

// What a room has kept is shown to who joins, the oldest first, with the time when it was
// said. After a cut nothing is shown twice and nothing is missing.
func TestPageShowsTheHistory(t *testing.T) {
	browser := chromium(t)
	s := start(t, chatConfig)
	c := newCutter(t, s)
	for i := range 60 {
		s.ask(t, "POST", "/sum/a", fmt.Sprint("message ", i))
	}
	w := openWindow(t, browser, c.url("/sum/a"))
	w.waitFor("state", "Live")
	var want []string
	for i := 10; i < 60; i++ { // the newest 50
		want = append(want, fmt.Sprint("message ", i))
	}
	w.waitForMessages(strings.Join(want, "|"))
	if got := w.run(`[...document.querySelectorAll("#messages time")].map(e => String(Date.parse(e.dateTime) > 0)).join()`); got != strings.TrimSuffix(strings.Repeat("true,", 50), ",") {
		t.Errorf("the times are %s", got)
	}
	for i := range 3 {
		w.send(fmt.Sprint("mine ", i))
		c.cut()
		s.ask(t, "POST", "/sum/a", fmt.Sprint("meanwhile ", i))
		w.waitFor("state", "Live")
		w.texts("#messages .own span", strings.Join([]string{"mine 0", "mine 1", "mine 2"}[:i+1], "|"))
		until(t, "what was said meanwhile", func() bool {
			return w.run(`String([...document.querySelectorAll("#messages span")].filter(e => e.textContent === "meanwhile `+fmt.Sprint(i)+`").length)`) == "1"
		})
	}
	if got := w.run(`String(document.querySelectorAll("#messages li").length)`); got != "56" {
		t.Errorf("%s messages are shown", got)
	}
	if h := s.history(t, "/sum/a?limit=100"); h.Last != 66 {
		t.Errorf("%d messages are kept", h.Last)
	}
}

// Whose a message is the server says: also that somebody else has said the same at the same
// time. Once a message of one's own is known, all of one's own are.
func TestPageKnowsWhoHasSaidWhat(t *testing.T) {
	browser := chromium(t)
	stage := newStageOf(t, chatConfig)
	w := openWindow(t, browser, stage.url)
	c := stage.connected(t)
	says := func(version int, from, data string) {
		c.say(t, fmt.Sprintf(`{"type":"message","epoch":"AAAAAAAA","version":%d,"from":%s,"time":"2026-01-02T03:04:05.678Z","data":"%s"}`, version, from, data))
	}
	c.say(t, `{"type":"state","epoch":"AAAAAAAA","version":0}`)
	w.waitFor("state", "Live")
	says(1, `{"id":"OLD","user":"ann"}`, "from home")
	w.send("Hello")
	says(2, `{"id":"OTHER"}`, "Hello")
	says(3, `{"id":"OTHER","user":"<b>bob"}`, "Hello")
	says(4, `{"id":"OWN","user":"ann"}`, "Hello")
	c.answer(t, `{"data":"Hello"}`, `{"type":"reply","epoch":"AAAAAAAA","version":4}`)
	w.waitForMessages("You from home|Hello|<b>bob Hello|You Hello")
	says(5, `{"id":"OWN","user":"ann"}`, "from another page of it")
	c.say(t, `{"type":"message","epoch":"AAAAAAAA","version":6,"time":"2026-01-02T03:04:05.678Z","binary":"AP8="}`)
	w.waitForMessages("You from home|Hello|<b>bob Hello|You Hello|You from another page of it|binary, 2 bytes: 00 ff")

	w.send("no")
	c.answer(t, `{"data":"no"}`, `{"type":"error","error":"message is too big to be kept","code":"too_big","retry":false}`)
	w.waitFor("notice", "Error: message is too big to be kept")
	w.send("not any more")
	c.answer(t, `{"data":"not any more"}`, `{"type":"error","error":"read only","code":"read_only","retry":false}`)
	w.waitFor("reading", "You can read here, but not send.")
	w.waitFor("notice", "")
	w.waitForMessages("You from home|Hello|<b>bob Hello|You Hello|You from another page of it|binary, 2 bytes: 00 ff")
}

// A gap, and a room that has begun anew, are told in words, in their place.
func TestPageTellsGaps(t *testing.T) {
	browser := chromium(t)
	stage := newStageOf(t, chatConfig)
	w := openWindow(t, browser, stage.url)
	c := stage.connected(t)
	says := func(epoch string, version int, data string) {
		c.say(t, fmt.Sprintf(`{"type":"message","epoch":"%s","version":%d,"time":"2026-01-02T03:04:05.678Z","data":"%s"}`, epoch, version, data))
	}
	c.say(t, `{"type":"state","epoch":"AAAAAAAA","version":0}`)
	says("AAAAAAAA", 1, "one")
	c.say(t, `{"type":"gap","epoch":"AAAAAAAA","oldest":9}`)
	c.say(t, `{"type":"state","epoch":"AAAAAAAA","version":8}`)
	says("AAAAAAAA", 9, "nine")
	c.end(t, 4000, "")
	c = stage.connected(t)
	c.say(t, `{"type":"gap","epoch":"BBBBBBBB","oldest":1}`)
	c.say(t, `{"type":"state","epoch":"BBBBBBBB","version":0}`)
	says("BBBBBBBB", 1, "another life")
	w.waitForMessages("one|" + gapOfChat + "|nine|This room has begun anew: messages from before are not kept.|another life")
}

// Users are listed by name, and guests by their number, in any kind of room.
func TestPageShowsWhoIsHere(t *testing.T) {
	browser := chromium(t)
	stage := newStage(t)
	w := openWindow(t, browser, stage.url)
	c := stage.enter(t)
	hidden := `String(document.getElementById("here").hidden)`
	w.waitFor("value", "5")
	if w.run(hidden) != "true" {
		t.Error("the page says who is here without having been told")
	}
	var crowd []string
	for i := range 14 {
		crowd = append(crowd, fmt.Sprintf(`{"user":"user %c","connections":1}`, 'a'+i))
	}
	for _, step := range []struct{ message, want string }{
		{`"event":"state","count":1,"members":[{"id":"A"}]`, "Only you are here"},
		{`"event":"change","count":3,"joined":[{"user":"bob","connections":1},{"user":"alice","connections":2}]`, "3 here: alice, bob, 1 guest"},
		{`"event":"change","count":4,"joined":[{"id":"B"},{"id":"C"}],"left":[{"user":"bob"}]`, "4 here: alice, 3 guests"},
		{`"event":"change","count":3,"left":[{"user":"alice"}]`, "3 here: 3 guests"},
		{`"event":"state","count":2,"members":[{"user":"<b>x","connections":1},{"user":"id A","connections":1}]`, "2 here: <b>x, id A"},
		{`"event":"state","count":3,"members":[{"user":"ann 10"},{"user":"ann 9"},{"user":"ann 1"}]`, "3 here: ann 1, ann 9, ann 10"},
		{`"event":"state","count":15,"members":[` + strings.Join(crowd, ",") + `,{"id":"A"}]`,
			"15 here: user a, user b, user c, user d, user e, user f, user g, user h, user i, user j, user k, user l, 3 more"},
		{`"event":"change","count":1200`, "1200 here"},
		{`"event":"state","count":300,"members":[{"user":"alice"},{"id":"A"}]`, "300 here: alice, 299 more"},
	} {
		c.say(t, `{"type":"presence",`+step.message+`}`)
		w.waitFor("here", step.want)
	}
	if w.run(hidden) != "false" {
		t.Error("the page does not show who is here")
	}
	if w.run(`(dispatchEvent(new Event("online")), `+hidden+`)`) != "false" {
		t.Error("the page forgets who is here when it has only slept")
	}
	stage.connected(t)
	w.waitFor("state", "Live")
	w.waitFor("here", "0 here")
	if w.run(hidden) != "true" {
		t.Error("the page says who is here when it does not know")
	}
}

// In a room that keeps nothing what is lost with a connection is shown so, and what is refused
// is not shown.
func TestPageOfARoomThatKeepsNothing(t *testing.T) {
	browser := chromium(t)
	stage := newStageOf(t, strings.Replace(chatConfig, "history 100", "", 1))
	w := openWindow(t, browser, stage.url)
	c := stage.connected(t)
	w.waitFor("state", "Live")
	w.expectsOwn()
	w.send("one")
	c.answer(t, `{"data":"one"}`, `{"type":"error","error":"this room keeps nothing","code":"stateless","retry":false}`)
	c.answer(t, `{"data":"one"}`, `{"type":"message","from":{"id":"OWN"},"time":"2026-01-02T03:04:05.678Z","data":"one"}`)
	w.waitForMessages("You one")
	w.waitFor("notice", "")
	w.send("two")
	c.answer(t, `{"data":"two"}`, `{"type":"error","error":"too fast","code":"busy","retry":true}`)
	w.waitFor("notice", "Error: too fast")
	w.send("three")
	c.answer(t, `{"data":"three"}`, "")
	c.end(t, 4000, "")
	stage.connected(t)
	w.waitFor("state", "Live")
	w.waitForMessages("You one|You, perhaps not sent three")
}
