package aggregate

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
)

// sizes are totals apd keeps in 64 bits, in 128 bits, and behind a pointer that
// copies share.
var sizes = []string{
	"0", "-2.5", "18446744073709551615",
	"12345678901234567890123456789.5",
	"-987654321098765432109876543210987654321098765432109876543219.987654321098765432109876543219",
}

func TestZeroValueIsZero(t *testing.T) {
	var n Number
	if n.String() != "0" || n.Cmp(mustTotal(t, "-0")) != 0 {
		t.Errorf("the zero value is %s", n)
	}
	if got := add(t, n, mustTotal(t, "5")); got.String() != "5" {
		t.Errorf("0 + 5 = %s", got)
	}
}

func TestAddingLeavesOperandsAndCopiesAlone(t *testing.T) {
	for _, xText := range sizes {
		for _, yText := range sizes {
			x, y := mustTotal(t, xText), mustTotal(t, yText)
			xCopy, yCopy := x, y
			for range 3 {
				x = add(t, x, mustTotal(t, "1e-30"))
				_, _ = x.Add(y)
				_, _ = y.Add(y)
				_ = x.Cmp(y)
			}
			if xCopy.String() != xText || y.String() != yText || yCopy.String() != yText {
				t.Errorf("%s became %s, %s became %s and its copy %s", xText, xCopy, yText, y, yCopy)
			}
		}
	}
}

func TestUnmarshalTextLeavesCopiesAlone(t *testing.T) {
	for _, text := range sizes {
		n := mustTotal(t, text)
		before := n
		for _, next := range sizes {
			if err := n.UnmarshalText([]byte(next)); err != nil || n.String() != next {
				t.Fatalf("reading %s: %s, %v", next, n, err)
			}
		}
		if before.String() != text {
			t.Errorf("the copy of %s became %s", text, before)
		}
	}
}

func TestRefusedTextLeavesTheNumberAsItWas(t *testing.T) {
	for _, text := range sizes {
		n := mustTotal(t, text)
		for _, bad := range []string{"", "x", "1e60", "1e-31", strings.Repeat("1", 129)} {
			if err := n.UnmarshalText([]byte(bad)); err == nil {
				t.Errorf("%q accepted", bad)
			}
		}
		if n.String() != text {
			t.Errorf("%s became %s", text, n)
		}
	}
}

func TestNumberDoesNotKeepTheText(t *testing.T) {
	for _, text := range sizes {
		typed := []byte(text)
		n := mustTotal(t, "0")
		if err := n.UnmarshalText(typed); err != nil {
			t.Fatal(err)
		}
		clear(typed)
		if n.String() != text {
			t.Errorf("%s became %s when its text was overwritten", text, n)
		}
	}
}

// The race detector is the judge here: goroutines use one value in every way,
// as operand on both sides, and each must see it unchanged.
func TestNumbersMayBeSharedByGoroutines(t *testing.T) {
	shared := make([]Number, len(sizes))
	for i, text := range sizes {
		shared[i] = mustTotal(t, text)
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() { useAll(t, shared) })
	}
	group.Wait()
}

func useAll(t *testing.T, shared []Number) {
	for round := range 200 {
		for i, n := range shared {
			other := &shared[(i+round)%len(shared)]
			_, _ = shared[i].Add(*other)
			_ = shared[i].Cmp(*other)
			_, _ = Sum{Total: *other}.Add(n)
			if shared[i].String() != sizes[i] {
				t.Errorf("%s became %s", sizes[i], shared[i])
			}
		}
	}
}

func TestSumSurvivesJSON(t *testing.T) {
	for _, text := range sizes {
		document, err := json.Marshal(Sum{Total: mustTotal(t, text)})
		if err != nil {
			t.Fatal(err)
		}
		var back Sum
		if err := json.Unmarshal(document, &back); err != nil || back.Total.String() != text {
			t.Errorf("%s came back as %s, %v", document, back.Total, err)
		}
	}
}

func TestSumLeavesTheStateBeforeAlone(t *testing.T) {
	for _, text := range sizes {
		before := Sum{Total: mustTotal(t, text)}
		after, err := before.Add(mustTotal(t, "0.5"))
		if err != nil {
			t.Fatal(err)
		}
		if before.Total.String() != text || after.Total.Cmp(before.Total) != 1 {
			t.Errorf("%s: before %s, after %s", text, before.Total, after.Total)
		}
	}
}

// One message (parse, add, append) allocates nothing while the typed number, the
// total before and the total after, written with the same number of digits after
// the point and the point left out, each fit in 64 bits.
func TestAllocations(t *testing.T) {
	for _, w := range workloads {
		if got := testing.AllocsPerRun(200, newMessage(t, w.total, w.text)); got > w.allocs {
			t.Errorf("%s: %v allocations a message, want at most %v", w.name, got, w.allocs)
		}
	}
}

// Refusing a text allocates nothing, whatever it announces.
func TestRefusingAllocatesNothing(t *testing.T) {
	for _, text := range []string{"x", "1e1000000000", "1e-1000000000", strings.Repeat("9", 128), strings.Repeat("9", 1<<20)} {
		typed := []byte(text)
		refuse := func() {
			if _, err := ParseNumber(typed); err == nil {
				t.Fatalf("%.20s accepted", text)
			}
		}
		if got := testing.AllocsPerRun(200, refuse); got != 0 {
			t.Errorf("%.20s: %v allocations", text, got)
		}
	}
}
