package sum

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyws/caddy-websocket/aggregate"
	"github.com/caddyws/caddy-websocket/options"
)

// Amount is an exact decimal in a configuration. In JSON it is a string, since
// Caddy itself reads JSON numbers as floating point; a number is taken too.
type Amount struct{ aggregate.Number }

// UnmarshalJSON sets a to the number in p, or in the string p.
func (a *Amount) UnmarshalJSON(p []byte) error {
	text := string(p)
	if strings.HasPrefix(text, `"`) {
		if err := json.Unmarshal(p, &text); err != nil {
			return err
		}
	}
	return a.parse(text)
}

// equals reports whether a and b are the same number, however it was written.
func (a Amount) equals(b Amount) bool { return a.Cmp(b.Number) == 0 }

func (a *Amount) parse(text string) error {
	if err := a.UnmarshalText([]byte(text)); err != nil {
		return fmt.Errorf("%q: %w", text, err)
	}
	return nil
}

// amount reads one amount from a Caddyfile.
func amount(target **Amount) options.Reader {
	return func(d *caddyfile.Dispenser) error {
		var text string
		if err := options.Text(&text)(d); err != nil {
			return err
		}
		*target = new(Amount)
		return located(d, (*target).parse(text))
	}
}

// amounts reads one amount or more.
func amounts(target *[]Amount) options.Reader {
	return func(d *caddyfile.Dispenser) error {
		var texts []string
		if err := options.Texts(&texts)(d); err != nil {
			return err
		}
		*target = make([]Amount, len(texts))
		for i, text := range texts {
			if err := (*target)[i].parse(text); err != nil {
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
