package handshake

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
	for theirs := range Elements(r.Header, "Sec-Websocket-Protocol") {
		if i := slices.Index(ours, theirs); i >= 0 {
			return ours[i]
		}
	}
	return ""
}

// hasToken reports whether the list in the named header contains a token,
// given in ASCII, in any case. Equal lengths keep Unicode's folding out of it: a
// Kelvin sign is not a k.
func hasToken(h http.Header, name, token string) bool {
	for element := range Elements(h, name) {
		if len(element) == len(token) && strings.EqualFold(element, token) {
			return true
		}
	}
	return false
}

// Elements yields the elements of a list header, which may stand on several lines.
// Empty ones are skipped (RFC 9110, sections 5.3 and 5.6.1). A comma in a quoted
// string separates nothing. The name is in Go's canonical form.
func Elements(h http.Header, name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range h[name] {
			for element := range splitUnquoted(line, ',') {
				if element != "" && !yield(element) {
					return
				}
			}
		}
	}
}

// splitUnquoted yields what is between the separators that are in no quoted
// string, without blanks around it. A string that does not end reaches to the end
// of s.
func splitUnquoted(s string, separator byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		for more := true; more; {
			end := indexUnquoted(s, separator)
			element := s
			if more = end < len(s); more {
				element, s = s[:end], s[end+1:]
			}
			if !yield(strings.Trim(element, " \t")) {
				return
			}
		}
	}
}

// indexUnquoted returns where the first separator is that is in no quoted string,
// or the length of s.
func indexUnquoted(s string, separator byte) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '\\' && quoted:
			i++ // what it escapes
		case s[i] == separator && !quoted:
			return i
		}
	}
	return len(s)
}
