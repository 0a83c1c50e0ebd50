// Package browser is the client for browsers: an ES module, client.js, that a page
// imports from the URL of a room. It needs no build step and no library.
//
// A WebSocket of a browser does not come back when it is cut, and does not notice that
// it is dead. The module's Room does both, and keeps what the server promises: each
// message has an id and is sent again under it until it is answered, so that it counts
// once; events that were missed are asked for by the last point; those that come twice
// are told once. Where WebSockets are blocked it uses an event stream, and POST.
package browser

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"net/http"
	"time"
)

//go:embed client.js
var module []byte

var etag = func() string {
	sum := sha256.Sum256(module)
	return `"client-` + hex.EncodeToString(sum[:12]) + `"`
}()

// Module returns the text of the module. It must not be changed.
func Module() []byte { return module }

// ServeHTTP answers a GET or HEAD with the module.
func ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", "text/javascript; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-cache")
	header.Set("ETag", etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(module)) // HEAD and 304 too
}
