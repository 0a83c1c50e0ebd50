package caddyws

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// withoutTimeouts keeps Caddy's timeouts from ending a request that lives as a
// connection does: an event stream, or a WebSocket on a stream of HTTP/2 or 3. A
// hijacked connection has none of them either. It must be called before anything
// is read or written, and the function that it returns, which gives Caddy its
// idle timeouts back, when nothing is any more.
//
// Caddy's readers and writers set a deadline before whatever they do, never later
// than their HardDeadline, which read_body and write are. The servers have
// deadlines of their own where those are missing.
func withoutTimeouts(w http.ResponseWriter, r *http.Request) (restore func()) {
	const ever = 100 * 365 * 24 * time.Hour // 0 would mean at once
	restore = func() {}
	reader, writer := caddyhttp.IdleTimeoutsFromContext(r.Context())
	if reader != nil {
		reader.Deadline.HardDeadline = time.Time{}
		restore = reader.Override(ever, 0)
	}
	if writer != nil {
		writer.Deadline.HardDeadline = time.Time{}
		restoreReader, restoreWriter := restore, writer.Override(ever, 0, 0)
		restore = func() { restoreWriter(); restoreReader() }
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // a writer that cannot has none
	_ = control.SetWriteDeadline(time.Time{})
	return restore
}

// wholeBody is the body of r without the bound that Caddy's request_body sets to
// it, which is meant for a request that ends: what a WebSocket may say is bounded
// message by message.
func wholeBody(r *http.Request) io.ReadCloser {
	reader, _ := caddyhttp.IdleTimeoutsFromContext(r.Context())
	if reader != nil && fmt.Sprintf("%T", r.Body) == "requestbody.errorWrapper" {
		return reader
	}
	return r.Body
}
