// Package page is what a browser shows that opens the URL of a WebSocket.
//
// There are three kinds: the page that comes with this module ([New]), a page that an
// app brings ([Own]), and a file of the site ([Open]). Each is one [Document].
//
// # The page of this module
//
// It is one document without anything beside it: no build step, no library, no
// request but those to the room at its own URL. Its parts are files of this folder:
// page.html, style.css, and a script for each thing that is shown or done. They are
// put together when the program starts, with the client for browsers (client/browser)
// before them: it makes the connection, and makes it again.
//
// What it shows depends on what the app says: a total and its curve, a meter with its
// folds, keys and alerts, a table of any other state, or the list of messages; who is
// there, if the room tells; and a box to send from to those who may. **What comes over the
// wire is only ever text**: the document writes no HTML, and its Content-Security-Policy,
// which names its one script and its one style by hash, would let none run.
package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html"

	"github.com/caddyws/caddy-websocket/client/browser"
)

// Options are what the page of this module is told. They become attributes of its body,
// escaped, so that the script is the same for all and one hash names it.
type Options struct {
	// Title stands above what is shown. Empty: the last part of the URL's path.
	Title string
	// Unit stands behind numbers. Empty: none.
	Unit string
	// TextOnly has the page not speak the subprotocol json, which the app does not have.
	TextOnly bool
	// Chat tells that the app takes {"data": "…"} in the subprotocol json, and passes it on.
	Chat bool
	// Answers tells that the app only answers the sender. The page then lists what was
	// sent as well: nothing of it comes back otherwise.
	Answers bool
	// ReadOnly tells that the visitor may send nothing.
	ReadOnly bool
}

// New returns the page of this module.
func New(o Options) *Document {
	text := source
	for _, attribute := range []struct{ name, value string }{
		{"subprotocol", wordIf(!o.TextOnly, "json")}, {"chat", wordIf(o.Chat, "yes")}, {"answers", wordIf(o.Answers, "yes")},
		{"readonly", wordIf(o.ReadOnly, "yes")}, {"title", o.Title}, {"unit", o.Unit},
	} {
		empty := `data-` + attribute.name + `=""`
		full := `data-` + attribute.name + `="` + html.EscapeString(attribute.value) + `"`
		text = bytes.Replace(text, []byte(empty), []byte(full), 1)
	}
	return newDocument(text, policy)
}

// wordIf returns a word, or nothing if it does not apply.
func wordIf(applies bool, word string) string {
	if applies {
		return word
	}
	return ""
}

//go:embed page.html style.css *.js
var parts embed.FS

// scripts are the parts of the one script, in this order, behind the client for browsers.
// All share one scope: what runs at once, and not when it is called, uses only what stands
// before it.
var scripts = []string{
	"screen.js", "numbers.js", "connection.js", "presence.js", "sending.js", "receiving.js", "own.js", "chat.js", "messages.js", "state.js",
	"values.js", "chart.js", "rate.js", "meter.js", "bars.js", "alerts.js", "table.js", "drawing.js", "title.js", "start.js",
}

// source is the whole document, without options.
var source = assemble()

// assemble puts the style and the script where page.html has their empty elements.
func assemble() []byte {
	script := append([]byte("\n"), browser.Module()...)
	for _, name := range scripts {
		script = append(append(script, '\n'), part(name)...)
	}
	text := bytes.Replace(part("page.html"), []byte("<style>"), append([]byte("<style>\n"), part("style.css")...), 1)
	return bytes.Replace(text, []byte(scriptTag), append([]byte(scriptTag), script...), 1)
}

// scriptTag begins the script. It is a module, as the client is.
const scriptTag = `<script type="module">`

// part returns an embedded file.
func part(name string) []byte {
	text, err := parts.ReadFile(name)
	if err != nil {
		panic(err) // a list above names what is not there: no test passes then
	}
	return text
}

// policy is the Content-Security-Policy. 'self' covers the WebSocket: an http source
// matches ws of the same host and port, https wss (CSP 3). Trusted types turn each way
// from text to HTML into an error.
var policy = "default-src 'none'" +
	"; script-src " + hash(source, scriptTag, "</script>") +
	"; style-src " + hash(source, "<style>", "</style>") +
	"; img-src data:" + // the icon
	"; connect-src 'self'" +
	"; frame-ancestors 'none'; base-uri 'none'; form-action 'none'" +
	"; require-trusted-types-for 'script'; trusted-types 'none'"

// hash returns the hash source of the inline element between two tags.
func hash(document []byte, begin, end string) string {
	_, rest, _ := bytes.Cut(document, []byte(begin))
	text, _, _ := bytes.Cut(rest, []byte(end))
	sum := sha256.Sum256(text)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
