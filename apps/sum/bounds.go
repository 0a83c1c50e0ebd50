package sum

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyws/caddy-websocket/aggregate"
	"github.com/caddyws/caddy-websocket/options/decimal"
)

// Bounds are what a total may be and which amounts may be added.
type Bounds struct {
	// The least total: an amount with which it would be less is refused. Not
	// above 0, which is the total of a new room. Default: none.
	Min *decimal.Number `json:"min,omitempty"`

	// The greatest total: an amount with which it would be greater is refused.
	// Not below 0. Default: none.
	Max *decimal.Number `json:"max,omitempty"`

	// The only amounts that are taken, at most 20. Default: every number.
	Step []decimal.Number `json:"step,omitempty"`
}

const maxSteps = 20

// validate returns everything that is wrong with the bounds.
func (b *Bounds) validate() error {
	var errs []error
	if b.Min != nil && b.Min.Cmp(aggregate.Number{}) > 0 {
		errs = append(errs, fmt.Errorf("min is %s, expected at most 0: the total of a new room is 0", b.Min))
	}
	if b.Max != nil && b.Max.Cmp(aggregate.Number{}) < 0 {
		errs = append(errs, fmt.Errorf("max is %s, expected at least 0: the total of a new room is 0", b.Max))
	}
	if len(b.Step) > maxSteps {
		errs = append(errs, fmt.Errorf("step has %d amounts, expected at most %d", len(b.Step), maxSteps))
	}
	for i, step := range b.Step {
		errs = append(errs, b.validateStep(i, step))
	}
	return errors.Join(errs...)
}

func (b *Bounds) validateStep(i int, step decimal.Number) error {
	if _, err := aggregate.ParseNumber([]byte(step.String())); err != nil {
		return fmt.Errorf("step %s cannot be sent: %w", step, err)
	}
	if slices.ContainsFunc(b.Step[:i], step.Equals) {
		return fmt.Errorf("step %s is given twice", step)
	}
	return nil
}

// take judges an amount, whatever the total is.
func (b *Bounds) take(n aggregate.Number) error {
	if len(b.Step) == 0 || slices.ContainsFunc(b.Step, decimal.Number{Number: n}.Equals) {
		return nil
	}
	return fmt.Errorf("%s is not taken, send %s", n, b.choice())
}

// choice lists the amounts that are taken, as in "1, 2 or 5".
func (b *Bounds) choice() string {
	texts := make([]string, len(b.Step))
	for i, step := range b.Step {
		texts[i] = step.String()
	}
	last := len(texts) - 1
	if last == 0 {
		return texts[0]
	}
	return strings.Join(texts[:last], ", ") + " or " + texts[last]
}

// check judges an addition. A total that is out of bounds, because these were others
// when it was made, may move towards them.
func (b *Bounds) check(before, after aggregate.Number) error {
	if b.Min != nil && after.Cmp(b.Min.Number) < 0 && after.Cmp(before) <= 0 {
		return fmt.Errorf("the total would be below %s", b.Min)
	}
	if b.Max != nil && after.Cmp(b.Max.Number) > 0 && after.Cmp(before) >= 0 {
		return fmt.Errorf("the total would be above %s", b.Max)
	}
	return nil
}
