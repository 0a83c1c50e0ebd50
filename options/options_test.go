package options

import (
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// values are what one block can set.
type values struct {
	flag     bool
	text     string
	word     string
	texts    []string
	size     int
	duration caddy.Duration
	orOff    caddy.Duration
}

func (v *values) set() Set {
	return Set{
		"flag":     Flag(&v.flag),
		"text":     Text(&v.text),
		"word":     Word(&v.word, "yes", "no"),
		"texts":    Texts(&v.texts),
		"size":     Size(&v.size),
		"duration": Duration(&v.duration),
		"or_off":   DurationOrOff(&v.orOff),
	}
}

// parse reads `test { <block> }` as an app with all options.
func parse(block string) (v values, err error) {
	d := caddyfile.NewTestDispenser("test {\n" + block + "\n}")
	return v, v.set().App(d)
}

func TestOptionsSetTheirTargets(t *testing.T) {
	for block, check := range map[string]func(v values) bool{
		"":                     func(v values) bool { return !v.flag && v.text == "" && v.texts == nil && v.size == 0 },
		"flag":                 func(v values) bool { return v.flag },
		"text a":               func(v values) bool { return v.text == "a" },
		`text "a b"`:           func(v values) bool { return v.text == "a b" },
		`text "{"`:             func(v values) bool { return v.text == "{" },
		"word no":              func(v values) bool { return v.word == "no" },
		"texts a":              func(v values) bool { return strings.Join(v.texts, "|") == "a" },
		`texts a "b c" d`:      func(v values) bool { return strings.Join(v.texts, "|") == "a|b c|d" },
		"size 1":               func(v values) bool { return v.size == 1 },
		"size 64KiB":           func(v values) bool { return v.size == 65536 },
		"size 64kb":            func(v values) bool { return v.size == 64000 },
		`size "1.5 MiB"`:       func(v values) bool { return v.size == 3<<19 },
		"size 1GiB":            func(v values) bool { return v.size == 1<<30 },
		"duration 1ns":         func(v values) bool { return v.duration == 1 },
		"duration 1h30m":       func(v values) bool { return v.duration == caddy.Duration(90*time.Minute) },
		"duration 2d":          func(v values) bool { return v.duration == caddy.Duration(48*time.Hour) },
		"or_off 25s":           func(v values) bool { return v.orOff == caddy.Duration(25*time.Second) },
		"or_off off":           func(v values) bool { return v.orOff == Off && Off < 0 },
		"flag\ntext a\nsize 2": func(v values) bool { return v.flag && v.text == "a" && v.size == 2 },
	} {
		v, err := parse(block)
		if err != nil || !check(v) {
			t.Errorf("%q: %+v, %v", block, v, err)
		}
	}
}

func TestWrongOptionsAreErrors(t *testing.T) {
	const needs = "expected one of duration, flag, or_off, size, text, texts, word"
	for block, want := range map[string]string{
		"flags":                     `unknown option "flags" of test, ` + needs,
		"Flag":                      `unknown option "Flag" of test, ` + needs,
		`""`:                        `unknown option "" of test, ` + needs,
		"flag\nflags":               `unknown option "flags" of test, ` + needs,
		"flag\nflag":                `option "flag" is given twice`,
		"text a\nflag\ntext a":      `option "text" is given twice`,
		"flag true":                 `unexpected argument "true" of option "flag"`,
		"text":                      `option "text" needs a value`,
		`text ""`:                   `the value behind "text" is empty`,
		"text a b":                  `unexpected argument "b" of option "text"`,
		"text a {\nflag\n}":         `unknown option "{" of test, ` + needs,
		"text {\nflag\n}":           `option "text" needs a value`,
		"word":                      `option "word" needs one of yes, no`,
		"word maybe":                `option "word" needs one of yes, no`,
		`word ""`:                   `option "word" needs one of yes, no`,
		"word yes no":               `unexpected argument "no" of option "word"`,
		"texts":                     `option "texts" needs at least one value`,
		`texts a ""`:                `a value of option "texts" is empty`,
		"size":                      `option "size" needs a value`,
		"size x":                    `option "size": "x" is not a size such as 64KiB`,
		"size -1":                   `option "size": "-1" is not a size such as 64KiB`,
		"size 0":                    `option "size": size 0 is not from 1 B to 1 GiB`,
		"size 0.5":                  `option "size": size 0.5 is not from 1 B to 1 GiB`,
		"size 1073741825":           `option "size": size 1073741825 is not from 1 B to 1 GiB`,
		"size 15EiB":                `option "size": size 15EiB is not from 1 B to 1 GiB`,
		"size 1KiB 2KiB":            `unexpected argument "2KiB" of option "size"`,
		"duration":                  `option "duration" needs a value`,
		"duration 5":                `option "duration": "5" is not a duration such as 25s`,
		"duration off":              `option "duration": "off" is not a duration such as 25s`,
		"duration 0s":               `option "duration": duration 0s is not positive`,
		"duration -1ns":             `option "duration": duration -1ns is not positive`,
		"duration 9999999999h":      `option "duration": "9999999999h" is not a duration such as 25s`,
		"or_off":                    `option "or_off" needs a value`,
		"or_off no":                 `option "or_off": "no" is not a duration such as 25s`,
		"or_off -1ns":               `option "or_off": duration -1ns is not positive`,
		"or_off 0":                  `option "or_off": duration 0 is not positive, write off to do without`,
		"or_off off off":            `unexpected argument "off" of option "or_off"`,
		"text a\nsize x\nunknown b": `option "size": "x" is not a size such as 64KiB`,
	} {
		_, err := parse(block)
		if err == nil || !strings.HasPrefix(err.Error(), want+", at Testfile:") {
			t.Errorf("%q: got %v, want %s", block, err, want)
		}
	}
}

func TestErrorsTellTheLine(t *testing.T) {
	_, err := parse("flag\ntext a\nsize x")
	if err == nil || !strings.HasSuffix(err.Error(), ", at Testfile:4") {
		t.Errorf("got %v", err)
	}
}

func TestAppTakesNoArguments(t *testing.T) {
	for input, want := range map[string]string{
		"test":            "",
		"test {\n}":       "",
		"test x":          `unexpected argument "x" of test, at`,
		"test x {\n}":     `unexpected argument "x" of test`,
		"test {\nflag\n}": `unknown option "flag" of test, there are none here`,
	} {
		err := Set{}.App(caddyfile.NewTestDispenser(input))
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%q: got %v, want %q", input, err, want)
		}
	}
}

// An option with a block is named in what is wrong with it, not the app around it.
func TestOptionsWithABlock(t *testing.T) {
	for block, want := range map[string]string{
		"page {\ntext a\n}":       "",
		"page":                    "",
		"page text a":             `unexpected argument "text" of page, options stand in a block: page { text }, at Testfile:2`,
		"page a":                  `unexpected argument "a" of page, at Testfile:2`,
		"page {\npage\n}":         `unknown option "page" of page, expected one of duration, flag`,
		"page {\nflag\n}\ntext a": `unknown option "text" of test, expected one of page`,
	} {
		var inner values
		err := Set{"page": inner.set().Option}.App(caddyfile.NewTestDispenser("test {\n" + block + "\n}"))
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%q: got %v, want %q", block, err, want)
		}
	}
}

// A block ends where it ends: what follows is the caller's.
func TestBlockLeavesTheRest(t *testing.T) {
	var inner, outer values
	d := caddyfile.NewTestDispenser("test {\ninner {\ntext a\n}\ntext b\n}")
	set := outer.set()
	set["inner"] = func(d *caddyfile.Dispenser) error { return inner.set().Block(d, "inner") }
	if err := set.App(d); err != nil || inner.text != "a" || outer.text != "b" {
		t.Errorf("inner %q, outer %q, %v", inner.text, outer.text, err)
	}
}

// An option that is a list is read each time that it is given, the others once.
func TestListsMayBeGivenSeveralTimes(t *testing.T) {
	read := func(block string) (all []string, err error) {
		var one string
		set := Set{"one": Text(&one), "many": func(d *caddyfile.Dispenser) error {
			var text string
			err := Text(&text)(d)
			all = append(all, text)
			return err
		}}
		err = set.App(caddyfile.NewTestDispenser("test {\n"+block+"\n}"), "many")
		return all, err
	}
	if all, err := read("many a\none x\nmany b\nmany a"); err != nil || strings.Join(all, " ") != "a b a" {
		t.Errorf("read %q, %v", all, err)
	}
	for block, want := range map[string]string{
		"many a\none x\none y": `option "one" is given twice`,
		"many a\nmany":         `option "many" needs a value`,
		"many a\nmany b c":     `unexpected argument "c" of option "many"`,
	} {
		if _, err := read(block); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", block, err, want)
		}
	}
}
