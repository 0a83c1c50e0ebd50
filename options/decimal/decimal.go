// Package decimal reads exact decimals in a configuration: bounds, steps, thresholds.
//
// A [Number] keeps every digit on its way from a Caddyfile or JSON. Caddy itself reads
// the numbers of JSON as floating point, which is why a Number is written there as a
// string.
package decimal

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyws/caddy-websocket/aggregate"
	"github.com/caddyws/caddy-websocket/options"
)

// Number is an exact decimal. In JSON it is a string; a number is taken too.
type Number struct{ aggregate.Number }

// UnmarshalJSON sets n to the number in p, or in the string p.
func (n *Number) UnmarshalJSON(p []byte) error {
	text := string(p)
	if strings.HasPrefix(text, `"`) {
		if err := json.Unmarshal(p, &text); err != nil {
			return err
		}
	}
	return n.Parse(text)
}

// Equals reports whether n and m are the same number, however it was written.
func (n Number) Equals(m Number) bool { return n.Cmp(m.Number) == 0 }

// Parse sets n to the number in a text; see [aggregate.Number.UnmarshalText].
func (n *Number) Parse(text string) error {
	if err := n.UnmarshalText([]byte(text)); err != nil {
		return fmt.Errorf("%q: %w", text, err)
	}
	return nil
}

// Option reads one number from a Caddyfile.
func Option(target **Number) options.Reader {
	return func(d *caddyfile.Dispenser) error {
		var text string
		if err := options.Text(&text)(d); err != nil {
			return err
		}
		*target = new(Number)
		return located(d, (*target).Parse(text))
	}
}

// List reads one number or more.
func List(target *[]Number) options.Reader {
	return func(d *caddyfile.Dispenser) error {
		var texts []string
		if err := options.Texts(&texts)(d); err != nil {
			return err
		}
		*target = make([]Number, len(texts))
		for i, text := range texts {
			if err := (*target)[i].Parse(text); err != nil {
				return located(d, err)
			}
		}
		return nil
	}
}

// located adds to an error where in the Caddyfile it is.
func located(d *caddyfile.Dispenser, err error) error {
	if err != nil {
		return d.WrapErr(err)
	}
	return nil
}
