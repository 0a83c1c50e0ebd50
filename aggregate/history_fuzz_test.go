package aggregate

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"testing"
)

// FuzzReadings holds that bytes with a right checksum are refused or give readings
// that can be used, and that what is stored of these comes back.
func FuzzReadings(f *testing.F) {
	for _, e := range readBook(f, "testdata/states.txt", 5) {
		p, err := hex.DecodeString(e.want)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(p[:len(p)-4], uint64(len(p)))
	}
	f.Fuzz(func(t *testing.T, body []byte, seed uint64) {
		random := rand.New(rand.NewPCG(seed, 0))
		r := New(randomRules(t, random))
		if err := r.UnmarshalBinary(sealed(bytes.Clone(body)...)); err != nil {
			return
		}
		checkStored(t, r)
		for range 5 {
			at := randomTime(random, r)
			if _, err := r.Add(at, []byte("key"), mustTotal(t, "1.5")); err != nil && err != ErrTooManyKeys {
				t.Fatal(err)
			}
			r.Advance(randomTime(random, r))
			checkStored(t, r)
		}
	})
}

func checkStored(t *testing.T, r *Readings) {
	t.Helper()
	again := restarted(t, r, r.rules)
	if got, want := describe(again), describe(r); got != want {
		t.Fatalf("came back as %s, want %s", got, want)
	}
}

// FuzzHistories holds that a history comes out as in the naive twin.
func FuzzHistories(f *testing.F) {
	f.Add(uint64(1), []byte("\x00\x01\x42\xff"))
	f.Fuzz(func(t *testing.T, seed uint64, choices []byte) {
		random := rand.New(rand.NewPCG(seed, 0))
		h := newHistory(t, randomRules(t, random))
		for _, c := range choices[:min(len(choices), 50)] {
			h.step(randomStep(t, rand.New(rand.NewPCG(seed, uint64(c))), h), map[string]int{})
		}
	})
}
