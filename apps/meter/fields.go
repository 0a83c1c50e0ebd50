package meter

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// path is where a field stands in an object: the names that lead to it. In text they
// are separated by dots, so that a name that contains a dot cannot be reached.
type path []string

const (
	maxPath  = 255 // bytes of a path's text
	maxNames = 8
)

// parsePath reads a path such as "value" or "a.b".
func parsePath(text string) (path, error) {
	names := path(strings.Split(text, "."))
	switch {
	case len(text) > maxPath:
		return nil, fmt.Errorf("field of %d bytes, expected at most %d", len(text), maxPath)
	case !utf8.ValidString(text):
		return nil, fmt.Errorf("field %q is not UTF-8", text)
	case slices.Contains(names, ""):
		return nil, fmt.Errorf("field %q has an empty name", text)
	case len(names) > maxNames:
		return nil, fmt.Errorf("field %q has %d names, expected at most %d", text, len(names), maxNames)
	}
	return names, nil
}

func (p path) String() string { return strings.Join(p, ".") }

// follow returns what is left of p behind a member, and whether p leads through it.
// The member's name is raw: as it stands between its quotes.
func (p path) follow(name []byte) (path, bool) {
	if len(p) == 0 || !isText(name, p[0]) {
		return nil, false
	}
	return p[1:], true
}

// within reports whether p is q, or leads through it.
func (p path) within(q path) bool {
	return len(p) >= len(q) && slices.Equal(p[:len(q)], q)
}

// fields are where a reading stands in an object. Immutable.
type fields struct{ value, key path }

// newFields reads the paths of the number and of the key. They must not be the same,
// and neither may be a part of the other.
func newFields(value, key string) (fields, error) {
	v, valueErr := parsePath(value)
	k, keyErr := parsePath(key)
	if err := errors.Join(valueErr, keyErr); err != nil {
		return fields{}, err
	}
	if v.within(k) || k.within(v) {
		return fields{}, fmt.Errorf("fields %q and %q are the same, or one is in the other", value, key)
	}
	return fields{v, k}, nil
}
