package socket

import (
	"iter"
	"net/http"
	"slices"
	"strings"
)

// Subprotocol chooses the first of the client's subprotocols that is
// one of ours: the client lists them by preference (RFC 6455, section 4.1, item
// 10). None in common is no error: the connection then speaks none. The
// returned string is ours, so nothing of the request is echoed or kept.
func Subprotocol(r *http.Request, ours []string) string {
	for theirs := range handshakeElements(r.Header, "Sec-Websocket-Protocol") {
		if i := slices.Index(ours, theirs); i >= 0 {
			return ours[i]
		}
	}
	return ""
}

// handshakeExtensions is the value of Sec-WebSocket-Extensions that answers what
// a client offers; empty if nothing of it is taken.
func handshakeExtensions(h http.Header, o Offer) string {
	if o.Compression && handshakeOffersDeflate(h) {
		return "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	}
	return ""
}

// handshakeOffersDeflate tells whether one of the client's extension offers is a
// permessage-deflate that we can take (RFC 7692, section 5.1: the first that
// fits; those before it are declined). Malformed offers are passed over.
func handshakeOffersDeflate(h http.Header) bool {
	for _, line := range h["Sec-Websocket-Extensions"] {
		quoted := false
		for offer := range strings.FieldsFuncSeq(line, func(c rune) bool {
			quoted = quoted != (c == '"') // an offer may have a comma in a quoted string
			return c == ',' && !quoted
		}) {
			name, params, more := strings.Cut(offer, ";")
			if strings.Trim(name, " \t") == "permessage-deflate" && (!more || handshakeDeflateFits(params)) {
				return true
			}
		}
	}
	return false
}

// handshakeDeflateFits judges the parameters of one offer: an unknown, repeated
// or wrong one declines it (RFC 7692, section 7.1). server_max_window_bits would
// bind us to a smaller window than our compressor's, so it declines the offer
// too; client_max_window_bits is a hint that we needn't answer (section 7.1.2.2).
func handshakeDeflateFits(params string) bool {
	var seen []string
	for param := range strings.SplitSeq(params, ";") {
		name, value, valued := strings.Cut(strings.Trim(param, " \t"), "=")
		name = strings.TrimRight(name, " \t")
		if slices.Contains(seen, name) {
			return false
		}
		seen = append(seen, name)
		switch name {
		case "server_no_context_takeover", "client_no_context_takeover":
			if valued {
				return false
			}
		case "client_max_window_bits":
			if valued && !slices.Contains(handshakeWindowBits, strings.Trim(value, " \t\"")) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// handshakeWindowBits are the sizes that RFC 7692, section 7.1.2.2 permits.
var handshakeWindowBits = []string{"8", "9", "10", "11", "12", "13", "14", "15"}

// handshakeHasToken tells whether the list in the named header contains a token,
// given in ASCII, in any case. Equal lengths keep Unicode's folding out of it: a
// Kelvin sign is not a k.
func handshakeHasToken(h http.Header, name, token string) bool {
	for element := range handshakeElements(h, name) {
		if len(element) == len(token) && strings.EqualFold(element, token) {
			return true
		}
	}
	return false
}

// handshakeElements yields the elements of a list header, which may stand on
// several lines and may be empty: those are skipped (RFC 9110, sections 5.3 and
// 5.6.1). The name is in Go's canonical form. Quoted strings are not looked
// into: no header of a handshake may have a comma there.
func handshakeElements(h http.Header, name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range h[name] {
			for element := range strings.SplitSeq(line, ",") {
				element = strings.Trim(element, " \t")
				if element != "" && !yield(element) {
					return
				}
			}
		}
	}
}
