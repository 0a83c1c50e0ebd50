package meter

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/caddyws/caddy-websocket/aggregate"
)

// reading is what a message says.
type reading struct {
	key    []byte // nil if it names none; valid as long as the message is
	number aggregate.Number
}

const (
	maxKey    = 64  // bytes of a key
	maxNumber = 128 // bytes of a number's text; see aggregate.ParseNumber
)

var errKey = errors.New("a key has 1 to 64 characters of A-Z, a-z, 0-9 and . _ : -")

// read reads a message: a number, as [aggregate.ParseNumber] takes it, or an object.
//
// In the object the number is a JSON number, or a string with what
// aggregate.ParseNumber takes. The key is a string, or a number as it is written;
// there is none if the field is missing or null. Names are told apart by case. Other
// fields are ignored, but for one thing: a field on the way to the number or the key
// that is there twice is refused, since nobody knows which one is meant.
//
// An error is for whoever sent the message. Read keeps nothing of it but the key. It
// allocates nothing for an ordinary message, and may be called concurrently.
func (f *fields) read(message []byte) (reading, error) {
	text := bytes.TrimLeft(message, blanks)
	if len(text) == 0 || text[0] != '{' {
		n, err := aggregate.ParseNumber(message)
		return reading{number: n}, err
	}
	s := scanner{p: message, at: len(message) - len(text)}
	if err := s.document(f); err != nil {
		return reading{}, err
	}
	return f.reading(s.value, s.key)
}

// reading makes a reading of the two fields.
func (f *fields) reading(value, key scalar) (r reading, err error) {
	if value.kind == missing {
		return reading{}, fmt.Errorf("no field %q", f.value)
	}
	if r.number, err = numberOf(value); err != nil {
		return reading{}, fmt.Errorf("field %q: %w", f.value, err)
	}
	if r.key, err = keyOf(key); err != nil {
		return reading{}, fmt.Errorf("field %q: %w", f.key, err)
	}
	return r, nil
}

func numberOf(s scalar) (aggregate.Number, error) {
	if s.kind == null || s.kind == other {
		return aggregate.Number{}, aggregate.ErrNotNumber
	}
	var buf [maxNumber]byte
	text, ok := s.text(buf[:0])
	if !ok {
		return aggregate.Number{}, aggregate.ErrTooLong
	}
	return aggregate.ParseNumber(text)
}

func keyOf(s scalar) ([]byte, error) {
	switch s.kind {
	case missing, null:
		return nil, nil
	case other:
		return nil, errKey
	}
	key, ok := s.raw, true
	if bytes.IndexByte(key, '\\') >= 0 {
		key, ok = s.text(make([]byte, 0, maxKey))
	}
	if !ok || len(key) == 0 || len(key) > maxKey || bytes.ContainsFunc(key, notInKey) {
		return nil, errKey
	}
	return key, nil
}

func notInKey(r rune) bool {
	letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	return !letter && !('0' <= r && r <= '9') && r != '.' && r != '_' && r != ':' && r != '-'
}
