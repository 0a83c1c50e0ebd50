package client

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable returns text that a terminal shows and does not obey: control characters,
// bytes that are no UTF-8, and characters that turn the direction of text or are not
// seen are escaped as in Go. Line ends and tabs stay.
func Printable(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		char := text[:size]
		text = text[size:]
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, char[0])
		case isShown(r):
			b.WriteString(char)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	return b.String()
}

// isShown reports whether a terminal just shows the character. The two joiners are in
// the words of some scripts and in emoji.
func isShown(r rune) bool {
	const nonJoiner, joiner = '\u200c', '\u200d'
	return unicode.IsGraphic(r) || r == '\n' || r == '\t' || r == nonJoiner || r == joiner
}
