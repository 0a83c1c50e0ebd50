// Package page is the live page: what a browser shows that opens the URL of a
// WebSocket.
//
// It is one document without anything beside it: no build step, no library, no
// request but the WebSocket to its own URL. Its parts are files of this folder:
// page.html, style.css, and a script for each thing that is shown or done. They are
// put together when the program starts.
//
// To a state app it shows the value and its curve, to a message app the list of
// messages, to both a box to send from. **What comes over the wire is only ever
// text**: the document writes no HTML, and its Content-Security-Policy, which names
// its one script and its one style by hash, would let none run.
package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"time"
)

//go:embed page.html style.css *.js
var parts embed.FS

// scripts are the parts of the one script, in this order. All share one scope: what
// runs at once, and not when it is called, uses only what stands before it.
var scripts = []string{
	"screen.js", "numbers.js", "connection.js", "sending.js", "receiving.js", "values.js", "chart.js", "messages.js",
	"drawing.js", "title.js", "start.js",
}

// source is the whole document.
var source = assemble()

// assemble puts the style and the script where page.html has their empty elements.
func assemble() []byte {
	script := []byte("\n\"use strict\";\n")
	for _, name := range scripts {
		script = append(append(script, '\n'), part(name)...)
	}
	html := bytes.Replace(part("page.html"), []byte("<style>"), append([]byte("<style>\n"), part("style.css")...), 1)
	return bytes.Replace(html, []byte("<script>"), append([]byte("<script>"), script...), 1)
}

// part returns an embedded file.
func part(name string) []byte {
	text, err := parts.ReadFile(name)
	if err != nil {
		panic(err) // the test would not have passed
	}
	return text
}

// document is the page as it is sent.
type document struct {
	html []byte
	etag string
}

var (
	withJSON = newDocument(source)
	textOnly = newDocument(bytes.Replace(source, []byte(`data-subprotocol="json"`), []byte(`data-subprotocol=""`), 1))
)

func newDocument(html []byte) document {
	sum := sha256.Sum256(html)
	return document{html, `"page-` + hex.EncodeToString(sum[:12]) + `"`}
}

// policy is the Content-Security-Policy. 'self' covers the WebSocket: an http
// source matches ws of the same host and port, https wss (CSP 3). Trusted types turn each way from text to HTML into an error.
var policy = "default-src 'none'" +
	"; script-src " + hash("script") +
	"; style-src " + hash("style") +
	"; img-src data:" + // the icon
	"; connect-src 'self'" +
	"; frame-ancestors 'none'; base-uri 'none'; form-action 'none'" +
	"; require-trusted-types-for 'script'; trusted-types 'none'"

// hash returns the hash source of the inline element with this name.
func hash(element string) string {
	_, rest, _ := bytes.Cut(source, []byte("<"+element+">"))
	text, _, _ := bytes.Cut(rest, []byte("</"+element+">"))
	sum := sha256.Sum256(text)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// Serve answers a GET or HEAD with the page of an app that speaks the
// subprotocol json. The page offers it, and connects without it if that fails;
// such a second attempt is an entry in the browser's console and, at the app, a
// visitor who leaves at once. So an app that speaks text has ServeText.
func Serve(w http.ResponseWriter, r *http.Request) { withJSON.serve(w, r) }

// ServeText answers with the page of an app without the subprotocol json.
func ServeText(w http.ResponseWriter, r *http.Request) { textOnly.serve(w, r) }

func (d document) serve(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-cache")
	header.Set("ETag", d.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(d.html)) // HEAD and 304 too
}
