package handshake

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyws/caddy-websocket/frames"
)

// takeoverBits is the window that a client which lets us choose is to use: what is
// kept of its messages then is 8 KiB instead of 32.
const takeoverBits = 13

// negotiateDeflate answers the first of a client's offers that RFC 7692 allows
// (sections 5.1 and 7.1); malformed ones and those with a parameter that is
// unknown, repeated or wrong are declined. What is offered is answered, and where
// nothing is kept of a client's messages its window is its own affair.
func negotiateDeflate(h http.Header, o Offer) frames.Deflate {
	if !o.Compression {
		return frames.Deflate{}
	}
	for offer := range Elements(h, "Sec-Websocket-Extensions") {
		p, ok := parseDeflateOffer(offer)
		if !ok {
			continue
		}
		p.Agreed = true
		p.ServerNoContextTakeover = p.ServerNoContextTakeover || !o.Takeover
		p.ClientNoContextTakeover = p.ClientNoContextTakeover || !o.Takeover
		p.ClientMaxWindowBits = min(p.ClientMaxWindowBits, takeoverBits)
		if p.ClientNoContextTakeover {
			p.ClientMaxWindowBits = 0
		}
		return p
	}
	return frames.Deflate{}
}

// parseDeflateOffer reads one element of Sec-WebSocket-Extensions.
func parseDeflateOffer(offer string) (p frames.Deflate, ok bool) {
	var seen []string
	for param := range splitUnquoted(offer, ';') {
		name, value, valued := strings.Cut(param, "=")
		name = strings.TrimRight(name, " \t")
		switch {
		case len(seen) == 0:
			ok = param == "permessage-deflate"
		case slices.Contains(seen, name):
			ok = false
		default:
			ok = setParameter(&p, name, value, valued)
		}
		if !ok {
			return frames.Deflate{}, false
		}
		seen = append(seen, name)
	}
	return p, true
}

// setParameter notes a parameter and reports whether it is one, with a value that it may
// have. A value may be quoted (RFC 6455, section 9.1).
func setParameter(p *frames.Deflate, name, value string, valued bool) bool {
	switch name {
	case "server_no_context_takeover":
		p.ServerNoContextTakeover = true
		return !valued
	case "client_no_context_takeover":
		p.ClientNoContextTakeover = true
		return !valued
	case "server_max_window_bits":
		p.ServerMaxWindowBits = windowBits(value)
		return p.ServerMaxWindowBits > 0
	case "client_max_window_bits":
		p.ClientMaxWindowBits = frames.MaxWindowBits
		if valued {
			p.ClientMaxWindowBits = windowBits(value)
		}
		return p.ClientMaxWindowBits > 0
	}
	return false
}

// windowBits reads the size of a window, a number without leading zeros (RFC 7692,
// sections 7.1.2.1 and 7.1.2.2); 0 is none.
func windowBits(value string) int {
	value, ok := unquoted(strings.TrimLeft(value, " \t"))
	bits, err := strconv.Atoi(value)
	if !ok || err != nil || bits < frames.MinWindowBits || bits > frames.MaxWindowBits || strconv.Itoa(bits) != value {
		return 0
	}
	return bits
}

// unquoted returns what is in a quoted string, or value itself if it is none, and
// reports whether the string ends where it should.
func unquoted(value string) (string, bool) {
	inner, quoted := strings.CutPrefix(value, `"`)
	if !quoted {
		return value, true
	}
	var text []byte
	for i := 0; i < len(inner); i++ {
		switch inner[i] {
		case '"':
			return string(text), i == len(inner)-1
		case '\\':
			if i++; i == len(inner) {
				return "", false
			}
		}
		text = append(text, inner[i])
	}
	return "", false
}

// extensionHeader is the value of Sec-WebSocket-Extensions in the answer.
func extensionHeader(p frames.Deflate) string {
	if !p.Agreed {
		return ""
	}
	value := "permessage-deflate"
	if p.ServerNoContextTakeover {
		value += "; server_no_context_takeover"
	}
	if p.ClientNoContextTakeover {
		value += "; client_no_context_takeover"
	}
	if p.ServerMaxWindowBits > 0 {
		value += "; server_max_window_bits=" + strconv.Itoa(p.ServerMaxWindowBits)
	}
	if p.ClientMaxWindowBits > 0 {
		value += "; client_max_window_bits=" + strconv.Itoa(p.ClientMaxWindowBits)
	}
	return value
}
