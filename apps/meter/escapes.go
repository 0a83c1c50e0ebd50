package meter

import (
	"bytes"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// scalar is the value of a field.
type scalar struct {
	kind kind
	raw  []byte // of a number or a string, as it stands there, without quotes
}

type kind byte

const (
	missing kind = iota
	null
	numeral
	text
	other // true, false, an object or an array
)

// text returns what a number or string says, and false if it does not fit in the
// capacity of dst, which may become a part of the result.
func (s scalar) text(dst []byte) ([]byte, bool) {
	if bytes.IndexByte(s.raw, '\\') < 0 {
		return s.raw, len(s.raw) <= cap(dst)
	}
	return unescape(dst, s.raw)
}

// isText reports whether a raw string says this.
func isText(raw []byte, text string) bool {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw) == text
	}
	var buf [maxPath]byte
	said, ok := unescape(buf[:0], raw)
	return ok && string(said) == text
}

// escapeLength returns the length of the escape sequence that p begins with, or 0
// if it is none.
func escapeLength(p []byte) int {
	if len(p) < 2 {
		return 0
	}
	switch {
	case strings.IndexByte(escaped, p[1]) >= 0:
		return 2
	case p[1] == 'u' && len(p) >= 6 && unit(p) >= 0:
		return 6
	}
	return 0
}

// What stands behind a backslash, and what is meant by it.
const (
	escaped = `"\/bfnrt`
	meant   = "\"\\/\b\f\n\r\t"
)

// unit returns the UTF-16 code unit of an escape sequence such as \u00e9, of which p
// has all six bytes; or -1 if the digits are none.
func unit(p []byte) (unit rune) {
	for _, c := range p[2:6] {
		digit := strings.IndexByte("0123456789abcdef", c|0x20) // lower case; digits stay
		if digit < 0 || c < '0' {
			return -1
		}
		unit = unit<<4 | rune(digit)
	}
	return unit
}

// unescape appends what a raw string says to dst, and reports whether it fits in the
// capacity of dst. Half a surrogate pair becomes U+FFFD.
func unescape(dst, raw []byte) ([]byte, bool) {
	for len(raw) > 0 {
		var char [utf8.UTFMax]byte
		n, size := unescapeOne(char[:0], raw)
		if len(dst)+len(n) > cap(dst) {
			return nil, false
		}
		dst = append(dst, n...)
		raw = raw[size:]
	}
	return dst, true
}

// unescapeOne appends the first character of raw, or the first byte if it is not
// escaped, and returns how many bytes of raw it takes.
func unescapeOne(dst, raw []byte) (said []byte, size int) {
	if raw[0] != '\\' {
		return append(dst, raw[0]), 1
	}
	if raw[1] != 'u' {
		return append(dst, meant[strings.IndexByte(escaped, raw[1])]), 2
	}
	r := unit(raw)
	if utf16.IsSurrogate(r) {
		if pair := raw[6:]; len(pair) >= 6 && pair[0] == '\\' && pair[1] == 'u' {
			if both := utf16.DecodeRune(r, unit(pair)); both != utf8.RuneError {
				return utf8.AppendRune(dst, both), 12
			}
		}
	}
	return utf8.AppendRune(dst, r), 6 // a surrogate becomes U+FFFD
}
