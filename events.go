package caddyws

import (
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/tally"
)

// subprotocolParameter is the parameter of a URL by which an event stream, or a POST, has
// the messages of a subprotocol: an EventSource has no other way to ask for one.
const subprotocolParameter = "subprotocol"

// askedSubprotocol returns the subprotocol json if the request asks for it.
func (h *Handler) askedSubprotocol(r *http.Request) (string, error) {
	asked := parseQuery(r.URL)[subprotocolParameter]
	switch {
	case len(asked) == 0:
		return "", nil
	case slices.Equal(asked, []string{message.Subprotocol}) && h.speaksJSON():
		return message.Subprotocol, nil
	}
	return "", caddyhttp.Error(http.StatusNotAcceptable, errSubprotocol)
}

// serveEvents makes the client a member that only listens (Server-Sent Events,
// HTML standard section 9.2). It returns when the stream has ended.
func (h *Handler) serveEvents(w http.ResponseWriter, r *http.Request, room string) error {
	subprotocol, err := h.askedSubprotocol(r)
	if err != nil {
		return err
	}
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	asks := r.Method == http.MethodHead // and is no handshake
	v, err := h.visitor(r, room)
	if err == nil {
		v.Events, v.Subprotocol = true, subprotocol
		err = h.listen(&v)
	}
	if err != nil {
		if !asks {
			h.countRefusal(err)
		}
		return err
	}
	if asks {
		header.Set("Content-Type", string(typeEvents))
		return nil
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
