package caddyws

import (
	"net/url"
	"strings"
)

// parseQuery reads the query of a URL as browsers do (URL standard, section 5.1):
// pairs are separated by & alone, and a % that begins no escape stands for itself.
// [url.URL.Query] leaves out a pair with either. As there, a query of more than 10,000
// pairs is read as none.
func parseQuery(u *url.URL) url.Values {
	raw := strings.ReplaceAll(u.RawQuery, ";", "%3B")
	values, _ := url.ParseQuery(escapePercents(raw))
	return values
}

// escapePercents writes %25 for each % that begins no escape.
func escapePercents(raw string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(raw, "%")
		b.WriteString(before)
		switch {
		case !found:
			return b.String()
		case isEscaped(after):
			b.WriteString("%")
		default:
			b.WriteString("%25")
		}
		raw = after
	}
}

// isEscaped reports whether text goes on as an escape does behind its %.
func isEscaped(text string) bool {
	return len(text) >= 2 && isHex(text[0]) && isHex(text[1])
}

func isHex(c byte) bool { return strings.IndexByte("0123456789abcdefABCDEF", c) >= 0 }
