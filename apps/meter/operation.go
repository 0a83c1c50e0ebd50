package meter

import (
	"bytes"
	"fmt"

	"github.com/caddyws/caddy-websocket/aggregate"
)

// An operation is a reading as text: its number, and behind a blank its key, if it has
// one.

// operation returns the operation of a reading.
func (r reading) operation() []byte {
	p, _ := r.number.AppendText(make([]byte, 0, maxNumber+1+len(r.key))) // never fails
	if r.key == nil {
		return p
	}
	return append(append(p, ' '), r.key...)
}

// parseOperation reads an operation. The key is a part of it.
func parseOperation(p []byte) (r reading, err error) {
	number, key, keyed := bytes.Cut(p, []byte(" "))
	if r.number, err = aggregate.ParseNumber(number); err != nil {
		return reading{}, fmt.Errorf("reading %q: %w", number, err)
	}
	if keyed {
		r.key = key
	}
	return r, nil
}
