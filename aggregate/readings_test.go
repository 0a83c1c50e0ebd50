package aggregate

import (
	"bytes"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestReadingsFollowTheLabBook(t *testing.T) {
	for _, e := range readBook(t, "testdata/readings.txt", 50) {
		rules, calls, ok := strings.Cut(e.input, "|")
		if !ok {
			t.Fatalf("%s:%d: no bar", e.file, e.line)
		}
		e.check(t, runBook(t, parseRules(t, rules), calls))
	}
}

func TestMeansFollowTheLabBook(t *testing.T) {
	for _, e := range readBook(t, "testdata/means.txt", 30) {
		r := New(Rules{MaxKeys: 1})
		for text := range strings.FieldsSeq(e.input) {
			if _, err := r.Add(0, nil, mustTotal(t, text)); err != nil {
				t.Fatal(err)
			}
		}
		summary := r.Summary()
		e.check(t, summary.Mean().String())
	}
}

func TestNamesOfFolds(t *testing.T) {
	for name := range strings.FieldsSeq("sum count min max mean last") {
		if f, ok := ParseFold(name); !ok || f.String() != name {
			t.Errorf("%s is %v, %t", name, f, ok)
		}
	}
	for _, name := range []string{"", "Sum", "median", "sum "} {
		if f, ok := ParseFold(name); ok {
			t.Errorf("%q is %v", name, f)
		}
	}
}

// runBook carries out calls and tells what comes of them.
func runBook(t *testing.T, rules Rules, calls string) string {
	r := New(rules)
	var told []string
	for i, part := range strings.Split(calls, "restart") {
		if i > 0 {
			r = restarted(t, r, rules)
		}
		told = append(told, carryOut(t, r, part)...)
	}
	return strings.TrimSpace(strings.Join(append(told, "|", bookFolds(r)), " "))
}

// carryOut carries out calls as they stand in the lab book, and tells the changes
// and refusals.
func carryOut(t *testing.T, r *Readings, calls string) (told []string) {
	t.Helper()
	at := r.at
	for call := range strings.FieldsSeq(calls) {
		changes, err := []Change(nil), error(nil)
		if key, value, isReading := strings.Cut(call, "="); isReading {
			changes, err = r.Add(at, []byte(key), mustTotal(t, value))
		} else if call == "." {
			changes = r.Advance(at)
		} else {
			at = seconds(t, strings.TrimPrefix(call, "@"))
		}
		if err != nil {
			told = append(told, err.Error())
		}
		for _, c := range changes {
			told = append(told, bookChange(r.rules, c))
		}
	}
	return told
}

func bookChange(rules Rules, c Change) string {
	sign, value := "-", c.Value.String()
	if c.Raised {
		sign = "+"
	}
	if c.Gone {
		value = "gone"
	}
	threshold := c.Removed
	if threshold == nil {
		threshold = &rules.Thresholds[c.Threshold]
	} else {
		value = "removed"
	}
	name, _, _ := strings.Cut(threshold.Name, ",")
	return fmt.Sprintf("%s%s(%s)=%s", sign, name, c.Key, value)
}

func bookFolds(r *Readings) string {
	var folds []string
	summary := r.Summary()
	for _, name := range []string{"sum", "count", "min", "max", "mean", "last"} {
		fold, known := ParseFold(name)
		if value, ok := summary.Value(fold); ok && known && fold.String() == name {
			folds = append(folds, name+" "+value.String())
		}
	}
	return strings.Join(folds, " ")
}

// A caller that keeps what it has made of all keys is told each that has had a reading, or
// that all have to be looked at.
func TestFreshReadings(t *testing.T) {
	r := New(Rules{Window: 60e9, Latest: true, MaxKeys: 100})
	visit := func() string {
		var b strings.Builder
		known := r.VisitFresh(func(place int, key string, newest Number) { fmt.Fprint(&b, place, key, "=", newest, " ") })
		return fmt.Sprint(b.String(), known)
	}
	check := func(calls, want string) {
		t.Helper()
		carryOut(t, r, calls)
		if got := visit(); got != want {
			t.Errorf("after %s: %s, want %s", calls, got, want)
		}
	}
	check("", "false")
	check("", "true")
	check("@10 b=5", "false") // it has come
	check("b=6", "0b=6 true")
	check("a=1", "false")
	check("b=7 a=2 b=8", "1b=8 0a=2 1b=8 true")
	check(strings.Repeat("b=9 ", maxFresh), strings.Repeat("1b=9 ", maxFresh)+"true")
	check(strings.Repeat("b=9 ", maxFresh+1), "false") // they are too many
	check("", "true")
	check("@69 b=1", "1b=1 true")
	check("@75 b=2", "false") // a has gone
	r = restarted(t, r, r.rules)
	check("b=3", "false")
	check("b=4", "0b=4 true")
}

func parseRules(t testing.TB, text string) Rules {
	rules := Rules{MaxKeys: 100}
	for word := range strings.FieldsSeq(text) {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "window":
			rules.Window = seconds(t, value)
		case "latest":
			rules.Latest = true
		case "keys":
			fmt.Sscan(value, &rules.MaxKeys)
		default:
			rules.Thresholds = append(rules.Thresholds, parseThreshold(t, word))
		}
	}
	return rules
}

func parseThreshold(t testing.TB, word string) Threshold {
	threshold := Threshold{Name: word, Below: strings.Contains(word, "<")}
	text, each := strings.CutPrefix(word, "each:")
	name, levels, _ := strings.Cut(strings.Replace(text, "<", ">", 1), ">")
	fold, ok := ParseFold(name)
	if !ok {
		t.Fatalf("there is no fold %q", name)
	}
	parts := strings.Split(levels+",,", ",")
	threshold.Each, threshold.Fold = each, fold
	threshold.Level = mustTotal(t, parts[0])
	threshold.Clear = threshold.Level
	if parts[1] != "" {
		threshold.Clear = mustTotal(t, parts[1])
	}
	if parts[2] != "" {
		threshold.Cooldown = seconds(t, parts[2])
	}
	return threshold
}

func seconds(t testing.TB, text string) int64 {
	t.Helper()
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		t.Fatalf("%q are no seconds", text)
	}
	return r.Mul(r, big.NewRat(int64(time.Second), 1)).Num().Int64()
}

func TestLongKeysAreRefused(t *testing.T) {
	r := New(Rules{MaxKeys: 2})
	if _, err := r.Add(5, bytes.Repeat([]byte("k"), 65), mustTotal(t, "1")); err != ErrKeyTooLong {
		t.Errorf("got %v", err)
	}
	if _, err := r.Add(3, bytes.Repeat([]byte("k"), 64), mustTotal(t, "1")); err != nil || r.at != 3 {
		t.Errorf("got %v, time %d", err, r.at)
	}
}

// A refused reading leaves the time as it was too, and what would leave by then.
func TestRefusedReadingsChangeNothing(t *testing.T) {
	r := New(parseRules(t, "keys=1 window=60"))
	carryOut(t, r, "@0 a=1 @50 a=2")
	before := marshal(t, r)
	if told := carryOut(t, r, "@65 b=3"); len(told) != 1 || told[0] != ErrTooManyKeys.Error() {
		t.Fatalf("told %q", told)
	}
	if !bytes.Equal(marshal(t, r), before) {
		t.Error("something has changed")
	}
}

func TestKeysAreNotKept(t *testing.T) {
	r, key := New(Rules{MaxKeys: 2}), []byte("a")
	for range 2 {
		if _, err := r.Add(0, key, mustTotal(t, "1")); err != nil {
			t.Fatal(err)
		}
		key[0]++
	}
	if got := keysOf(r); got != "a=1 b=1 " {
		t.Errorf("the keys are %s", got)
	}
}

func TestIterationMayStop(t *testing.T) {
	r := New(parseRules(t, "max>0 each:max>0"))
	carryOut(t, r, "a=1 b=2")
	for key := range r.Keys() {
		if key != "a" {
			t.Errorf("got on to %s", key)
		}
		break
	}
	r = New(parseRules(t, "max>0 each:max>0 each:min>0"))
	carryOut(t, r, "a=1 b=2")
	for stop := range 2 {
		var got []int
		for c := range r.RaisedOf("a") {
			if got = append(got, c.Threshold); len(got) > stop {
				break
			}
		}
		if want := []int{1, 2}[:stop+1]; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	for c := range r.RaisedOf("c") {
		t.Errorf("%+v of a key that is not there", c)
	}
}

// Times at the end of time, where adding would overflow.
func TestNothingLeavesAfterTheEndOfTime(t *testing.T) {
	r := New(parseRules(t, "window=60 last>5,5,10"))
	for _, n := range []string{"6", "5", "6"} {
		if _, err := r.Add(never-1, nil, mustTotal(t, n)); err != nil {
			t.Fatal(err)
		}
	}
	if next, ok := r.Next(); ok {
		t.Errorf("next is %d", next)
	}
	if changes := r.Advance(never); len(changes) > 0 || r.Summary().Count != 3 {
		t.Errorf("got %v", changes)
	}
}

// The last slice that leaves before the end of time.
func TestSomethingLeavesAtTheEndOfTime(t *testing.T) {
	r := New(Rules{Window: 120, MaxKeys: 1}) // slices of 2 ns
	if _, err := r.Add((never/2-60)*2, nil, mustTotal(t, "6")); err != nil {
		t.Fatal(err)
	}
	if next, ok := r.Next(); !ok || next != never-1 {
		t.Errorf("next is %d, %t", next, ok)
	}
}

// The values between two calls never change: what was handed out stays true.
func TestSummariesStayTrue(t *testing.T) {
	r := New(parseRules(t, ""))
	carryOut(t, r, "a=123456789012345678901234567890.5 b=-98765432109876543210987654321.25")
	before := r.Summary()
	sum, low, high := before.Sum.String(), before.Min.String(), before.Max.String()
	for range 100 {
		carryOut(t, r, "a=-323456789012345678901234567890.5 b=923456789012345678901234567890.125")
	}
	if before.Sum.String() != sum || before.Min.String() != low || before.Max.String() != high {
		t.Errorf("the summary became %v", before)
	}
}

// A reading of a key that is known allocates nothing under any rules, as long as the
// numbers are ordinary.
func TestReadingsAllocateNothing(t *testing.T) {
	for _, rules := range benchmarkRules {
		for _, keys := range []int{1, 100, 1000} {
			add := newLoad(t, rules, keys)
			for range 70 * keys { // until no slice grows any more
				add()
			}
			if got := testing.AllocsPerRun(1000, add); got > 0 {
				t.Errorf("%s, %d keys: %v allocations", rules, keys, got)
			}
		}
	}
}
