package meter

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyws/caddy-websocket/options"
	"github.com/caddyws/caddy-websocket/options/decimal"
)

// Alert says when an alert begins and ends, and who is told. Either Above or Below is
// set. It begins when the fold is above the one, or below the other.
type Alert struct {
	// What the alert is called: 1 to 32 of A-Z, a-z, 0-9, _ and -, but not "each".
	// Every alert has a name of its own, under which it goes on after a reload.
	Name string `json:"name"`

	// Judge the readings of each key by themselves. Default: false, those of all keys
	// together.
	Each bool `json:"each,omitempty"`

	// What is judged: sum, count, min, max, mean or last.
	Fold string `json:"fold"`

	// The level above which the alert begins.
	Above *decimal.Number `json:"above,omitempty"`

	// The level below which the alert begins.
	Below *decimal.Number `json:"below,omitempty"`

	// The alert ends when the fold is no longer beyond this level, which is the
	// threshold or not as far out. Default: the threshold.
	Clear *decimal.Number `json:"clear,omitempty"`

	// The shortest time between two beginnings, from 1s to 7d. If the fold is still
	// beyond the threshold when it is over, the alert begins then. Default: none.
	Cooldown caddy.Duration `json:"cooldown,omitempty"`

	// The audience: "room" is everybody, "key" only the connections that have sent
	// readings of that key, or have claimed it. The latter needs each. Default: room.
	To string `json:"to,omitempty"`

	// What is told when the alert begins. {key}, {value}, {fold}, {threshold} and
	// {alert} stand for what led to it; {key} is empty where time did and each is
	// not set. Default: a sentence with all of them.
	Message string `json:"message,omitempty"`
}

// The audiences of an alert.
const (
	toRoom = "room"
	toKey  = "key"
)

// unmarshal reads an alert from a Caddyfile; d stands on the option's name.
func (a *Alert) unmarshal(d *caddyfile.Dispenser) error {
	words := d.RemainingArgs()
	if len(words) > 0 {
		a.Name, words = words[0], words[1:]
	}
	if i := slices.Index(words, "each"); i == 0 {
		a.Each, words = true, words[1:]
	}
	if len(words) != 3 || words[1] != "above" && words[1] != "below" {
		return d.Errf("an alert is %s", alertSyntax)
	}
	a.Fold = words[0]
	if err := a.setThreshold(words[1], words[2]); err != nil {
		return d.WrapErr(err)
	}
	return options.Set{
		"clear":    decimal.Option(&a.Clear),
		"cooldown": options.Duration(&a.Cooldown),
		"to":       options.Word(&a.To, toRoom, toKey),
		"message":  options.Text(&a.Message),
	}.Block(d, "alert")
}

const alertSyntax = "<name> [each] <fold> above|below <threshold>, such as: alert warning max above 900"

func (a *Alert) setThreshold(direction, text string) error {
	level := new(decimal.Number)
	if direction == "above" {
		a.Above = level
	} else {
		a.Below = level
	}
	return level.Parse(text)
}

// threshold returns the level at which the alert begins.
func (a *Alert) threshold() decimal.Number {
	if a.Above != nil {
		return *a.Above
	}
	return *a.Below
}

// direction says on which side of the threshold the alert begins.
func (a *Alert) direction() string {
	if a.Above != nil {
		return "above"
	}
	return "below"
}

// clear returns the level at which the alert ends.
func (a *Alert) clear() decimal.Number {
	if a.Clear != nil {
		return *a.Clear
	}
	return a.threshold()
}

// wording returns the message with its placeholders.
func (a *Alert) wording() string {
	switch {
	case a.Message != "":
		return a.Message
	case a.Each:
		return "{alert}: {fold} of {key} is {value}, " + a.direction() + " {threshold}"
	}
	return "{alert}: {fold} is {value}, " + a.direction() + " {threshold}"
}

// say returns what is told when the alert begins.
func (a *Alert) say(key, value string) string {
	return strings.NewReplacer(
		"{key}", key, "{value}", value, "{fold}", a.Fold, "{threshold}", a.threshold().String(), "{alert}", a.Name,
	).Replace(a.wording())
}
