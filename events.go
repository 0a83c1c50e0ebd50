package caddyws

import (
	"net/http"

	"github.com/caddyws/caddy-websocket/tally"
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
	v.Events = true
	if err := h.listen(&v); err != nil {
		header.Del("Content-Type")
		return err
	}
	member, err := h.join(r, v)
	if err != nil {
		header.Del("Content-Type")
		err = h.refuseVisitor(w, err)
		h.countRefusal(err)
		return err
	}
	started := false
	defer abandonUnless(&started, member)
	defer streams.enter(h.shared, member.Member, r)()
	defer withoutTimeouts(w, r)()
	header.Set("X-Accel-Buffering", "no") // proxies in front must not hold events back
	w.WriteHeader(http.StatusOK)
	started = true
	h.route.Tally.Handshake(tally.Accepted)
	member.ServeEvents(w, r)
	return nil
}
