package room

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/replica"
)

// Seen is what a client that comes back says it has seen: everything up to a place in a
// room's life. The zero value is of a client that says nothing.
type Seen struct {
	said  bool
	epoch string
	place replica.Place
}

// allOf is the number of an event that none of its operation comes behind.
const allOf = math.MaxInt32

var errSeen = errors.New("a point has the form <epoch>-<version> or, of an event, <epoch>-<version>-<number>")

// ParseSeen reads the ID of a state or of an event, "<epoch>-<version>" or
// "<epoch>-<version>-<number>". Beside an error it returns what stands for something that
// was seen elsewhere.
func ParseSeen(id string) (Seen, error) {
	elsewhere := Seen{said: true}
	epoch, version, ok := strings.Cut(id, "-")
	version, number, ofEvent := strings.Cut(version, "-")
	v, err := parseDigits(version, 64)
	if !ok || epoch == "" || err != nil {
		return elsewhere, errSeen
	}
	n := uint64(allOf)
	if ofEvent {
		if n, err = parseDigits(number, 31); err != nil || n == 0 {
			return elsewhere, errSeen
		}
	}
	return Seen{true, epoch, replica.Place{Version: v, Number: int(n)}}, nil
}

// parseDigits reads a number as it is written, without a sign or zeros before it.
func parseDigits(s string, bits int) (uint64, error) {
	if len(s) > 1 && s[0] == '0' {
		return 0, errSeen
	}
	return strconv.ParseUint(s, 10, bits)
}

// isStateOf reports whether the state at a point is the last that was seen.
func (s Seen) isStateOf(at message.Point) bool {
	return s.said && s.epoch == at.Epoch && s.place == replica.Place{Version: at.Version, Number: allOf}
}

// misses reports whether something that has happened since may not be kept any more.
func (s Seen) misses(now snapshot) bool {
	switch {
	case now.events.Total == 0:
		return false
	case s.epoch != now.epoch, s.place.Version > now.version: // of another life
		return true
	}
	return s.place.Before(now.events.Dropped)
}

// seen is what m says it has seen.
func (m *Member) seen() Seen {
	if m.identity == nil {
		return Seen{}
	}
	return m.identity.seen
}

// hasSeen reports whether a state that m is to be shown is one that it has. Only event
// streams keep what they have seen.
func (m *Member) hasSeen(state message.Message) bool {
	return m.format.IsEvents() && m.seen().isStateOf(state.At)
}
