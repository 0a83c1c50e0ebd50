package handshake

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Error refuses a handshake before anything of its answer was written.
type Error struct {
	// Status is the one to answer with.
	Status int

	// Header is what the answer must carry, nil if nothing.
	Header http.Header

	// Err is the reason, for the log. It quotes little of what the client sent.
	Err error
}

// Error returns the reason.
func (e *Error) Error() string { return "websocket handshake: " + e.Err.Error() }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// refuse returns an Error without headers.
func refuse(status int, format string, args ...any) *Error {
	return &Error{Status: status, Err: fmt.Errorf(format, args...)}
}

// Check judges the opening handshake of r (RFC 6455, section 4.2.1),
// before any other work is done for it. Its error is an *Error.
//
// A body is refused although the RFC doesn't mention one: nobody would read it,
// and what is left of it would be taken for frames. (Caddy would also arm a read
// deadline for draining it, on a connection that is no longer its own.)
func Check(r *http.Request) error {
	if !IsConnect(r) {
		return checkHandshake(r)
	}
	err := checkHandshake(connectRequest(r))
	if refused, ok := errors.AsType[*Error](err); ok {
		deleteConnectionFields(refused.Header)
	}
	return err
}

// checkHandshake is Check for a request of HTTP/1.
func checkHandshake(r *http.Request) error {
	switch {
	case !r.ProtoAtLeast(1, 1):
		return refuse(http.StatusBadRequest, "HTTP/1.1 is needed")
	case r.Method != http.MethodGet:
		err := refuse(http.StatusMethodNotAllowed, "the method must be GET")
		err.Header = http.Header{"Allow": {http.MethodGet}} // RFC 9110, section 15.5.6
		return err
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		return refuse(http.StatusBadRequest, "a body is not allowed")
	case !hasToken(r.Header, "Upgrade", "websocket"):
		return refuse(http.StatusBadRequest, "the Upgrade header lacks the token websocket")
	case !hasToken(r.Header, "Connection", "upgrade"):
		return refuse(http.StatusBadRequest, "the Connection header lacks the token upgrade")
	}
	if err := checkVersion(r.Header); err != nil {
		return err
	}
	return checkKey(r.Header)
}

// checkVersion wants version 13 and nothing else. Another version gets
// 426 with the one we speak (RFC 6455, sections 4.2.2 and 4.4; RFC 9110, section
// 15.5.22, wants an Upgrade header in it). So do several versions: the request
// header isn't a list, and several lines of it are judged like one with commas.
// A missing version is a malformed handshake, hence 400, yet is told the same.
func checkVersion(h http.Header) error {
	switch version := strings.Join(h["Sec-Websocket-Version"], ", "); version {
	case "13":
		return nil
	case "":
		err := refuse(http.StatusBadRequest, "the Sec-WebSocket-Version header is missing")
		err.Header = http.Header{"Sec-Websocket-Version": {"13"}}
		return err
	default:
		err := refuse(http.StatusUpgradeRequired, "version %.16q is not spoken here, only 13", version)
		err.Header = http.Header{
			"Sec-Websocket-Version": {"13"},
			"Upgrade":               {"websocket"},
			"Connection":            {"Upgrade"},
		}
		return err
	}
}

// checkKey wants one key of 16 bytes in base64 (RFC 6455, section 4.2.1,
// item 5; section 11.3.1: not more than once).
func checkKey(h http.Header) error {
	keys := h["Sec-Websocket-Key"]
	if len(keys) != 1 {
		return refuse(http.StatusBadRequest, "one Sec-WebSocket-Key header is needed, not %d", len(keys))
	}
	if len(keys[0]) != base64.StdEncoding.EncodedLen(16) {
		return refuse(http.StatusBadRequest, "the Sec-WebSocket-Key has the wrong length")
	}
	var key [18]byte // what so many characters can be
	if n, err := base64.StdEncoding.Decode(key[:], []byte(keys[0])); err != nil || n != 16 {
		return refuse(http.StatusBadRequest, "the Sec-WebSocket-Key is not the base64 of 16 bytes")
	}
	return nil
}
