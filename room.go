package caddyws

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyws/caddy-websocket/room"
)

// maxRoomName is the longest name of a room in bytes.
const maxRoomName = 255

var errRoomName = errors.New("room name must be 1 to 255 bytes of printable text")

// roomName tells which room a request is for.
func (h *Handler) roomName(r *http.Request) (string, error) {
	if h.Room == "" {
		return checkRoomName(room.NamedByURL, computedRoom(r))
	}
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	return checkRoomName(room.NamedByTemplate, repl.ReplaceAll(h.Room, ""))
}

func checkRoomName(kind, name string) (string, error) {
	if name == "" || len(name) > maxRoomName || !isPrintable(name) {
		return "", errRoomName
	}
	return kind + name, nil
}

// isPrintable reports whether a text is UTF-8 without control characters.
func isPrintable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// computedRoom is the URL as the client asked for it: host, port unless it is a
// usual one, and path before rewrites.
func computedRoom(r *http.Request) string {
	return roomHost(r.Host) + path.Clean("/"+originalURL(r).Path)
}

// originalURL is the URL before rewrites.
func originalURL(r *http.Request) *url.URL {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		return original.URL
	}
	return r.URL
}

// roomHost brings a Host header to one form.
func roomHost(host string) string {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = strings.Trim(host, "[]"), ""
	}
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if port != "" && port != "80" && port != "443" {
		return net.JoinHostPort(name, port)
	}
	if strings.Contains(name, ":") {
		return "[" + name + "]" // as IPv6 stands in a URL
	}
	return name
}
