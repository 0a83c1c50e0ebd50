package aggregate

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// benchmarkRules are one of each kind, with an alert.
var benchmarkRules = []string{
	"max>1e9",
	"each:max>1e9 max>1e9",
	"latest window=60 max>1e9",
	"latest window=60 each:last>1e9 max>1e9",
	"window=60 mean>1e9",
	"window=60 each:max>1e9 mean>1e9",
}

func BenchmarkReadings(b *testing.B) {
	for _, rules := range benchmarkRules {
		for _, keys := range []int{1, 100, 1000} {
			b.Run(fmt.Sprintf("%s/%d", rules, keys), func(b *testing.B) {
				add := newLoad(b, rules, keys)
				b.ReportAllocs()
				for b.Loop() {
					add()
				}
			})
		}
	}
}

// BenchmarkWorstLatest is the source that has the greatest reading, which comes down
// each time, so that the greatest is looked for among all.
func BenchmarkWorstLatest(b *testing.B) {
	r := New(parseRules(b, "latest keys=1000 max>1e9"))
	for i := range 1000 {
		if _, err := r.Add(0, fmt.Append(nil, "key-", i), mustTotal(b, fmt.Sprintf("%d.%d", i, i%10))); err != nil {
			b.Fatal(err)
		}
	}
	high, low := mustTotal(b, "5000"), mustTotal(b, "0")
	for b.Loop() {
		for _, n := range []Number{high, low} {
			if _, err := r.Add(0, []byte("key-0"), n); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkReadingsMarshal(b *testing.B) {
	for _, rules := range benchmarkRules {
		b.Run(rules, func(b *testing.B) {
			keys := 1000
			if rules == "window=60 each:max>1e9 mean>1e9" {
				keys = 100
			}
			r := New(parseRules(b, fmt.Sprintf("%s keys=%d", rules, keys)))
			load := loadOf(b, r, keys)
			for range 60 * keys {
				load()
			}
			b.ReportAllocs()
			for b.Loop() {
				if p, err := r.MarshalBinary(); err != nil {
					b.Fatal(err)
				} else {
					b.ReportMetric(float64(len(p)), "B/state")
				}
			}
		})
	}
}

// newLoad returns a function that adds a reading of one of so many keys, with the
// time running so that a window of a minute holds 60 readings of each.
func newLoad(tb testing.TB, rules string, keys int) func() {
	return loadOf(tb, New(parseRules(tb, fmt.Sprintf("%s keys=%d", rules, keys))), keys)
}

func loadOf(tb testing.TB, r *Readings, keys int) func() {
	random := rand.New(rand.NewPCG(1, 2))
	numbers := make([]Number, 4096)
	for i := range numbers {
		numbers[i] = mustTotal(tb, fmt.Sprintf("%d.%d", 200+random.IntN(700), random.IntN(10)))
	}
	names := make([][]byte, keys)
	for i := range names {
		names[i] = fmt.Appendf(nil, "press-%d", i)
	}
	at, i := int64(1e18), 0
	return func() {
		if _, err := r.Add(at, names[i%keys], numbers[i%len(numbers)]); err != nil {
			tb.Fatal(err)
		}
		at += 1e9 / int64(keys)
		i++
	}
}
