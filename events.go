package caddyws

import (
	"net/http"

	"github.com/caddyws/caddy-websocket/tally"
)

// serveEvents makes the client a member that only listens (Server-Sent Events,
// HTML standard section 9.2). It returns when the stream has ended.
func (h *Handler) serveEvents(w http.ResponseWriter, r *http.Request, room string) error {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	v, err := h.visitor(r, room)
	if err != nil {
		h.countRefusal(err)
		return err
	}
	if r.Method == http.MethodHead {
		header.Set("Content-Type", string(typeEvents))
		return nil
	}
	v.Events = true
	if err := h.listen(&v); err != nil {
		h.countRefusal(err)
		return err
	}
	member, err := h.join(r, v)
	if err != nil {
		err = h.refuseVisitor(w, err)
		h.countRefusal(err)
		return err
	}
	header.Set("Content-Type", string(typeEvents))
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
