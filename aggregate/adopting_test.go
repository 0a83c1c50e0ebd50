package aggregate

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// What becomes of readings when the rules change: old rules and calls, new rules and
// calls, and everything told under the new ones.
func TestRulesMayChange(t *testing.T) {
	for _, e := range readBook(t, "testdata/changes.txt", 20) {
		before, after, ok := strings.Cut(e.input, "=>")
		if !ok {
			t.Fatalf("%s:%d: no =>", e.file, e.line)
		}
		rules, calls, _ := strings.Cut(before, "|")
		r := New(parseRules(t, rules))
		carryOut(t, r, calls)
		rules, calls, _ = strings.Cut(after, "|")
		r = restarted(t, r, parseRules(t, rules))
		told := carryOut(t, r, calls)
		e.check(t, strings.TrimSpace(strings.Join(append(told, "|", bookFolds(r)), " ")))
	}
}

// Whatever the rules were and become, readings go on: the keys and their newest
// readings stay, and every fold of a window of the same length.
func TestKeysOutliveChangesOfRules(t *testing.T) {
	r := newRand(t)
	for range 200 {
		h := newHistory(t, randomRules(t, r))
		for range r.IntN(30) {
			h.step(randomStep(t, r, h), map[string]int{})
		}
		checkChange(t, r, h.readings)
	}
}

func checkChange(t *testing.T, r *rand.Rand, before *Readings) {
	t.Helper()
	rules := randomRules(t, r)
	after := restarted(t, before, rules)
	if got, want := keysOf(after), keysOf(before); got != want {
		t.Fatalf("%+v, now %+v: keys %s, before %s", before.rules, rules, got, want)
	}
	if got, want := after.Summary(), before.Summary(); rules.width() == before.width && rules.Latest == before.rules.Latest && got.Sum.Cmp(want.Sum) != 0 {
		t.Fatalf("%+v, now %+v: sum %s, before %s", before.rules, rules, got.Sum, want.Sum)
	}
	again := restarted(t, after, rules)
	if describe(again) != describe(after) {
		t.Fatalf("%+v, now %+v: came back as %s, want %s", before.rules, rules, describe(again), describe(after))
	}
	// It goes on: nothing is left over once everything has left.
	after.Advance(after.at + max(rules.Window, 60))
	if summary := after.Summary(); rules.Window > 0 && (summary.Count != 0 || keysOf(after) != "" || len(after.whole.lows)+len(after.whole.highs) > 0) {
		t.Fatalf("%+v, now %+v: %s", before.rules, rules, describe(after))
	}
}

func keysOf(r *Readings) string {
	var b strings.Builder
	for key, newest := range r.Keys() {
		b.WriteString(key + "=" + newest.String() + " ")
	}
	return b.String()
}
