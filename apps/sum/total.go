package sum

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/caddyws/caddy-websocket/aggregate"
	"github.com/caddyws/caddy-websocket/apps"
)

// What a sender is told of a message that is not added.
var (
	errBinary  = errors.New("binary message, send a number as text")
	errNoValue = errors.New(`no number, send 6 or {"value":6}`)
)

// total is the state of a room: the sum so far.
type total struct {
	sum    aggregate.Sum
	silent bool // only the sender is told
	bounds *Bounds
}

// Apply adds a number.
func (t *total) Apply(op apps.Op) (apps.Outcome, error) {
	n, err := aggregate.ParseNumber(op.Data)
	if err != nil {
		return apps.Outcome{}, err
	}
	if err := t.add(n); err != nil {
		return apps.Outcome{}, err
	}
	now := t.View()
	if t.silent {
		return apps.Outcome{Reply: now}, nil
	}
	return apps.Outcome{Reply: now, Update: now}, nil
}

// add adds a number to the total, unless it or the new total is out of bounds.
func (t *total) add(n aggregate.Number) error {
	if err := t.bounds.take(n); err != nil {
		return err
	}
	next, err := t.sum.Add(n)
	if err != nil {
		return err
	}
	if err := t.bounds.check(t.sum.Total, next.Total); err != nil {
		return err
	}
	t.sum = next
	return nil
}

// numberIn returns the number's text: the message, or the field value of the
// object that it is.
func numberIn(message []byte) ([]byte, error) {
	text := bytes.TrimSpace(message)
	if len(text) == 0 || text[0] != '{' {
		return text, nil
	}
	var object struct{ Value json.Number }
	if err := json.Unmarshal(text, &object); err != nil || object.Value == "" {
		return nil, errNoValue
	}
	return []byte(object.Value), nil
}

// View is the total, as plain text and as {"total":7}.
func (t *total) View() apps.Body {
	p, _ := t.sum.Total.AppendText(append(make([]byte, 0, 32), `{"total":`...)) // never fails
	end := len(p)
	p = append(p, '}')
	text := p[len(`{"total":`):end:end]
	return apps.Body{Text: text, JSON: p}
}

// MarshalBinary encodes the total as its text.
func (t *total) MarshalBinary() ([]byte, error) { return t.sum.Total.MarshalText() }

// UnmarshalBinary decodes what MarshalBinary has encoded.
func (t *total) UnmarshalBinary(p []byte) error { return t.sum.Total.UnmarshalText(p) }
