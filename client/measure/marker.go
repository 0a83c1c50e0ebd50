package measure

import (
	"bytes"
	"math/rand/v2"
	"strconv"
	"time"
)

// marker is what a message is known by. It is written in lower case letters, digits and
// "-", so that it lives through apps that change letters, and in JSON.
type marker struct {
	run        string // which run of the command; not two at once have the same
	connection int
	n          int           // the message's number on its connection
	began      time.Duration // when its clock started, after the beginning of the run
}

// newName returns the name of a run.
func newName() string {
	const names = 36 * 36 * 36 * 36 * 36 * 36
	return "b" + strconv.FormatInt(names+rand.Int64N(names), 36)[1:] //nolint:gosec // no secret
}

// String has at most 30 characters.
func (m marker) String() string {
	b := make([]byte, 0, minSize)
	b = append(append(b, m.run...), '-')
	b = append(strconv.AppendInt(b, int64(m.connection), 36), '-')
	b = append(strconv.AppendInt(b, int64(m.n), 36), '-')
	return string(strconv.AppendInt(b, m.began.Microseconds(), 36))
}

// find returns the first marker of this run in a message.
func find(payload []byte, run string) (m marker, found bool) {
	_, rest, found := bytes.Cut(payload, []byte(run+"-"))
	if !found {
		return m, false
	}
	var numbers [3]int64
	for i := range numbers {
		end := 0
		for end < len(rest) && isDigit(rest[end]) {
			end++
		}
		n, err := strconv.ParseInt(string(rest[:end]), 36, 64)
		if err != nil || n < 0 || i < 2 && (end == len(rest) || rest[end] != '-') {
			return m, false
		}
		numbers[i], rest = n, rest[min(end+1, len(rest)):]
	}
	return marker{run, int(numbers[0]), int(numbers[1]), time.Duration(numbers[2]) * time.Microsecond}, true
}

// isDigit reports whether the byte is a digit of a marker.
func isDigit(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' }
