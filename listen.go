package caddyws

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/room"
)

// The parameters of a URL by which a client that stays says which events it is to be told:
// the names that it claims, and what it has seen before.
const (
	claimParameter = "claim"
	afterParameter = "after"
)

// lastEventID is the header by which an EventSource that comes back says what it has seen.
// It goes before the parameter, which is that of the first request.
const lastEventID = "Last-Event-ID"

var errAfter = errors.New("there is more than one parameter " + afterParameter)

// listen completes a visitor that stays. Where nothing is kept an app may use the parameters
// for itself, and without state that for claims.
func (h *Handler) listen(v *room.Visitor) (err error) {
	if _, stateful := h.app.(apps.Stateful); stateful {
		v.Claims = v.Handshake.Query[claimParameter]
	}
	if !h.route.Stores() {
		return nil
	}
	if err := room.CheckClaims(v.Claims); err != nil {
		return badParameter(claimParameter, err)
	}
	if v.ReadOnly && len(v.Claims) > 0 {
		return caddyhttp.Error(http.StatusForbidden, errReadOnly)
	}
	if v.Seen, err = afterOf(v.Handshake.Query); err != nil {
		return err
	}
	if id := v.Handshake.Header.Get(lastEventID); v.Events && id != "" {
		v.Seen, _ = room.ParseSeen(id) // another server's stands for a point in another life
	}
	return nil
}

func badParameter(name string, err error) error {
	return caddyhttp.Error(http.StatusBadRequest, errors.New("parameter "+name+": "+err.Error()))
}
