package caddyws

import (
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// serveEvents makes the client a member that only listens (Server-Sent Events,
// HTML standard section 9.2). It returns when the stream has ended.
func (h *Handler) serveEvents(w http.ResponseWriter, r *http.Request, room string) error {
	header := w.Header()
	header.Set("Content-Type", string(typeEvents))
	header.Set("Cache-Control", "no-store")
	if r.Method == http.MethodHead {
		return nil
	}
	v := h.visitor(r, room)
	v.Subprotocol = ""
	v.LastEventID = r.Header.Get("Last-Event-ID")
	member, err := h.hub.JoinEvents(r.Context(), h.route, v)
	if err != nil {
		header.Del("Content-Type")
		return h.refuseVisitor(w, err)
	}
	started := false
	defer abandonUnless(&started, member)
	defer withoutIdleTimeouts(r)()
	header.Set("X-Accel-Buffering", "no") // proxies in front must not hold events back
	w.WriteHeader(http.StatusOK)
	started = true
	member.ServeEvents(w, r)
	return nil
}

// withoutIdleTimeouts keeps Caddy from ending a request for being silent, and
// returns what puts its timeouts back.
func withoutIdleTimeouts(r *http.Request) (restore func()) {
	const ever = 100 * 365 * 24 * time.Hour // 0 would mean at once
	reader, writer := caddyhttp.IdleTimeoutsFromContext(r.Context())
	restore = func() {}
	if reader != nil {
		restore = reader.Override(ever, 0)
	}
	if writer != nil {
		restoreReader := restore
		restoreWriter := writer.Override(ever, 0, 0)
		restore = func() { restoreWriter(); restoreReader() }
	}
	return restore
}
