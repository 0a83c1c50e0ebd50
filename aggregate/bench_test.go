package aggregate

import "testing"

// workloads are what a room sees, from a vote counter to the largest numbers
// allowed. allocs is what one message costs: parse, add to the total, append the
// new total's text. TestAllocations holds it.
var workloads = []struct {
	name        string
	total, text string
	allocs      float64
}{
	{"integer", "123456", "6", 0},
	{"short decimal", "1234.75", "-2.5", 0},
	{"integer plus decimal", "123456", "0.001", 0},
	{"exponent", "0.25", "1.5e3", 0},
	{"64 bits", "9000000000000000000", "-8999999999999999999", 0},
	{"128 bits", "12345678901234567890123456789", "0.25", 7},
	{"many zeros to drop", "100000000000000000000000000000.000000000000000000000000000001", "-1e-30", 5},
	{"30 and 30 digits", "123456789012345678901234567890.123456789012345678901234567891", "987654321098765432109876543210.987654321098765432109876543219", 13},
}

func BenchmarkMessage(b *testing.B) {
	for _, w := range workloads {
		b.Run(w.name, func(b *testing.B) {
			message := newMessage(b, w.total, w.text)
			b.ReportAllocs()
			for b.Loop() {
				message()
			}
		})
	}
}

func BenchmarkParseNumber(b *testing.B) {
	for _, w := range workloads {
		b.Run(w.name, func(b *testing.B) {
			text := []byte(w.text)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseNumber(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkNumberAdd(b *testing.B) {
	for _, w := range workloads {
		b.Run(w.name, func(b *testing.B) {
			x, y := mustTotal(b, w.total), mustTotal(b, w.text)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := x.Add(y); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkNumberAppendText(b *testing.B) {
	for _, w := range workloads {
		b.Run(w.name, func(b *testing.B) {
			n, dst := mustTotal(b, w.total), make([]byte, 0, maxCanonical)
			b.ReportAllocs()
			for b.Loop() {
				dst, _ = n.AppendText(dst[:0])
			}
		})
	}
}

// BenchmarkRefuse shows that no text is dear to refuse.
func BenchmarkRefuse(b *testing.B) {
	for _, text := range []string{"abc", "1e1000000000", "1e-1000000000"} {
		b.Run(text, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseNumber([]byte(text)); err == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}

// newMessage returns the work of one message: parse text, add it to total,
// append the new total into a buffer that is there already.
func newMessage(tb testing.TB, total, text string) func() {
	state, typed := Sum{Total: mustTotal(tb, total)}, []byte(text)
	dst := make([]byte, 0, maxCanonical)
	return func() {
		n, err := ParseNumber(typed)
		if err != nil {
			tb.Fatal(err)
		}
		next, err := state.Add(n)
		if err != nil {
			tb.Fatal(err)
		}
		dst, _ = next.Total.AppendText(dst[:0])
	}
}

func mustTotal(tb testing.TB, text string) Number {
	tb.Helper()
	var n Number
	if err := n.UnmarshalText([]byte(text)); err != nil {
		tb.Fatalf("reading %q: %v", text, err)
	}
	return n
}
