package replica

import (
	"strconv"
	"strings"
)

// ID names an operation for good: sent again under the same ID it is not counted
// again. There are two forms.
//
// "<client>:<n>" is the operation number n of a client, from 1 on without a gap. The
// client's name, random so that nobody else has it, is 1 to 48 letters, digits, dots,
// underscores and hyphens.
//
// Any other key of 16 to 64 printable bytes is for an occasional operation.
type ID struct {
	Name string // of the client, or the whole key
	N    uint64 // number of the client's operation; 0: Name is a key
}

const (
	maxClientName = 48
	minKey        = 16
	maxKey        = 64
)

// String returns the form that ParseID and ParseKey read.
func (id ID) String() string {
	if id.N == 0 {
		return id.Name
	}
	return id.Name + ":" + strconv.FormatUint(id.N, 10)
}

// ParseID reads the form "<client>:<n>". An error has [CodeBadID].
func ParseID(s string) (ID, error) {
	name, number, ok := strings.Cut(s, ":")
	switch {
	case !ok:
		return ID{}, badID("an id has the form <client>:<n>")
	case name == "" || len(name) > maxClientName:
		return ID{}, badID("the client of an id has 1 to 48 characters")
	case strings.IndexFunc(name, notOfAName) >= 0:
		return ID{}, badID("the client of an id has only the characters A-Za-z0-9._-")
	}
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil || number[0] == '0' {
		return ID{}, badID("the number of an id counts 1, 2, 3 and so on")
	}
	return ID{Name: name, N: n}, nil
}

// ParseKey reads any of the forms, as a header Idempotency-Key has them. An error
// has [CodeBadID].
func ParseKey(s string) (ID, error) {
	if id, err := ParseID(s); err == nil {
		return id, nil
	}
	switch {
	case len(s) < minKey || len(s) > maxKey:
		return ID{}, badID("a key is <client>:<n>, or has 16 to 64 characters")
	case strings.IndexFunc(s, notPrintable) >= 0:
		return ID{}, badID("a key has only printable ASCII characters")
	}
	return ID{Name: s}, nil
}

func badID(text string) *Error { return NewError(CodeBadID, false, text) }

func notOfAName(c rune) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		return false
	}
	return true
}

func notPrintable(c rune) bool { return c < ' ' || c > '~' }
