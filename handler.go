package caddyws

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/socket"
)

// ServeHTTP lets a client in. Errors before the 101 are Caddy's to answer, so
// that handle_errors works; after it there is nothing to answer with.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	if err := checkRequest(r); err != nil {
		return refuse(w, err)
	}
	if err := h.origins.check(r); err != nil {
		return caddyhttp.Error(http.StatusForbidden, err)
	}
	room, err := h.roomName(r)
	if err != nil {
		return caddyhttp.Error(http.StatusBadRequest, err)
	}
	member, err := h.hub.Join(r.Context(), h.route, h.visitor(r, room))
	if err != nil {
		return h.refuseVisitor(w, err)
	}
	return h.upgrade(w, r, member)
}

// upgrade answers 101. From then on the connection is the hub's.
func (h *Handler) upgrade(w http.ResponseWriter, r *http.Request, member *hub.Member) error {
	up, err := socket.Upgrade(w, r, socket.Offer{Subprotocols: h.subprotocols})
	if err != nil {
		member.Abandon()
		var refused *socket.HandshakeError
		if errors.As(err, &refused) {
			return refuse(w, err)
		}
		logger().Debug("client left during the handshake", zap.Error(err))
		return nil
	}
	member.Start(socket.Unwrap(up.Conn), up.Buffered)
	return nil
}

var (
	errNotUpgrade = errors.New("this is a WebSocket endpoint: the request asks for no upgrade")
	errConnect    = errors.New("WebSocket over HTTP/2 and HTTP/3 is not supported")
)

// checkRequest judges everything about the handshake that concerns neither the
// route nor the room.
func checkRequest(r *http.Request) error {
	switch {
	case r.Method == http.MethodConnect:
		return &socket.HandshakeError{Status: http.StatusNotImplemented, Err: errConnect}
	case !socket.IsUpgrade(r):
		return notUpgrade(r)
	}
	return socket.CheckHandshake(r)
}

// notUpgrade answers a plain request: 426 to a GET, which could be upgraded.
func notUpgrade(r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return &socket.HandshakeError{
			Status: http.StatusMethodNotAllowed,
			Header: http.Header{"Allow": {"GET, HEAD"}},
			Err:    errNotUpgrade,
		}
	}
	return &socket.HandshakeError{
		Status: http.StatusUpgradeRequired,
		Header: http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}},
		Err:    errNotUpgrade,
	}
}

// refuse returns a handshake error as Caddy answers it, with its headers.
func refuse(w http.ResponseWriter, err error) error {
	var refused *socket.HandshakeError
	if !errors.As(err, &refused) {
		return caddyhttp.Error(http.StatusBadRequest, err)
	}
	for name, values := range refused.Header {
		w.Header()[name] = values
	}
	return caddyhttp.Error(refused.Status, err)
}

// visitor is what the hub is told of a client.
func (h *Handler) visitor(r *http.Request, room string) hub.Visitor {
	clientIP, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	user, _ := repl.GetString("http.auth.user.id")
	return hub.Visitor{
		Room:        room,
		ClientIP:    clientIP,
		User:        user,
		Subprotocol: socket.Subprotocol(r, h.subprotocols),
		Handshake:   apps.Handshake{Header: r.Header, Query: r.URL.Query()},
	}
}

func (h *Handler) refuseVisitor(w http.ResponseWriter, err error) error {
	if errors.Is(err, hub.ErrForbidden) {
		return caddyhttp.Error(http.StatusForbidden, err)
	}
	w.Header().Set("Retry-After", "5")
	return caddyhttp.Error(http.StatusServiceUnavailable, err)
}
