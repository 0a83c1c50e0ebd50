package blackbox

import (
	"net/url"
	"testing"
	"time"
)

const rightsConfig = `:PORT {
	websocket /sum sum {
		write query role=writer
		expires {query.until} optional
		page
	}
	websocket /late sum {
		write header Accept *text/html*
		page
	}
}`

// sending tells what there is to send with: whether it is disabled, and what is said instead.
const sending = `[...document.querySelectorAll("#text, #send, #one")].map(e => e.disabled).join() + " " + document.getElementById("reading").textContent`

// A visitor that may not send sees so from the beginning, and goes on seeing what others do.
func TestPageOfAReader(t *testing.T) {
	browser := chromium(t)
	s := start(t, rightsConfig)
	reader, writer := openWindow(t, browser, s.url("/sum")), openWindow(t, browser, s.url("/sum?role=writer"))
	reader.waitFor("state", "Live")
	writer.waitFor("state", "Live")
	writer.waitFor("value", "0")
	writer.send("6")
	reader.waitFor("value", "6")
	writer.waitFor("value", "6")
	if got, want := reader.run(sending), "true,true,true You can read here, but not send."; got != want {
		t.Errorf("the reader has %q, want %q", got, want)
	}
	if got, want := writer.run(sending), "false,false,false "; got != want {
		t.Errorf("the writer has %q, want %q", got, want)
	}
}

// One that was thought to be able to send learns it from the first answer.
func TestPageOfAReaderThatTries(t *testing.T) {
	browser := chromium(t)
	s := start(t, rightsConfig)
	w := openWindow(t, browser, s.url("/late"))
	w.waitFor("state", "Live")
	w.waitFor("value", "0")
	if got, want := w.run(sending), "false,false,false "; got != want {
		t.Errorf("before: %q, want %q", got, want)
	}
	w.send("6")
	w.waitFor("reading", "You can read here, but not send.")
	w.waitFor("notice", "")
	if got, want := w.run(sending), "true,true,true You can read here, but not send."; got != want {
		t.Errorf("after: %q, want %q", got, want)
	}
}

// When the permission ends the page says so, and does not come back unasked. A page that was too
// slow to be there before is refused, which it says otherwise: then it is given more time.
func TestPageOfAPermissionThatEnds(t *testing.T) {
	browser := chromium(t)
	s := start(t, rightsConfig)
	const want = "Your permission to be here has ended. Load the page again to ask for another."
	why := ""
	for lasts := 4 * time.Second; why != want && lasts < patience; lasts *= 2 {
		until := time.Now().Add(lasts).Format(time.RFC3339Nano)
		w := openWindow(t, browser, s.url("/sum?until="+url.QueryEscape(until)))
		w.waitFor("state", "Closed")
		why = w.run(`document.getElementById("why").textContent`)
	}
	if why != want {
		t.Errorf("closed since %q", why)
	}
}
