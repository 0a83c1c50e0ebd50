package caddyws

import (
	"cmp"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyws/caddy-websocket/handshake"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/room"
)

// reason is why requests are refused.
type reason struct {
	err    error         // its text is the reason; what it wraps is for the log only
	option string        // that decides it, if one does
	level  zapcore.Level // warn, where an option may keep out clients that are meant to come
	result string        // of the request, in the metrics; empty for one that is not counted by itself
}

// reasons are those that an option, the app or the engine decides.
var reasons = []reason{
	{errOrigin, "origins", zap.WarnLevel, "origin"},
	{errRoomName, "room", zap.WarnLevel, "room_name"},
	{errExpired, "expires", zap.InfoLevel, "expired"},
	{errExpires, "expires", zap.WarnLevel, "bad_expires"},
	{errWrite, "write", zap.ErrorLevel, "write_failed"},
	{errReadOnly, "write", zap.InfoLevel, "read_only"},
	{errTooFast, "message_rate", zap.WarnLevel, "message_rate"},
	{errTooBig, "max_message_size", zap.WarnLevel, "max_message_size"},
	{hub.ErrTooManyForClient, "max_connections_per_ip", zap.WarnLevel, "max_connections_per_ip"},
	{hub.ErrTooManyConnections, "max_connections", zap.WarnLevel, "max_connections"},
	{hub.ErrTooManyRooms, "max_rooms", zap.WarnLevel, "max_rooms"},
	{hub.ErrSwitched, "history", zap.InfoLevel, "closing"},
	{room.ErrUnavailable, "engine", zap.WarnLevel, "unavailable"},
	{errBanned, "", zap.InfoLevel, "banned"},
	{room.ErrForbidden, "app", zap.InfoLevel, "app"},
	{room.ErrFailed, "app", zap.ErrorLevel, "app_failed"},
	{errPage, "page", zap.ErrorLevel, ""},
	{errNotPure, "app", zap.InfoLevel, ""},
	{errNoEvents, "app", zap.InfoLevel, ""},
	{errSubprotocol, "app", zap.InfoLevel, ""},
	{errNoState, "app", zap.InfoLevel, ""},
	{errNoPresence, "presence", zap.InfoLevel, ""},
	{errNotUpgrade, "http", zap.InfoLevel, ""},
	{errConnect, "http", zap.InfoLevel, ""},
	{hub.ErrClosed, "", zap.InfoLevel, "closing"},
}

var errHandshake = errors.New("bad handshake")

// reasonFor finds the reason of an error. There are not many, whatever clients
// send.
func reasonFor(e caddyhttp.HandlerError) reason {
	for _, known := range reasons {
		if errors.Is(e.Err, known.err) {
			return known
		}
	}
	status := errors.New(strings.ToLower(http.StatusText(e.StatusCode)))
	if e.StatusCode >= http.StatusInternalServerError {
		return reason{err: status, level: zap.ErrorLevel}
	}
	if _, ok := errors.AsType[*handshake.Error](e.Err); ok {
		return reason{err: errHandshake, result: "bad_handshake"}
	}
	return reason{err: status}
}

// countRefusal counts a handshake that is refused with an error.
func (h *Handler) countRefusal(err error) {
	if e, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
		h.route.Tally.Handshake(resultFor(e))
	}
}

// resultFor is the result of a request that is refused, in the metrics.
func resultFor(e caddyhttp.HandlerError) string { return cmp.Or(reasonFor(e).result, "other") }

// refused writes down why a request is refused and returns what Caddy, and so
// handle_errors, is told of it: for a client's own mistake all that is known,
// else the reason only.
func (h *Handler) refused(r *http.Request, e caddyhttp.HandlerError) caddyhttp.HandlerError {
	why := reasonFor(e)
	if leftOut, ok := h.refusals.next(h.Name, why.err.Error(), time.Now()); ok {
		logger().Log(why.level, "request refused", h.describe(r, e, why, leftOut)...)
	}
	if e.StatusCode >= http.StatusInternalServerError || errors.Is(e.Err, why.err) {
		e.Err = why.err
	}
	return e
}

// describe returns the fields of the line about a refused request.
func (h *Handler) describe(r *http.Request, e caddyhttp.HandlerError, why reason, leftOut int) []zap.Field {
	fields := []zap.Field{
		zap.String("route", h.Name),
		zap.String("path", shown(r.URL.Path)),
		zap.String("reason", why.err.Error()),
		zap.Int("status", e.StatusCode),
		zap.String("client_ip", clientIP(r)),
	}
	if user := userOf(r); user != "" {
		fields = append(fields, zap.String("user", room.Printable(user)))
	}
	if why.option != "" {
		fields = append(fields, zap.String("option", why.option))
	}
	if why.err == errOrigin {
		fields = append(fields, originField(r), zap.String("host", shown(r.Host)))
	}
	if e.Err != nil && e.Err.Error() != why.err.Error() {
		fields = append(fields, zap.String("error", room.Printable(e.Err.Error())))
	}
	if leftOut > 0 {
		fields = append(fields, zap.Int("left_out", leftOut))
	}
	return fields
}

// originField is what a refused request says of where it comes from.
func originField(r *http.Request) zap.Field {
	if values, ok := r.Header["Origin"]; ok {
		return zap.String("origin", shown(strings.Join(values, ", ")))
	}
	return zap.String("sec_fetch_site", r.Header.Get("Sec-Fetch-Site"))
}

// shown is what a line shows of a path, an origin or a host.
func shown(text string) string { return room.Printable(text[:min(len(text), maxShownBytes)]) }

// maxShownBytes is how much that is.
const maxShownBytes = 256

// refusals bounds the lines about refused requests to one in refusalPeriod for
// each route and reason: a flood of requests is no flood in the log.
type refusals struct {
	mu   sync.Mutex
	seen map[refusalKey]*refusalLine // guarded by mu
}

type refusalKey struct{ route, reason string }

// refusalLine is the last line of a route and reason, and how many were left out
// since.
type refusalLine struct {
	written time.Time
	leftOut int
}

const refusalPeriod = time.Second

func newRefusals() *refusals {
	return &refusals{seen: make(map[refusalKey]*refusalLine)}
}

// next reports whether a line is due, and if so how many were left out before it.
func (s *refusals) next(route, reason string, now time.Time) (leftOut int, due bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	line, ok := s.seen[refusalKey{route, reason}]
	switch {
	case !ok:
		line = new(refusalLine)
		s.seen[refusalKey{route, reason}] = line
	case now.Sub(line.written) < refusalPeriod:
		line.leftOut++
		return 0, false
	}
	leftOut, *line = line.leftOut, refusalLine{written: now}
	return leftOut, true
}
