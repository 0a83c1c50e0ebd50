package meter

import (
	"errors"
	"fmt"
)

// maxDepth is how many objects and arrays may be open at the same time, as in
// encoding/json.
const maxDepth = 10000

var (
	errDepth = errors.New("JSON nested more than 10000 deep")
	errCut   = errors.New("JSON that ends too early")
)

const blanks = " \t\r\n"

// scanner goes through one JSON text (RFC 8259), once. Its methods that return a
// bool report whether the text goes on as it has to; where it does not, at is the
// place.
type scanner struct {
	p     []byte
	at    int   // the next byte
	depth int   // objects that are open and lead to the fields
	fault error // what is wrong, if it is not the syntax

	value, key scalar // of the two fields, once found
}

// document scans the whole text, an object with the two fields.
func (s *scanner) document(f *fields) error {
	if s.object(f.value, f.key) && s.isEnd() {
		return nil
	}
	if s.fault != nil {
		return s.fault
	}
	if s.at == len(s.p) {
		return errCut
	}
	return fmt.Errorf("not JSON from byte %d on", s.at+1)
}

// object scans an object that leads to the value, to the key or to both. What is
// left of the path is empty for the one that it does not lead to.
func (s *scanner) object(value, key path) bool {
	s.at++
	s.depth++
	if s.take('}') {
		s.depth--
		return true
	}
	var seen seen
	for s.member(value, key, &seen) {
		if s.take('}') {
			s.depth--
			return true
		}
		if !s.take(',') {
			return false
		}
	}
	return false
}

// seen tells which members of an object were there that lead to the fields.
type seen struct{ value, key bool }

// member scans a member of an object that leads to the fields.
func (s *scanner) member(value, key path, seen *seen) bool {
	name, ok := s.name()
	if !ok {
		return false
	}
	v, onValue := value.follow(name)
	k, onKey := key.follow(name)
	if !s.once(name, &seen.value, onValue) || !s.once(name, &seen.key, onKey) {
		return false
	}
	switch {
	case onValue && len(v) == 0:
		return s.scalar(&s.value)
	case onKey && len(k) == 0:
		return s.scalar(&s.key)
	case (onValue || onKey) && s.next() == '{':
		return s.object(v, k)
	}
	return s.skip()
}

// once notes that there is a member that leads to a field, which may be there once.
func (s *scanner) once(name []byte, seen *bool, leads bool) bool {
	if *seen && leads {
		s.fault = fmt.Errorf(`field "%s" is there twice`, name)
		return false
	}
	*seen = *seen || leads
	return true
}

// name scans the name of a member and the colon behind it.
func (s *scanner) name() (raw []byte, ok bool) {
	if s.next() != '"' {
		return nil, false
	}
	raw, ok = s.string()
	return raw, ok && s.take(':')
}

// scalar scans the value of one of the two fields.
func (s *scanner) scalar(found *scalar) bool {
	var ok bool
	switch c := s.next(); {
	case c == '"':
		found.kind = text
		found.raw, ok = s.string()
	case c == '-' || isDigit(c):
		found.kind = numeral
		found.raw, ok = s.number()
	case c == 'n':
		found.kind = null
		ok = s.word("null")
	default:
		found.kind = other
		ok = s.skip()
	}
	return ok
}

// skip scans a value that nobody asks for.
func (s *scanner) skip() bool {
	var few [64]byte
	open := few[:0] // the brackets that close what is open
	for {
		switch c := s.next(); c {
		case '{', '[':
			s.at++
			if open = append(open, c+2); s.depth+len(open) > maxDepth { // + 2: its counterpart
				s.fault = errDepth
				return false
			}
			if s.next() != c+2 {
				if c == '{' && !s.skipName() {
					return false
				}
				continue
			}
		default:
			if !s.plain(c) {
				return false
			}
		}
		var ok bool
		if open, ok = s.proceed(open); !ok || len(open) == 0 {
			return ok
		}
	}
}

// proceed goes on behind a value: it closes what ends there, up to the next value.
func (s *scanner) proceed(open []byte) (left []byte, ok bool) {
	for len(open) > 0 {
		closing := open[len(open)-1]
		switch s.next() {
		case closing:
			s.at++
			open = open[:len(open)-1]
		case ',':
			s.at++
			return open, closing != '}' || s.skipName()
		default:
			return open, false
		}
	}
	return open, true
}

func (s *scanner) skipName() bool {
	_, ok := s.name()
	return ok
}

// plain scans a value that begins with c and is neither an object nor an array.
func (s *scanner) plain(c byte) (ok bool) {
	switch c {
	case '"':
		_, ok = s.string()
	case 't':
		ok = s.word("true")
	case 'f':
		ok = s.word("false")
	case 'n':
		ok = s.word("null")
	default:
		_, ok = s.number()
	}
	return ok
}

// next skips blanks and returns the byte behind them, or 0 at the end. A byte 0 of
// the text is in no place a valid one.
func (s *scanner) next() byte {
	for s.at < len(s.p) {
		switch c := s.p[s.at]; c {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return c
		}
	}
	return 0
}

// take goes on if c comes next.
func (s *scanner) take(c byte) bool {
	if s.next() != c {
		return false
	}
	s.at++
	return true
}

// isEnd reports whether nothing but blanks is left.
func (s *scanner) isEnd() bool {
	s.next()
	return s.at == len(s.p)
}

func (s *scanner) word(word string) bool {
	for i := range len(word) {
		if s.at == len(s.p) || s.p[s.at] != word[i] {
			return false
		}
		s.at++
	}
	return true
}

// number scans a number and returns it.
func (s *scanner) number() (raw []byte, ok bool) {
	start := s.at
	s.accept("-")
	if !s.accept("0") && !s.digits() {
		return nil, false
	}
	if s.accept(".") && !s.digits() {
		return nil, false
	}
	if s.accept("eE") {
		s.accept("+-")
		if !s.digits() {
			return nil, false
		}
	}
	return s.p[start:s.at], true
}

// accept goes on if one of these bytes comes next, without blanks.
func (s *scanner) accept(bytes string) bool {
	for i := range len(bytes) {
		if s.at < len(s.p) && s.p[s.at] == bytes[i] {
			s.at++
			return true
		}
	}
	return false
}

// digits scans one digit or more.
func (s *scanner) digits() bool {
	start := s.at
	for s.at < len(s.p) && isDigit(s.p[s.at]) {
		s.at++
	}
	return s.at > start
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// string scans a string and returns it as it stands there, without quotes.
func (s *scanner) string() (raw []byte, ok bool) {
	start := s.at + 1
	for s.at = start; s.at < len(s.p); s.at++ {
		switch c := s.p[s.at]; {
		case c == '"':
			s.at++
			return s.p[start : s.at-1], true
		case c < ' ':
			return nil, false
		case c == '\\':
			n := escapeLength(s.p[s.at:])
			if n == 0 {
				return nil, false
			}
			s.at += n - 1
		}
	}
	return nil, false
}
