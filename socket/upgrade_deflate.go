package socket

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyws/caddy-websocket/frames"
)

// deflateParams are the parameters of permessage-deflate that a client has
// offered or both have agreed on (RFC 7692, section 7.1).
type deflateParams struct {
	agreed      bool
	serverAlone bool // server_no_context_takeover: each message of ours is compressed by itself
	clientAlone bool // client_no_context_takeover: the client's
	serverBits  int  // server_max_window_bits; 0 if it is not there
	clientBits  int  // client_max_window_bits, the largest window if it has no value; 0 if it is not there
}

// takeoverBits is the window that a client which lets us choose is to use: what is
// kept of its messages then is 8 KiB instead of 32.
const takeoverBits = 13

// negotiateDeflate answers the first of a client's offers that RFC 7692 allows
// (sections 5.1 and 7.1); malformed ones and those with a parameter that is
// unknown, repeated or wrong are declined. What is offered is answered, and where
// nothing is kept of a client's messages its window is its own affair.
func negotiateDeflate(h http.Header, o Offer) deflateParams {
	if !o.Compression {
		return deflateParams{}
	}
	for offer := range handshakeElements(h, "Sec-Websocket-Extensions") {
		p, ok := parseDeflateOffer(offer)
		if !ok {
			continue
		}
		p.agreed = true
		p.serverAlone = p.serverAlone || !o.Takeover
		p.clientAlone = p.clientAlone || !o.Takeover
		p.clientBits = min(p.clientBits, takeoverBits)
		if p.clientAlone {
			p.clientBits = 0
		}
		return p
	}
	return deflateParams{}
}

// parseDeflateOffer reads one element of Sec-WebSocket-Extensions.
func parseDeflateOffer(offer string) (p deflateParams, ok bool) {
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
			ok = p.set(name, value, valued)
		}
		if !ok {
			return deflateParams{}, false
		}
		seen = append(seen, name)
	}
	return p, true
}

// set notes a parameter and tells whether it is one, with a value that it may
// have. A value may be quoted (RFC 6455, section 9.1).
func (p *deflateParams) set(name, value string, valued bool) bool {
	switch name {
	case "server_no_context_takeover":
		p.serverAlone = true
		return !valued
	case "client_no_context_takeover":
		p.clientAlone = true
		return !valued
	case "server_max_window_bits":
		p.serverBits = windowBits(value)
		return p.serverBits > 0
	case "client_max_window_bits":
		p.clientBits = frames.MaxWindowBits
		if valued {
			p.clientBits = windowBits(value)
		}
		return p.clientBits > 0
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
// tells whether the string ends where it should.
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

// serverWindow and clientWindow are the windows in bits.
func (p deflateParams) serverWindow() int { return orLargest(p.serverBits) }
func (p deflateParams) clientWindow() int { return orLargest(p.clientBits) }

func orLargest(bits int) int {
	if bits == 0 {
		return frames.MaxWindowBits
	}
	return bits
}

// header is the value of Sec-WebSocket-Extensions in the answer.
func (p deflateParams) header() string {
	if !p.agreed {
		return ""
	}
	value := "permessage-deflate"
	if p.serverAlone {
		value += "; server_no_context_takeover"
	}
	if p.clientAlone {
		value += "; client_no_context_takeover"
	}
	if p.serverBits > 0 {
		value += "; server_max_window_bits=" + strconv.Itoa(p.serverBits)
	}
	if p.clientBits > 0 {
		value += "; client_max_window_bits=" + strconv.Itoa(p.clientBits)
	}
	return value
}
