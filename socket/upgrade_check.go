package socket

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// HandshakeError refuses a handshake before anything of its answer was written.
type HandshakeError struct {
	// Status is the one to answer with.
	Status int

	// Header is what the answer must carry, nil if nothing.
	Header http.Header

	// Err is the reason, for the log. It quotes little of what the client sent.
	Err error
}

// Error returns the reason.
func (e *HandshakeError) Error() string { return "websocket handshake: " + e.Err.Error() }

// Unwrap returns Err.
func (e *HandshakeError) Unwrap() error { return e.Err }

// handshakeRefusal returns a HandshakeError without headers.
func handshakeRefusal(status int, format string, args ...any) *HandshakeError {
	return &HandshakeError{Status: status, Err: fmt.Errorf(format, args...)}
}

// CheckHandshake judges the opening handshake of r (RFC 6455, section 4.2.1),
// before any other work is done for it. Its error is a *HandshakeError.
//
// A body is refused although the RFC doesn't mention one: nobody would read it,
// and what is left of it would be taken for frames. (Caddy would also arm a read
// deadline for draining it, on a connection that is no longer its own.)
func CheckHandshake(r *http.Request) error {
	if !IsConnect(r) {
		return checkHandshake(r)
	}
	err := checkHandshake(connectRequest(r))
	if refused, ok := errors.AsType[*HandshakeError](err); ok {
		deleteConnectionFields(refused.Header)
	}
	return err
}

// checkHandshake is CheckHandshake for a request of HTTP/1.
func checkHandshake(r *http.Request) error {
	switch {
	case !r.ProtoAtLeast(1, 1):
		return handshakeRefusal(http.StatusBadRequest, "HTTP/1.1 is needed")
	case r.Method != http.MethodGet:
		err := handshakeRefusal(http.StatusMethodNotAllowed, "the method must be GET")
		err.Header = http.Header{"Allow": {http.MethodGet}} // RFC 9110, section 15.5.6
		return err
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		return handshakeRefusal(http.StatusBadRequest, "a body is not allowed")
	case !handshakeHasToken(r.Header, "Upgrade", "websocket"):
		return handshakeRefusal(http.StatusBadRequest, "the Upgrade header lacks the token websocket")
	case !handshakeHasToken(r.Header, "Connection", "upgrade"):
		return handshakeRefusal(http.StatusBadRequest, "the Connection header lacks the token upgrade")
	}
	if err := checkHandshakeVersion(r.Header); err != nil {
		return err
	}
	return checkHandshakeKey(r.Header)
}

// checkHandshakeVersion wants version 13 and nothing else. Another version gets
// 426 with the one we speak (RFC 6455, sections 4.2.2 and 4.4; RFC 9110, section
// 15.5.22, wants an Upgrade header in it). So do several versions: the request
// header isn't a list, and several lines of it are judged like one with commas.
// A missing version is a malformed handshake, hence 400, yet is told the same.
func checkHandshakeVersion(h http.Header) error {
	switch version := strings.Join(h["Sec-Websocket-Version"], ", "); version {
	case "13":
		return nil
	case "":
		err := handshakeRefusal(http.StatusBadRequest, "the Sec-WebSocket-Version header is missing")
		err.Header = http.Header{"Sec-Websocket-Version": {"13"}}
		return err
	default:
		err := handshakeRefusal(http.StatusUpgradeRequired, "version %.16q is not spoken here, only 13", version)
		err.Header = http.Header{
			"Sec-Websocket-Version": {"13"},
			"Upgrade":               {"websocket"},
			"Connection":            {"Upgrade"},
		}
		return err
	}
}

// checkHandshakeKey wants one key of 16 bytes in base64 (RFC 6455, section 4.2.1,
// item 5; section 11.3.1: not more than once).
func checkHandshakeKey(h http.Header) error {
	keys := h["Sec-Websocket-Key"]
	if len(keys) != 1 {
		return handshakeRefusal(http.StatusBadRequest, "one Sec-WebSocket-Key header is needed, not %d", len(keys))
	}
	if len(keys[0]) != base64.StdEncoding.EncodedLen(16) {
		return handshakeRefusal(http.StatusBadRequest, "the Sec-WebSocket-Key has the wrong length")
	}
	var key [18]byte // what so many characters can be
	if n, err := base64.StdEncoding.Decode(key[:], []byte(keys[0])); err != nil || n != 16 {
		return handshakeRefusal(http.StatusBadRequest, "the Sec-WebSocket-Key is not the base64 of 16 bytes")
	}
	return nil
}
