// Package options reads blocks of options in a Caddyfile the way every part of
// this module does: each option at most once, but for lists, and an unknown one is
// answered with the list of those there are. Apps of other modules may use it too.
//
//	var set = options.Set{"greet": options.Flag(&a.Greet)}
//	return set.App(d)
package options

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"
)

// Reader reads the arguments of one option; d stands on its name.
type Reader func(d *caddyfile.Dispenser) error

// Set is the options of a block by name.
type Set map[string]Reader

// Block reads the block of an app, engine or option that d stands before, if there is
// one. Every argument and nested block must have been read by its option. Errors name
// the owner of the block; hints are added to what is said of an unknown option.
func (s Set) Block(d *caddyfile.Dispenser, owner string, hints ...string) error {
	return s.block(d, owner, nil, hints...)
}

// block is Block with options that may be given several times.
func (s Set) block(d *caddyfile.Dispenser, owner string, lists []string, hints ...string) error {
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		read, known := s[name]
		switch {
		case !known:
			return d.Errf("unknown option %q of %s, %s", name, owner, strings.Join(append([]string{s.allowed()}, hints...), "; "))
		case seen[name]:
			return d.Errf("option %q is given twice", name)
		}
		seen[name] = !slices.Contains(lists, name)
		if err := read(d); err != nil {
			return naming(name, err)
		}
		if d.NextArg() {
			return d.Errf("unexpected argument %q of option %q", d.Val(), name)
		}
	}
	return nil
}

// wrongValue is an error about a value that does not say of which option it is.
type wrongValue struct{ error }

// Errf returns an error about a value, for a [Reader]: the block adds the name of the option.
func Errf(d *caddyfile.Dispenser, format string, args ...any) error {
	return wrongValue{d.Errf(format, args...)}
}

// naming adds the name of the option to an error about its value.
func naming(option string, err error) error {
	if wrong, ok := errors.AsType[wrongValue](err); ok {
		return fmt.Errorf("option %q: %w", option, wrong.error)
	}
	return err
}

// App reads an app or engine without arguments: its name, then its block. The options
// named as lists may be given several times; each time their Reader is called.
func (s Set) App(d *caddyfile.Dispenser, lists ...string) error {
	d.Next()
	return s.named(d, lists)
}

// Option reads an option without arguments that has a block. It is a [Reader].
func (s Set) Option(d *caddyfile.Dispenser) error { return s.named(d, nil) }

// named reads the block of what has the name that d stands on.
func (s Set) named(d *caddyfile.Dispenser, lists []string) error {
	owner := d.Val()
	if d.NextArg() {
		return d.Errf("unexpected argument %q of %s%s", d.Val(), owner, s.advice(owner, d.Val()))
	}
	return s.block(d, owner, lists)
}

// advice is the hint for an option that stands behind the name.
func (s Set) advice(owner, argument string) string {
	if s[argument] == nil {
		return ""
	}
	return fmt.Sprintf(", options stand in a block: %s { %s }", owner, argument)
}

func (s Set) allowed() string {
	if len(s) == 0 {
		return "there are none here"
	}
	return "expected one of " + strings.Join(slices.Sorted(maps.Keys(s)), ", ")
}

// Flag reads an option that is true by being there.
func Flag(target *bool) Reader {
	return func(*caddyfile.Dispenser) error {
		*target = true
		return nil
	}
}

// Text reads one argument that is not empty.
func Text(target *string) Reader {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		if !d.NextArg() {
			return d.Errf("option %q needs a value", name)
		}
		if d.Val() == "" {
			return d.Errf("the value behind %q is empty", name)
		}
		*target = d.Val()
		return nil
	}
}

// Word reads one of the allowed words.
func Word(target *string, allowed ...string) Reader {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		if !d.NextArg() || !slices.Contains(allowed, d.Val()) {
			return d.Errf("option %q needs one of %s", name, strings.Join(allowed, ", "))
		}
		*target = d.Val()
		return nil
	}
}

// MaxCount is the largest number an option may set.
const MaxCount = 100_000_000

// Count reads a number from 1.
func Count(target *int) Reader { return CountTo(target, MaxCount) }

// CountTo reads a number from 1 to a greatest one.
func CountTo(target *int, most int) Reader {
	return func(d *caddyfile.Dispenser) error {
		var text string
		if err := Text(&text)(d); err != nil {
			return err
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > most {
			return Errf(d, "%q is not a number from 1 to %d", text, most)
		}
		*target = n
		return nil
	}
}

// Texts reads one argument or more, none of them empty.
func Texts(target *[]string) Reader {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		*target = d.RemainingArgs()
		if len(*target) == 0 {
			return d.Errf("option %q needs at least one value", name)
		}
		if slices.Contains(*target, "") {
			return d.Errf("a value of option %q is empty", name)
		}
		return nil
	}
}

// maxSize is the largest size an option may set, in bytes.
const maxSize = 1 << 30

// Size reads a size such as 64KiB, in bytes, up to 1 GiB.
func Size(target *int) Reader {
	return func(d *caddyfile.Dispenser) error {
		var text string
		if err := Text(&text)(d); err != nil {
			return err
		}
		size, err := humanize.ParseBytes(text)
		if err != nil {
			return Errf(d, "%q is not a size such as 64KiB", text)
		}
		if size < 1 || size > maxSize {
			return Errf(d, "size %s is not from 1 B to 1 GiB", text)
		}
		*target = int(size)
		return nil
	}
}

// Duration reads a positive duration such as 25s.
func Duration(target *caddy.Duration) Reader {
	return func(d *caddyfile.Dispenser) error {
		var text string
		if err := Text(&text)(d); err != nil {
			return err
		}
		return parseDuration(d, text, target)
	}
}

// DurationOrOff reads a positive duration or the word off, which stands as -1.
func DurationOrOff(target *caddy.Duration) Reader {
	return func(d *caddyfile.Dispenser) error {
		var text string
		if err := Text(&text)(d); err != nil {
			return err
		}
		if text == "off" {
			*target = Off
			return nil
		}
		if text == "0" || text == "0s" {
			return Errf(d, "duration %s is not positive, write off to do without", text)
		}
		return parseDuration(d, text, target)
	}
}

// Off is how a rule that is switched off stands in the configuration.
const Off caddy.Duration = -1

func parseDuration(d *caddyfile.Dispenser, text string, target *caddy.Duration) error {
	duration, err := caddy.ParseDuration(text)
	if err != nil {
		return Errf(d, "%q is not a duration such as 25s", text)
	}
	if duration <= 0 {
		return Errf(d, "duration %s is not positive", text)
	}
	*target = caddy.Duration(duration)
	return nil
}
