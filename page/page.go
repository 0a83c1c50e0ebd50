// Package page is what a browser shows that opens the URL of a WebSocket.
//
// There are three kinds: the page that comes with this module ([New]), a page that an
// app brings ([Own]), and a file of the site ([Open]). Each is one [Document].
//
// # The page of this module
//
// It is one document without anything beside it: no build step, no library, no
// request but the WebSocket to its own URL. Its parts are files of this folder:
// page.html, style.css, and a script for each thing that is shown or done. They are
// put together when the program starts.
//
// What it shows depends on what the app says: a total and its curve, a meter with its
// folds, keys and alerts, a table of any other state, or the list of messages; and to
// all a box to send from. **What comes over the wire is only ever text**: the document
// writes no HTML, and its Content-Security-Policy, which names its one script and its
// one style by hash, would let none run.
package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html"
)

// Options are what the page of this module is told. They become attributes of its body,
// escaped, so that the script is the same for all and one hash names it.
type Options struct {
	// Title stands above what is shown. Empty: the last part of the URL's path.
	Title string
	// Unit stands behind numbers. Empty: none.
	Unit string
	// TextOnly has the page not offer the subprotocol json. It would connect without
	// it if that failed, but such a second attempt is an entry in the browser's console
	// and, at the app, a visitor that leaves at once.
	TextOnly bool
	// Answers tells that the app only answers the sender. The page then lists what was
	// sent as well: nothing of it comes back otherwise.
	Answers bool
	// ReadOnly tells that the visitor may send nothing.
	ReadOnly bool
}

// New returns the page of this module.
func New(o Options) *Document {
	subprotocol, answers, readOnly := "json", "", ""
	if o.TextOnly {
		subprotocol = ""
	}
	if o.Answers {
		answers = "yes"
	}
	if o.ReadOnly {
		readOnly = "yes"
	}
	text := source
	for _, attribute := range []struct{ name, value string }{
		{"subprotocol", subprotocol}, {"answers", answers}, {"readonly", readOnly}, {"title", o.Title}, {"unit", o.Unit},
	} {
		empty := `data-` + attribute.name + `=""`
		full := `data-` + attribute.name + `="` + html.EscapeString(attribute.value) + `"`
		text = bytes.Replace(text, []byte(empty), []byte(full), 1)
	}
	return newDocument(text, policy)
}

//go:embed page.html style.css *.js
var parts embed.FS

// scripts are the parts of the one script, in this order. All share one scope: what
// runs at once, and not when it is called, uses only what stands before it.
var scripts = []string{
	"screen.js", "numbers.js", "connection.js", "sending.js", "receiving.js", "own.js", "messages.js", "state.js",
	"values.js", "chart.js", "rate.js", "meter.js", "bars.js", "alerts.js", "table.js", "drawing.js", "title.js", "start.js",
}

// source is the whole document, without options.
var source = assemble()

// assemble puts the style and the script where page.html has their empty elements.
func assemble() []byte {
	script := []byte("\n\"use strict\";\n")
	for _, name := range scripts {
		script = append(append(script, '\n'), part(name)...)
	}
	text := bytes.Replace(part("page.html"), []byte("<style>"), append([]byte("<style>\n"), part("style.css")...), 1)
	return bytes.Replace(text, []byte("<script>"), append([]byte("<script>"), script...), 1)
}

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
	"; script-src " + hash(source, "script") +
	"; style-src " + hash(source, "style") +
	"; img-src data:" + // the icon
	"; connect-src 'self'" +
	"; frame-ancestors 'none'; base-uri 'none'; form-action 'none'" +
	"; require-trusted-types-for 'script'; trusted-types 'none'"

// hash returns the hash source of the inline element with this name.
func hash(document []byte, element string) string {
	_, rest, _ := bytes.Cut(document, []byte("<"+element+">"))
	text, _, _ := bytes.Cut(rest, []byte("</"+element+">"))
	sum := sha256.Sum256(text)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
