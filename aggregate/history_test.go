package aggregate

import (
	"bytes"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// Random histories, with restarts in them, come out as in the naive twin.
func TestReadingsAgreeWithTheTwin(t *testing.T) {
	r := newRand(t)
	seen := map[string]int{}
	for range 200 {
		h := newHistory(t, randomRules(t, r))
		for range 1 + r.IntN(60) {
			h.step(randomStep(t, r, h), seen)
		}
	}
	for _, what := range []string{"reading", "advance", "restart", ErrTooManyKeys.Error(), "raised true", "raised false", "gone true", "waits"} {
		if seen[what] < 10 {
			t.Errorf("%q was seen %d times: the generator is lopsided", what, seen[what])
		}
	}
}

// history is one history, told to the readings and to the twin.
type history struct {
	t        testing.TB
	readings *Readings
	twin     *twinHistory
	told     []string
}

// step is one call.
type step struct {
	what  string // reading, advance or restart
	at    int64
	key   string
	value Number
}

func newHistory(t testing.TB, rules Rules) *history {
	return &history{t: t, readings: New(rules), twin: newTwinHistory(rules), told: []string{fmt.Sprintf("%+v", rules)}}
}

func (h *history) step(s step, seen map[string]int) {
	h.t.Helper()
	h.told = append(h.told, fmt.Sprintf("%s at %d %q %s", s.what, s.at, s.key, s.value))
	seen[s.what]++
	var changes []Change
	var want []string
	switch s.what {
	case "reading":
		var err, wantErr error
		value, _ := new(big.Rat).SetString(s.value.String())
		changes, err = h.readings.Add(s.at, []byte(s.key), s.value)
		want, wantErr = h.twin.add(s.at, s.key, value)
		h.equal("error", fmt.Sprint(err), fmt.Sprint(wantErr))
		if err != nil {
			seen[err.Error()]++
		}
	case "advance":
		changes, want = h.readings.Advance(s.at), h.twin.advance(s.at)
	case "restart":
		h.readings = restarted(h.t, h.readings, h.readings.rules)
	}
	h.equal("changes", describeChanges(changes), strings.Join(want, "\n"))
	h.equal("state", describe(h.readings), h.twin.String())
	h.note(describeChanges(changes), seen)
}

func (h *history) note(changes string, seen map[string]int) {
	for _, what := range []string{"raised true", "raised false", "gone true"} {
		seen[what] += strings.Count(changes, what)
	}
	alarms := h.readings.alarms
	for _, s := range h.readings.sorted {
		alarms = slices.Concat(alarms, s.alarms)
	}
	if slices.ContainsFunc(alarms, func(a alarm) bool { return a.waits }) {
		seen["waits"]++
	}
}

func (h *history) equal(what, got, want string) {
	h.t.Helper()
	if got != want {
		h.t.Fatalf("%s\n%s:\n got %s\nwant %s", strings.Join(h.told, "\n"), what, got, want)
	}
}

// restarted returns r as it comes back under the rules, and checks on the way that
// the same readings have the same bytes.
func restarted(t testing.TB, r *Readings, rules Rules) *Readings {
	t.Helper()
	p := marshal(t, r)
	again := New(rules)
	if err := again.UnmarshalBinary(p); err != nil {
		t.Fatalf("%x: %v", p, err)
	}
	clear(p) // it keeps nothing
	same := New(r.rules)
	if err := same.UnmarshalBinary(marshal(t, r)); err != nil || !bytes.Equal(marshal(t, same), marshal(t, r)) {
		t.Fatalf("%x came back as %x, %v", marshal(t, r), marshal(t, same), err)
	}
	return again
}

func marshal(t testing.TB, r *Readings) []byte {
	t.Helper()
	p, err := r.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// describe tells everything that can be asked of readings, as the twin does.
func describe(r *Readings) string {
	var b strings.Builder
	summary := r.Summary()
	for f := range Fold(len(foldNames)) {
		value, ok := summary.Value(f)
		if !ok {
			fmt.Fprintf(&b, "no %v, ", f)
			continue
		}
		fmt.Fprintf(&b, "%v %s, ", f, value)
	}
	for key, newest := range r.Keys() {
		fmt.Fprintf(&b, "%q=%s, ", key, newest)
	}
	var names []string
	isRaised := make([]bool, len(r.rules.Thresholds))
	for _, change := range raised(r) {
		names = append(names, describeChanges([]Change{change}))
		isRaised[change.Threshold] = true
	}
	for i, want := range isRaised {
		if r.IsRaised(i) != want {
			return fmt.Sprintf("threshold %d is raised: %t", i, !want)
		}
	}
	if r.Count() != summary.Count {
		return fmt.Sprintf("count %d", r.Count())
	}
	next, ok := r.Next()
	if ok != (next != never) {
		return fmt.Sprintf("next %d, %t", next, ok)
	}
	fmt.Fprintf(&b, "raised %q, next %d", names, next)
	return b.String()
}

func describeChanges(changes []Change) string {
	var lines []string
	for _, c := range changes {
		lines = append(lines, fmt.Sprintf("%d %q raised %t gone %t value %s", c.Threshold, c.Key, c.Raised, c.Gone, c.Value))
	}
	return strings.Join(lines, "\n")
}

func randomRules(t testing.TB, r *rand.Rand) Rules {
	rules := Rules{
		Window:  []int64{0, 0, -1, 1, 60, 119, 6000, 60e9, 7 * 86400e9}[r.IntN(9)],
		Latest:  r.IntN(3) == 0,
		MaxKeys: 1 + r.IntN(5),
	}
	for i := range r.IntN(5) {
		rules.Thresholds = append(rules.Thresholds, randomThreshold(t, r, i, rules.Window))
	}
	return rules
}

func randomThreshold(t testing.TB, r *rand.Rand, i int, window int64) Threshold {
	threshold := Threshold{
		Name: fmt.Sprint("t", i), Fold: Fold(r.IntN(len(foldNames))),
		Each: r.IntN(2) == 0, Below: r.IntN(2) == 0,
		Level: mustTotal(t, fmt.Sprint(r.IntN(11)-5)),
	}
	threshold.Clear = threshold.Level
	if r.IntN(2) == 0 {
		inwards := r.IntN(4)
		if !threshold.Below {
			inwards = -inwards
		}
		threshold.Clear = threshold.Level.plus(mustTotal(t, fmt.Sprint(inwards)))
	}
	if r.IntN(2) == 0 {
		threshold.Cooldown = []int64{-1, 1, 10, max(window, 10) / 2, max(window, 10) * 2}[r.IntN(5)]
	}
	return threshold
}

func randomStep(t testing.TB, r *rand.Rand, h *history) step {
	s := step{what: pick(r, "reading", "reading", "reading", "reading", "reading", "advance", "restart")}
	s.at = randomTime(r, h.readings)
	s.key = []string{"a", "ab", "abc", "b", "press-4", ""}[r.IntN(6)]
	s.value = mustTotal(t, fmt.Sprint(r.IntN(21)-10))
	if r.IntN(8) == 0 {
		s.value = randomNumber(t, r)
	}
	return s
}

// randomTime is now, a little later, at a border, after a leap, or earlier.
func randomTime(r *rand.Rand, readings *Readings) int64 {
	width := max(readings.width, 1)
	now := readings.at
	next, ok := readings.Next()
	if ok && r.IntN(4) == 0 {
		return next - r.Int64N(2)
	}
	return now + []int64{
		0, 1, r.Int64N(width) + 1, width, width * r.Int64N(60), 60 * width, 61*width + r.Int64N(width),
		86400e9, -r.Int64N(now + 1), -86400e9,
	}[r.IntN(10)]
}

// raised returns all alerts that are raised, in the order of thresholds and keys.
func raised(r *Readings) (all []Change) {
	for i := range r.rules.Thresholds {
		if r.alarms[i].raised {
			whole := r.Summary()
			all = append(all, r.change(i, &whole, "", true))
		}
		for key := range r.Keys() {
			for change := range r.RaisedOf(key) {
				if change.Threshold == i {
					all = append(all, change)
				}
			}
		}
	}
	return all
}
