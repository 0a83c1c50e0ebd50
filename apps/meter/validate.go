package meter

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyws/caddy-websocket/aggregate"
)

// Bounds of the options.
const (
	minInterval = caddy.Duration(10 * time.Millisecond)
	maxInterval = caddy.Duration(time.Minute)
	minWindow   = caddy.Duration(time.Second) // of a cooldown too
	maxWindow   = caddy.Duration(7 * 24 * time.Hour)
	maxKeys     = 1000
	maxOwnKeys  = 100 // where each key has a window of its own
	maxAlerts   = 32
	maxJudged   = 1000 // alerts for each key, times keys
	maxMessage  = 512  // bytes, whatever the placeholders stand for
)

// validate returns everything that is wrong with the options.
func (a *App) validate() error {
	_, err := newFields(a.Value, a.Key)
	errs := []error{err, a.validateTimes(), a.validateKeys()}
	if len(a.Alerts) > maxAlerts {
		errs = append(errs, fmt.Errorf("there are %d alerts, expected at most %d", len(a.Alerts), maxAlerts))
	}
	for i := range a.Alerts {
		errs = append(errs, a.validateAlert(i))
	}
	return errors.Join(errs...)
}

func (a *App) validateTimes() error {
	var errs []error
	if a.Interval != 0 && (a.Interval < minInterval || a.Interval > maxInterval) {
		errs = append(errs, fmt.Errorf("every is %v, expected 10ms to 1m", time.Duration(a.Interval)))
	}
	if a.Window != 0 && (a.Window < minWindow || a.Window > maxWindow) {
		errs = append(errs, fmt.Errorf("window is %v, expected 1s to 7d", time.Duration(a.Window)))
	}
	if a.Latest && a.Window == 0 {
		errs = append(errs, errors.New("latest needs window: without it keys that are not used any more would count for ever"))
	}
	return errors.Join(errs...)
}

func (a *App) validateKeys() error {
	each := a.eachAlerts()
	switch {
	case a.MaxKeys < 1 || a.MaxKeys > maxKeys:
		return fmt.Errorf("max_keys is %d, expected 1 to %d", a.MaxKeys, maxKeys)
	case a.MaxKeys > maxOwnKeys && each > 0 && a.Window > 0 && !a.Latest:
		return fmt.Errorf("max_keys is %d, expected at most %d with a window and alerts for each key, but without latest", a.MaxKeys, maxOwnKeys)
	case a.MaxKeys*each > maxJudged:
		return fmt.Errorf("%d alerts for each of %d keys are %d, expected at most %d", each, a.MaxKeys, a.MaxKeys*each, maxJudged)
	}
	return nil
}

// eachAlerts is the number of alerts for each key.
func (a *App) eachAlerts() (n int) {
	for i := range a.Alerts {
		if a.Alerts[i].Each {
			n++
		}
	}
	return n
}

func (a *App) validateAlert(i int) error {
	alert := &a.Alerts[i]
	errs := []error{alert.validateName(), alert.validateFold(), alert.validateLevels(), alert.validateMessage()}
	if slices.ContainsFunc(a.Alerts[:i], func(b Alert) bool { return b.Name == alert.Name }) {
		errs = append(errs, errors.New("the name is given twice"))
	}
	if alert.Cooldown != 0 && (alert.Cooldown < minWindow || alert.Cooldown > maxWindow) {
		errs = append(errs, fmt.Errorf("cooldown is %v, expected 1s to 7d", time.Duration(alert.Cooldown)))
	}
	switch {
	case alert.To != "" && alert.To != toRoom && alert.To != toKey:
		errs = append(errs, fmt.Errorf("to is %q, expected room or key", alert.To))
	case alert.To == toKey && !alert.Each:
		errs = append(errs, errors.New("to key needs each: what is made of the readings of all keys is of none of them"))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("alert %q: %w", alert.Name, err)
	}
	return nil
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

func (a *Alert) validateName() error {
	switch {
	case a.Name == "each":
		return errors.New("each is no name: it stands behind the name")
	case !nameForm.MatchString(a.Name):
		return errors.New("a name has 1 to 32 of A-Z, a-z, 0-9, _ and -")
	}
	return nil
}

func (a *Alert) validateFold() error {
	if _, ok := aggregate.ParseFold(a.Fold); !ok {
		return fmt.Errorf("there is no fold %q, expected one of sum, count, min, max, mean, last", a.Fold)
	}
	return nil
}

func (a *Alert) validateLevels() error {
	if (a.Above == nil) == (a.Below == nil) {
		return errors.New("expected above or below, one of them")
	}
	threshold, level := a.threshold(), a.clear()
	order := level.Cmp(threshold.Number)
	switch {
	case a.Above != nil && order > 0:
		return fmt.Errorf("clear is %s, expected at most the threshold %s", level, threshold)
	case a.Below != nil && order < 0:
		return fmt.Errorf("clear is %s, expected at least the threshold %s", level, threshold)
	}
	return nil
}

var (
	placeholder = regexp.MustCompile(`\{[a-z_.]+\}`)
	known       = []string{"{key}", "{value}", "{fold}", "{threshold}", "{alert}"}
)

// validateMessage refuses a misspelt placeholder, and a message that could become too
// long.
func (a *Alert) validateMessage() error {
	for _, name := range placeholder.FindAllString(a.Message, -1) {
		if !slices.Contains(known, name) {
			return fmt.Errorf("the message has the unknown placeholder %s, expected one of %s", name, strings.Join(known, ", "))
		}
	}
	if (a.Above == nil) == (a.Below == nil) {
		return nil // there is no threshold to put in
	}
	longest := len(a.say(strings.Repeat("k", maxKey), strings.Repeat("9", maxValue)))
	if a.Message != "" && longest > maxMessage {
		return fmt.Errorf("the message may become %d bytes long, expected at most %d", longest, maxMessage)
	}
	return nil
}

const maxValue = 92 // bytes of a fold; see aggregate.Number.AppendText
