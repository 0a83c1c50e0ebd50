package nats

import (
	"encoding/hex"
	"errors"
	"strings"

	"github.com/caddyws/caddy-websocket/engines"
)

// The subject of a room is that of the bucket, followed by two tokens: the app's name and the
// room's. In a token letters, digits, - _ and / stand for themselves, any other byte is = and
// two hexadecimal digits, and an empty name is = alone. These are the characters that keys of
// a NATS key-value bucket may have.

// maxName bounds both names together, in bytes: a subject of three times that must fit into
// one line of the NATS protocol, of 4,096 bytes by default, beside a reply subject.
const maxName = 1024

var errName = errors.New("the names of app and room are longer than 1,024 bytes together, or the app's is empty")

// escape is the character before two hexadecimal digits.
const escape = '='

// appendToken appends a name as a token.
func appendToken(p []byte, name string) []byte {
	if name == "" {
		return append(p, escape)
	}
	for i := range len(name) {
		if c := name[i]; isPlain(c) {
			p = append(p, c)
		} else {
			p = hex.AppendEncode(append(p, escape), []byte{c})
		}
	}
	return p
}

func isPlain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '/'
}

// parseToken returns the name that appendToken made a token of.
func parseToken(token string) (name string, ok bool) {
	if token == string(escape) {
		return "", true
	}
	p := make([]byte, 0, len(token))
	for len(token) > 0 {
		c := token[0]
		switch {
		case isPlain(c):
			token = token[1:]
		case c != escape || len(token) < 3:
			return "", false
		default:
			raw, err := hex.DecodeString(token[1:3])
			if err != nil {
				return "", false
			}
			c, token = raw[0], token[3:]
		}
		p = append(p, c)
	}
	return string(p), len(p) > 0
}

// subjectOf returns the subject of a room, behind a prefix that ends with a dot.
func subjectOf(prefix string, key engines.Key) (string, error) {
	if key.App == "" || len(key.App)+len(key.Room) > maxName {
		return "", errName
	}
	p := make([]byte, 0, len(prefix)+len(key.App)+len(key.Room)+32)
	p = appendToken(append(p, prefix...), key.App)
	return string(appendToken(append(p, '.'), key.Room)), nil
}

// keyOf returns the room whose subject it is.
func keyOf(prefix, subject string) (key engines.Key, ok bool) {
	tokens, ok := strings.CutPrefix(subject, prefix)
	if !ok {
		return key, false
	}
	app, room, _ := strings.Cut(tokens, ".")
	if key.App, ok = parseToken(app); !ok || key.App == "" {
		return engines.Key{}, false
	}
	if key.Room, ok = parseToken(room); !ok {
		return engines.Key{}, false
	}
	if canonical, err := subjectOf(prefix, key); err != nil || canonical != subject {
		return engines.Key{}, false
	}
	return key, true
}
