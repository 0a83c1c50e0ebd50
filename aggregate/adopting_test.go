package aggregate

import (
	"math/rand/v2"
	"slices"
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
	checkStale(t, before, after)
	// It goes on: nothing is left over once everything has left.
	after.Advance(after.at + max(rules.Window, 60))
	if summary := after.Summary(); rules.Window > 0 && (summary.Count != 0 || keysOf(after) != "" || len(after.whole.lows)+len(after.whole.highs) > 0) {
		t.Fatalf("%+v, now %+v: %s", before.rules, rules, describe(after))
	}
}

// checkStale checks that readings whose rules have changed say so if there is something to
// tell of that, that all of it is told by one call, and not again.
func checkStale(t *testing.T, before, r *Readings) {
	t.Helper()
	next, ok := r.Next()
	stale, bytes, count := r.stale, r.bytes, r.Count()
	changes := r.Advance(r.at)
	inTime := ok && next == r.at
	if len(changes) > 0 && !inTime || stale && (!inTime || len(changes) == 0 && r.Count() == count) {
		t.Fatalf("%+v, now %+v: %d changes, next %d, %t", before.rules, r.rules, len(changes), next, ok)
	}
	removed := slices.ContainsFunc(changes, func(c Change) bool { return c.Removed != nil })
	if stored, _ := before.MarshalBinary(); removed != (bytes != nil) || removed && string(stored) != string(bytes) {
		t.Fatalf("%+v, now %+v: %d bytes are kept, want those that were stored", before.rules, r.rules, len(bytes))
	}
	again := restarted(t, r, r.rules)
	if changes := slices.Concat(r.Advance(r.at), again.Advance(again.at)); again.stale || len(changes) > 0 {
		t.Fatalf("%+v, now %+v: told again: %v", before.rules, r.rules, changes)
	}
}

// Of an alert that is not there any more it is known whom it was told to.
func TestAnAlertThatIsRemovedIsKnown(t *testing.T) {
	threshold := parseThreshold(t, "each:max>900")
	threshold.ToKey = true
	r := New(Rules{MaxKeys: 1, Thresholds: []Threshold{threshold}})
	if _, err := r.Add(1, []byte("a"), mustTotal(t, "950")); err != nil {
		t.Fatal(err)
	}
	r = restarted(t, r, Rules{MaxKeys: 1})
	changes := restarted(t, r, Rules{MaxKeys: 1}).Advance(1)
	if len(changes) != 1 || changes[0].Key != "a" || changes[0].Threshold != -1 || changes[0].Removed == nil {
		t.Fatalf("%+v", changes)
	}
	if was := changes[0].Removed; was.Name != threshold.Name || !was.Each || !was.ToKey {
		t.Errorf("%+v", was)
	}
}

func keysOf(r *Readings) string {
	var b strings.Builder
	for key, newest := range r.Keys() {
		b.WriteString(key + "=" + newest.String() + " ")
	}
	return b.String()
}
