package aggregate

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the property tests; 0 takes another one each time")

const cases = 5000

func TestParsingAgreesWithTheTwin(t *testing.T) {
	seen := make(map[error]int)
	eachCase(t, func(t *testing.T, r *rand.Rand) {
		text := randomText(r)
		n, err := ParseNumber([]byte(text))
		want, wantErr := twinParse(text, 30, ErrTooLarge)
		checkTwin(t, fmt.Sprintf("%q", text), n, err, want, wantErr)
		seen[err]++
	})
	for _, err := range []error{nil, ErrNotNumber, ErrTooLarge, ErrTooFine, ErrTooLong} {
		if seen[err] < cases/200 {
			t.Errorf("only %d of %d texts led to the error %v: the generator is lopsided", seen[err], cases, err)
		}
	}
}

func TestTotalsParseAsTheTwin(t *testing.T) {
	eachCase(t, func(t *testing.T, r *rand.Rand) {
		text := randomText(r)
		var n Number
		err := n.UnmarshalText([]byte(text))
		want, wantErr := twinParse(text, 60, ErrTotalTooLarge)
		checkTwin(t, fmt.Sprintf("%q", text), n, err, want, wantErr)
	})
}

func TestAddingAgreesWithTheTwin(t *testing.T) {
	var refused int
	eachCase(t, func(t *testing.T, r *rand.Rand) {
		x, y := randomTotal(t, r), randomTotal(t, r)
		got, err := x.Add(y)
		want, wantErr := twinAdd(rat(t, x), rat(t, y))
		checkTwin(t, fmt.Sprintf("%s + %s", x, y), got, err, want, wantErr)
		if err != nil {
			refused++
		}
	})
	if refused == 0 || refused == cases {
		t.Errorf("%d of %d additions refused: the generator is lopsided", refused, cases)
	}
}

func TestSumAgreesWithTheTwin(t *testing.T) {
	var s Sum
	total := new(big.Rat)
	eachCase(t, func(t *testing.T, r *rand.Rand) {
		n := randomNumber(t, r)
		next, err := s.Add(n)
		want, wantErr := twinAdd(total, rat(t, n))
		checkTwin(t, fmt.Sprintf("%s + %s", s.Total, n), next.Total, err, want, wantErr)
		s, total = next, want
	})
}

func TestComparingAgreesWithTheTwin(t *testing.T) {
	eachCase(t, func(t *testing.T, r *rand.Rand) {
		x, y := randomTotal(t, r), randomTotal(t, r)
		if r.IntN(4) == 0 {
			y = mustTotal(t, x.String())
		}
		if got, want := x.Cmp(y), rat(t, x).Cmp(rat(t, y)); got != want {
			t.Fatalf("%s against %s: got %d, want %d", x, y, got, want)
		}
	})
}

func TestAddingIsCommutative(t *testing.T) {
	eachCase(t, func(t *testing.T, r *rand.Rand) {
		x, y := randomTotal(t, r), randomTotal(t, r)
		xy, err1 := x.Add(y)
		yx, err2 := y.Add(x)
		if err1 != err2 || xy.Cmp(yx) != 0 || xy.String() != yx.String() {
			t.Fatalf("%s and %s: %s (%v) one way, %s (%v) the other", x, y, xy, err1, yx, err2)
		}
	})
}

func TestAddingIsAssociative(t *testing.T) {
	eachCase(t, func(t *testing.T, r *rand.Rand) {
		x, y, z := randomNumber(t, r), randomNumber(t, r), randomNumber(t, r)
		left, right := add(t, add(t, x, y), z), add(t, x, add(t, y, z))
		if left.Cmp(right) != 0 || left.String() != right.String() {
			t.Fatalf("%s, %s, %s: %s and %s", x, y, z, left, right)
		}
	})
}

func TestTotalDoesNotDependOnTheOrder(t *testing.T) {
	r := newRand(t)
	for range 50 {
		numbers := make([]Number, 100)
		for i := range numbers {
			numbers[i] = randomNumber(t, r)
		}
		first := addUp(t, numbers)
		r.Shuffle(len(numbers), func(i, j int) { numbers[i], numbers[j] = numbers[j], numbers[i] })
		if again := addUp(t, numbers); again.String() != first.String() {
			t.Fatalf("%s, shuffled %s", first, again)
		}
	}
}

func TestSubtractingBackGivesTheFormerTotal(t *testing.T) {
	eachCase(t, func(t *testing.T, r *rand.Rand) {
		x, y := randomNumber(t, r), randomNumber(t, r)
		minus := mustTotal(t, twinText(new(big.Rat).Neg(rat(t, y))))
		if got := add(t, add(t, x, y), minus); got.String() != x.String() {
			t.Fatalf("%s + %s - %s = %s", x, y, y, got)
		}
		if got := add(t, y, minus); got.String() != "0" || got.Cmp(Number{}) != 0 {
			t.Fatalf("%s - %s = %s", y, y, got)
		}
	})
}

func TestTextRoundTrip(t *testing.T) {
	eachCase(t, func(t *testing.T, r *rand.Rand) {
		n := randomTotal(t, r)
		text, err := n.MarshalText()
		if err != nil || string(text) != n.String() || !json.Valid(text) || len(text) > maxCanonical {
			t.Fatalf("MarshalText of %s: %s, %v", n, text, err)
		}
		appended, err := n.AppendText([]byte("total "))
		if err != nil || string(appended) != "total "+string(text) {
			t.Fatalf("AppendText of %s: %s, %v", n, appended, err)
		}
		if back := mustTotal(t, string(text)); back.Cmp(n) != 0 || back.String() != n.String() {
			t.Fatalf("%s read back as %s", n, back)
		}
	})
}

// eachCase runs check on many cases and names the seed to repeat them with.
func eachCase(t *testing.T, check func(t *testing.T, r *rand.Rand)) {
	r := newRand(t)
	for range cases {
		check(t, r)
	}
}

func newRand(t *testing.T) *rand.Rand {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("repeat with: go test ./aggregate -run '^%s$' -seed %d", t.Name(), seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func checkTwin(t *testing.T, what string, got Number, gotErr error, want *big.Rat, wantErr error) {
	t.Helper()
	if gotErr != wantErr {
		t.Fatalf("%s: error %v, want %v", what, gotErr, wantErr)
	}
	if wantErr == nil && got.String() != twinText(want) {
		t.Fatalf("%s: %s, want %s", what, got, twinText(want))
	}
}

// randomText is decimal notation most of the time, around the bounds often, and
// damaged sometimes.
func randomText(r *rand.Rand) string {
	text := randomDecimal(r, 62)
	if r.IntN(4) == 0 {
		text = strings.Repeat(" ", r.IntN(130-min(len(text), 129))) + text + pick(r, "", " ", "\r\n", "\t")
	}
	if r.IntN(5) == 0 {
		at := r.IntN(len(text) + 1)
		text = text[:at] + pick(r, ".", "-", "e", "_", " ", "\x00", "0", "x", "N") + text[at:]
	}
	return text
}

// randomDecimal has up to most digits on each side of the point, before the
// exponent.
func randomDecimal(r *rand.Rand, most int) string {
	text := pick(r, "", "", "-", "+") + randomDigits(r, most) + pick(r, "", "."+randomDigits(r, most))
	return text + pick(r, "", "", fmt.Sprintf("%s%d", pick(r, "e", "E", "e+", "e-"), randomExponent(r)))
}

func randomDigits(r *rand.Rand, most int) string {
	n := min(most, []int{r.IntN(4), r.IntN(20), 19 + r.IntN(2), 29 + r.IntN(3), 59 + r.IntN(3)}[r.IntN(5)])
	switch r.IntN(5) {
	case 0:
		return strings.Repeat("9", n)
	case 1:
		return strings.Repeat("0", n)
	case 2:
		return ("1" + strings.Repeat("0", n))[:n]
	}
	digits := make([]byte, n)
	for i := range digits {
		digits[i] = '0' + byte(r.IntN(10))
	}
	return string(digits)
}

func randomExponent(r *rand.Rand) uint64 {
	return []uint64{r.Uint64N(5), r.Uint64N(40), 28 + r.Uint64N(5), 58 + r.Uint64N(5), r.Uint64()}[r.IntN(5)]
}

// randomNumber is one that ParseNumber accepts.
func randomNumber(t testing.TB, r *rand.Rand) Number {
	return randomAccepted(t, func() (Number, error) { return ParseNumber([]byte(randomDecimal(r, 31))) })
}

// randomTotal has up to 60 digits before the point.
func randomTotal(t *testing.T, r *rand.Rand) (n Number) {
	return randomAccepted(t, func() (n Number, err error) {
		err = n.UnmarshalText([]byte(randomDecimal(r, 61)))
		return n, err
	})
}

func randomAccepted(t testing.TB, generate func() (Number, error)) Number {
	for range 1000 {
		if n, err := generate(); err == nil {
			return n
		}
	}
	t.Fatal("the generator finds no number that is accepted")
	return Number{}
}

func pick(r *rand.Rand, from ...string) string {
	return from[r.IntN(len(from))]
}

func rat(t *testing.T, n Number) *big.Rat {
	t.Helper()
	x, ok := new(big.Rat).SetString(n.String())
	if !ok {
		t.Fatalf("math/big does not read %s", n)
	}
	return x
}

func add(t *testing.T, x, y Number) Number {
	t.Helper()
	sum, err := x.Add(y)
	if err != nil {
		t.Fatalf("adding %s to %s: %v", y, x, err)
	}
	return sum
}

func addUp(t *testing.T, numbers []Number) Number {
	t.Helper()
	var s Sum
	for _, n := range numbers {
		s = Sum{Total: add(t, s.Total, n)}
	}
	return s.Total
}
