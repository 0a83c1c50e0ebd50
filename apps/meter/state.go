package meter

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyws/caddy-websocket/aggregate"
	"github.com/caddyws/caddy-websocket/apps"
)

// state is the state of a room: what is known of the readings so far.
type state struct {
	rules    *rules // Immutable.
	readings *aggregate.Readings

	stored []byte // memory for the binary form
	shown  int    // bytes of the view when it was last asked for
	keys   keysField
}

func newState(r *rules) *state {
	return &state{rules: r, readings: aggregate.New(r.counting)}
}

// Apply adds a reading, or lets those leave whose time is over.
func (s *state) Apply(op apps.Op) (apps.Outcome, error) {
	at := op.At.UnixNano()
	if op.Wake {
		return apps.Outcome{Show: true, Events: s.rules.events(s.readings.Advance(at))}, nil
	}
	r, err := parseOperation(op.Data)
	if err != nil {
		return apps.Outcome{}, err
	}
	changes, err := s.add(at, r)
	if err != nil {
		return apps.Outcome{}, err
	}
	out := apps.Outcome{Reply: s.reply(r), Show: true, Events: s.rules.events(changes)}
	if s.rules.claims {
		out.Claim = string(r.key)
	}
	return out, nil
}

// add adds a reading, unless the rules refuse it.
func (s *state) add(at int64, r reading) ([]aggregate.Change, error) {
	if s.rules.keyed && r.key == nil {
		return nil, fmt.Errorf("no field %q: this room wants to know the source of a reading", s.rules.fields.key)
	}
	changes, err := s.readings.Add(at, r.key, r.number)
	if errors.Is(err, aggregate.ErrTooManyKeys) {
		return nil, fmt.Errorf("%w: this room takes %d", err, s.rules.counting.MaxKeys)
	}
	return changes, err
}

// Wake is when the next reading leaves the window, or an alert may begin again. It has come
// if other options than before make an alert begin or end.
func (s *state) Wake() time.Time {
	at, ok := s.readings.Next()
	if !ok {
		return time.Time{}
	}
	return time.Unix(0, at)
}

// Standing returns the alerts that are raised for a key and told to its connections.
func (s *state) Standing(claim string) []apps.Event {
	if !s.rules.claims {
		return nil
	}
	var events []apps.Event
	for change := range s.readings.RaisedOf(claim) {
		if s.rules.alerts[change.Threshold].To == toKey {
			events = s.rules.appendEvent(events, change)
		}
	}
	return events
}

// MarshalBinary encodes the readings. The bytes are the state's own until it is called
// again.
func (s *state) MarshalBinary() (p []byte, err error) {
	s.stored, err = s.readings.AppendBinary(s.stored[:0])
	return s.stored, err
}

// UnmarshalBinary decodes what MarshalBinary has encoded, perhaps under other options.
func (s *state) UnmarshalBinary(p []byte) error { return s.readings.UnmarshalBinary(p) }

// Interface guards
var (
	_ apps.State   = (*state)(nil)
	_ apps.Waker   = (*state)(nil)
	_ apps.Stander = (*state)(nil)
)
