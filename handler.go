package caddyws

import (
	"errors"
	"maps"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/handshake"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/socket"
	"github.com/caddyws/caddy-websocket/tally"
)

// ServeHTTP lets a client in, over the transport it asks for, or hands its request
// on. Errors before an answer has begun are Caddy's to answer, so that
// handle_errors works; after it there is nothing to answer with.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if h.HTTP == httpPass && !isWebSocket(r) {
		return next.ServeHTTP(w, r)
	}
	err := h.serve(w, r)
	if e, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
		leaveBody(w, r)
		if isWebSocket(r) {
			h.countRefusal(e)
		} else {
			h.route.Tally.Refusal(resultFor(e))
		}
		e = h.refused(r, e)
		if explains(r, e) {
			return h.explain(w, r, e.StatusCode)
		}
		return e
	}
	return err
}

// isWebSocket reports whether a request asks for a WebSocket, over whatever
// version of HTTP.
func isWebSocket(r *http.Request) bool {
	if r.Method == http.MethodConnect {
		return handshake.IsConnect(r)
	}
	return handshake.IsUpgrade(r)
}

// serve lets a client in over the transport it asks for.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request) error {
	switch {
	case refusedForNow.refusesRequest(r):
		return caddyhttp.Error(http.StatusForbidden, errBanned)
	case isWebSocket(r):
		return h.serveUpgrade(w, r)
	case r.Method == http.MethodConnect:
		return caddyhttp.Error(http.StatusNotImplemented, errConnect)
	case h.HTTP == httpOff:
		return refuse(w, notUpgrade(r, errNotUpgrade))
	}
	return h.servePlain(w, r)
}

// serveUpgrade lets in a client that wants a WebSocket.
func (h *Handler) serveUpgrade(w http.ResponseWriter, r *http.Request) error {
	if err := handshake.Check(r); err != nil {
		return refuse(w, err)
	}
	if err := h.origins.check(r); err != nil {
		return caddyhttp.Error(http.StatusForbidden, err)
	}
	room, err := h.roomName(r)
	if err != nil {
		return caddyhttp.Error(http.StatusBadRequest, err)
	}
	v, err := h.visitor(r, room)
	if err != nil {
		return err
	}
	v.Subprotocol = handshake.Subprotocol(r, h.subprotocols)
	if err := h.listen(&v); err != nil {
		return err
	}
	member, err := h.join(r, v)
	if err != nil {
		return h.refuseVisitor(w, err)
	}
	return h.upgrade(w, r, member)
}

// join lets a visitor into its room, unless an operator has refused it meanwhile: then it
// may not have been there yet when the connections were closed.
func (h *Handler) join(r *http.Request, v room.Visitor) (*hub.Connection, error) {
	member, err := h.hub.Join(r.Context(), h.route, v)
	if err == nil && refusedForNow.refuses(v.User, v.ClientIP) {
		member.Abandon()
		return nil, errBanned
	}
	if err == nil {
		nameInAccessLog(r, member)
	}
	return member, err
}

// nameInAccessLog has the line about a request name its connection, as the line about the
// end of the connection does. It costs nothing where there is no access log.
func nameInAccessLog(r *http.Request, member *hub.Connection) {
	server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || server.Logs == nil {
		return
	}
	if extra, ok := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
		extra.Add(zap.String("connection_id", member.ID()))
	}
}

// upgrade answers 101, or 200 to a CONNECT. From then on the connection is the
// hub's; a stream of HTTP/2 or 3 is served before returning, as it must be.
func (h *Handler) upgrade(w http.ResponseWriter, r *http.Request, member *hub.Connection) error {
	started := false
	defer abandonUnless(&started, member)
	if handshake.IsConnect(r) {
		defer streams.enter(h.shared, member.Member, r)()
		defer withoutTimeouts(w, r)()
		r.Body = wholeBody(r)
	}
	offer := handshake.Offer{Subprotocols: h.subprotocols, Compression: h.CompressionLevel > 0, Takeover: h.CompressionTakeover}
	up, err := handshake.Upgrade(w, r, offer)
	if err != nil {
		if _, ok := errors.AsType[*handshake.Error](err); ok {
			return refuse(w, err)
		}
		logger().Debug("client left during the handshake", zap.Error(err))
		h.route.Tally.Handshake("client_left")
		return nil
	}
	started = true
	h.route.Tally.Handshake(tally.Accepted)
	if up.Conn == nil {
		member.ServeStream(w, r, up.Deflate)
		return nil
	}
	member.Start(socket.Transport{Conn: unwrap(up.Conn), Buffered: up.Buffered, Deflate: up.Deflate})
	return nil
}

// abandonUnless takes a member back whose connection has not started: whoever
// else writes the answer may panic.
func abandonUnless(started *bool, member *hub.Connection) {
	if !*started {
		member.Abandon()
	}
}

var (
	errNotUpgrade = errors.New("this is a WebSocket endpoint: the request asks for no upgrade")
	errConnect    = errors.New("the protocol asked for by CONNECT is not websocket")
)

// notUpgrade refuses a request, for a reason, that could have been an upgrade.
// HTTP/2 and 3 forbid the headers that say so (RFC 9113, section 8.2.2).
func notUpgrade(r *http.Request, reason error) error {
	refused := &handshake.Error{Status: http.StatusUpgradeRequired, Err: reason}
	if r.ProtoMajor == 1 {
		refused.Header = http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}}
	}
	return refused
}

// refuse returns a handshake error as Caddy answers it, with its headers.
func refuse(w http.ResponseWriter, err error) error {
	var refused *handshake.Error
	if !errors.As(err, &refused) {
		return caddyhttp.Error(http.StatusBadRequest, err)
	}
	maps.Copy(w.Header(), refused.Header)
	return caddyhttp.Error(refused.Status, err)
}

// visitor is what the hub is told of a client, unless it may do nothing.
func (h *Handler) visitor(r *http.Request, roomName string) (room.Visitor, error) {
	rights, err := h.judge(r)
	return room.Visitor{
		Rights:    rights,
		Room:      roomName,
		ClientIP:  clientIP(r),
		User:      userOf(r),
		Handshake: apps.Handshake{Header: r.Header, Query: parseQuery(r.URL)},
	}, err
}

// userOf is the user that an authentication handler has found, or empty.
func userOf(r *http.Request) string {
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	user, _ := repl.GetString("http.auth.user.id")
	return user
}

// clientIP is the client's address as Caddy sees it, behind trusted proxies too.
func clientIP(r *http.Request) string {
	ip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	return ip
}

// retryAfter is the advice to a client that is refused for the moment, in
// seconds.
const retryAfter = "5"

// speaksJSON reports whether the app has the subprotocol json.
func (h *Handler) speaksJSON() bool { return slices.Contains(h.subprotocols, message.Subprotocol) }

// refuseVisitor returns why the hub does not let a client in, as Caddy answers it.
func (h *Handler) refuseVisitor(w http.ResponseWriter, err error) error {
	switch {
	case errors.Is(err, room.ErrForbidden), errors.Is(err, errBanned):
		return caddyhttp.Error(http.StatusForbidden, err)
	case errors.Is(err, room.ErrFailed):
		return caddyhttp.Error(http.StatusInternalServerError, err)
	}
	w.Header().Set("Retry-After", retryAfter)
	if errors.Is(err, hub.ErrTooManyForClient) {
		return caddyhttp.Error(http.StatusTooManyRequests, err)
	}
	return caddyhttp.Error(http.StatusServiceUnavailable, err)
}
