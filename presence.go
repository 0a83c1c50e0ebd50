package caddyws

import (
	"bytes"
	"errors"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyws/caddy-websocket/options"
	"github.com/caddyws/caddy-websocket/route"
)

// Bounds and default of the grace of the option presence.
const (
	defaultGrace = caddy.Duration(10 * time.Second)
	maxGrace     = caddy.Duration(time.Hour)
)

// presenceParameter is the parameter of a URL by which a GET asks who is there.
const presenceParameter = "presence"

var errNoPresence = errors.New("the route does not tell who is there: it has no option presence")

// parsePresence reads `presence [<grace>]`.
func (h *Handler) parsePresence(d *caddyfile.Dispenser) error {
	h.Presence = true
	if d.CountRemainingArgs() == 0 {
		return nil
	}
	return options.Duration(&h.PresenceGrace)(d)
}

// setPresenceDefault sets how long users may be away.
func (h *Handler) setPresenceDefault() {
	if h.Presence {
		setDefault(&h.PresenceGrace, defaultGrace)
	}
}

// checkPresence refuses a grace that is too long, too short or of no use.
func (h *Handler) checkPresence() error {
	switch {
	case h.Presence:
		return duration("presence_grace", h.PresenceGrace, maxGrace)
	case h.PresenceGrace != 0:
		return errors.New("presence_grace is of no use without presence")
	}
	return nil
}

func (h *Handler) presence() route.Presence {
	return route.Presence{On: h.Presence, Grace: time.Duration(h.PresenceGrace)}
}

// servePresence tells who is in the room.
func (h *Handler) servePresence(w http.ResponseWriter, r *http.Request, room string) error {
	if _, err := h.judge(r); err != nil {
		return err
	}
	if !h.Presence {
		return caddyhttp.Error(http.StatusNotFound, errNoPresence)
	}
	people, err := h.hub.Presence(r.Context(), h.route, room)
	if err != nil {
		return h.refuseVisitor(w, err)
	}
	header := w.Header()
	header.Set("Content-Type", typeJSON.contentType())
	header.Set("Cache-Control", "no-store")
	_, _ = bytes.NewReader(people).WriteTo(w) // of which a HEAD leaves nothing; and a client that is gone needs none
	return nil
}
