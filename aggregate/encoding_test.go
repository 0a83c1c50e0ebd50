package aggregate

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestStatesHaveTheseBytes(t *testing.T) {
	for _, e := range readBook(t, "testdata/states.txt", 5) {
		rules, calls, _ := strings.Cut(e.input, "|")
		r := New(parseRules(t, rules))
		carryOut(t, r, calls)
		e.check(t, hex.EncodeToString(marshal(t, r)))
		p, err := hex.DecodeString(e.want)
		if err != nil {
			t.Fatal(err)
		}
		again := New(r.rules)
		if err := again.UnmarshalBinary(p); err != nil || describe(again) != describe(r) {
			t.Errorf("%s:%d: came back as %s, %v", e.file, e.line, describe(again), err)
		}
	}
}

// full returns readings with everything that can be stored.
func full(t *testing.T) *Readings {
	r := New(parseRules(t, "window=60 max>900 each:last>5,4,10"))
	carryOut(t, r, "@1000 a=6 @1001 a=3 @1002 b=950 @1003 a=7 abc=-12345678901234567890123.5")
	return r
}

// One wrong bit, a cut and bytes too many are all noticed, and nothing changes.
func TestDamagedStatesAreRefused(t *testing.T) {
	p := marshal(t, full(t))
	r := full(t)
	refused := func(damaged []byte) {
		t.Helper()
		if err := r.UnmarshalBinary(damaged); !errors.Is(err, errDamaged) {
			t.Fatalf("%x: %v", damaged, err)
		}
	}
	for i := range len(p) * 8 {
		damaged := bytes.Clone(p)
		damaged[i/8] ^= 1 << (i % 8)
		refused(damaged)
	}
	for i := range p {
		refused(p[:i])
	}
	refused(append(bytes.Clone(p), 0))
	refused(nil)
	if describe(r) != describe(full(t)) {
		t.Errorf("the readings became %s", describe(r))
	}
}

// A cut is noticed wherever it is, even if the checksum is right.
func TestCutStatesAreRefused(t *testing.T) {
	p := marshal(t, full(t))
	body := p[:len(p)-crc32.Size]
	for i := range body {
		if err := New(Rules{}).UnmarshalBinary(sealed(bytes.Clone(body[:i])...)); !errors.Is(err, errDamaged) {
			t.Errorf("the first %d bytes: %v", i, err)
		}
	}
	if err := New(Rules{}).UnmarshalBinary(sealed(bytes.Clone(body)...)); err != nil {
		t.Error(err)
	}
}

func TestLaterVersionsAreRefused(t *testing.T) {
	err := New(Rules{}).UnmarshalBinary(sealed(2))
	if err == nil || errors.Is(err, errDamaged) || err.Error() != "decoding readings: version 2, expected 1" {
		t.Errorf("got %v", err)
	}
}

// sealed returns bytes with the checksum that belongs to them.
func sealed(p ...byte) []byte {
	return binary.BigEndian.AppendUint32(p, crc32.Checksum(p, castagnoli))
}

// Bytes with a right checksum that no readings have.
func TestContradictionsAreRefused(t *testing.T) {
	const head = "01 02 0a 64" // width 10 ns, at 100 ns: slice 10
	for _, c := range []struct{ what, p string }{
		{"unknown flag", "01 04 00 00 00 1e00 00 00 00 00"},
		{"width beyond int64", "01 00 80808080808080808001 00 00 1e00 00 00 00 00"},
		{"varint too long", "01 00 8080808080808080808001 00 00 1e00 00 00 00 00"},
		{"more thresholds than bytes", "01 00 00 00 7f"},
		{"threshold's name cut", head + "01 05 41"},
		{"threshold's flag", head + "01 01 41 04 00 1e00 00 00 00 00"},
		{"unknown flag of an alarm", head + "01 01 41 00 08 1e00 00 00 00 00"},
		{"alarm before the beginning", head + "01 01 41 00 04 65 1e00 00 00 00 00"},
		{"exponent too large", head + "00 5a0101 00 00 00 00"},
		{"number too large", head + "00 3c0101 00 00 00 00"},
		{"coefficient too long", head + "00 1e27" + strings.Repeat("01", 39) + "00 00 00 00"},
		{"coefficient of 61 digits", head + "00 001a" + hex.EncodeToString(digits61()) + "00 00 00 00"},
		{"coefficient with a zero before it", head + "00 1e020005 00 00 00 00"},
		{"coefficient not reduced", head + "00 1e010a 00 00 00 00"},
		{"minus zero", head + "00 9e00 00 00 00 00"},
		{"zero with an exponent", head + "00 1f00 00 00 00 00"},
		{"slice before the first", head + "00 1e00 01 0b 01 1e0105 01 0b 1e0105 01 0b 1e0105 00"},
		{"slice without readings", head + "00 1e00 01 00 00 1e0105 01 00 1e0105 01 00 1e0105 00"},
		{"slice with too many readings", head + "00 1e00 01 00 8180808080808080 01 1e0105 01 00 1e0105 01 00 1e0105 00"},
		{"slices in disorder", head + "00 1e00 02 00 01 1e0105 01 01 1e0105 01 00 1e0105 01 00 1e0105 00"},
		{"slice twice", head + "00 1e00 02 00 01 1e0105 00 01 1e0105 01 00 1e0105 01 00 1e0105 00"},
		{"no low", head + "00 1e00 01 00 01 1e0105 00 01 00 1e0105 00"},
		{"no high", head + "00 1e00 01 00 01 1e0105 01 00 1e0105 00 00"},
		{"low without readings", head + "00 1e00 00 01 00 1e0105 00 00"},
		{"last low too old", head + "00 1e00 01 00 01 1e0105 01 01 1e0105 01 00 1e0105 00"},
		{"lows in disorder", head + "00 1e00 01 00 01 1e0105 02 00 1e0103 00 1e0105 01 00 1e0105 00"},
		{"lows fall", head + "00 1e00 01 00 01 1e0105 02 01 1e0105 00 1e0103 01 00 1e0105 00"},
		{"lows equal", head + "00 1e00 01 00 01 1e0105 02 01 1e0105 00 1e0105 01 00 1e0105 00"},
		{"highs rise", head + "00 1e00 01 00 01 1e0105 01 00 1e0105 02 01 1e0103 00 1e0105 00"},
		{"more sources than bytes", head + "00 1e00 00 00 00 05"},
		{"key shares too much", head + "00 1e00 00 00 00 01 01 00 1e0105 00"},
		{"key too long", head + "00 1e00 00 00 00 01 00 41" + strings.Repeat("61", 65) + "1e0105 00"},
		{"key too long with what it shares", head + "00 1e00 00 00 00 02 00 01 61 1e0105 00 01 40" + strings.Repeat("61", 64) + "1e0105 00"},
		{"keys in disorder", head + "00 1e00 00 00 00 02 00 01 62 1e0105 00 00 01 61 1e0105 00"},
		{"key twice", head + "00 1e00 00 00 00 02 00 01 61 1e0105 00 01 00 1e0105 00"},
		{"empty key twice", head + "00 1e00 00 00 00 02 00 00 1e0105 00 00 00 1e0105 00"},
		{"own window of another slice", head + "01 01 41 01 1e00 00 00 00 01 00 01 61 1e0105 01" +
			"01 00 01 1e0105 01 00 1e0105 01 00 1e0105 00"},
		{"something behind it", head + "00 1e00 00 00 00 00 00"},
	} {
		p, err := hex.DecodeString(strings.ReplaceAll(c.p, " ", ""))
		if err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		if err := New(Rules{}).UnmarshalBinary(sealed(p...)); !errors.Is(err, errDamaged) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	for _, p := range []string{
		head + "00 1e00 00 00 00 00",
		head + "00 1e00 01 00 01 1e0105 02 01 1e0103 00 1e0105 01 00 1e0105 00",
		head + "00 1e00 00 00 00 02 00 01 61 1e0105 00 01 01 61 1e0105 00",
		head + "01 01 41 01 1e00 00 00 00 01 00 01 61 1e0105 00 01 00 01 1e0105 01 00 1e0105 01 00 1e0105 00",
		head + "01 01 41 00 04 64 1e00 00 00 00 00",
		head + "00 1e00 01 0a 80808080808080 8001 1e0105 01 0a 1e0105 01 0a 1e0105 00",
	} {
		decoded, err := hex.DecodeString(strings.ReplaceAll(p, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if err := New(Rules{}).UnmarshalBinary(sealed(decoded...)); err != nil {
			t.Errorf("%s: %v, although nothing is wrong with it", p, err)
		}
	}
}

// digits61 is a number of 61 digits, 31 of them before the point with exponent -30.
func digits61() []byte {
	n, _ := new(big.Int).SetString("1"+strings.Repeat("0", 59)+"1", 10)
	return n.Bytes()
}

func TestLargestNumbersComeBack(t *testing.T) {
	for _, text := range []string{strings.Repeat("9", 60) + "." + strings.Repeat("9", 30), "-1e59", "1e-30", "18446744073709551615", "18446744073709551616", "255", "256"} {
		n := mustTotal(t, text)
		d := decoder{p: appendNumber(nil, n)}
		if back := d.number(maxTotalWhole); d.damaged || len(d.p) > 0 || back.Cmp(n) != 0 {
			t.Errorf("%s came back as %s", text, back)
		}
	}
}

func TestNumbersComeBack(t *testing.T) {
	eachCase(t, func(t *testing.T, r *rand.Rand) {
		n := randomTotal(t, r)
		p := appendNumber(nil, n)
		d := decoder{p: p}
		if back := d.number(maxTotalWhole); d.damaged || len(d.p) > 0 || back.String() != n.String() || len(p) > 2+maxCoefficient {
			t.Fatalf("%s came back as %s from %x", n, back, p)
		}
	})
}

// A state is stored whole at each commit: ordinary ones are small, and even the
// largest fits.
func TestSizes(t *testing.T) {
	ordinary := func(i int) string { return fmt.Sprintf("%d.%d", 100+i*7%900, i%10) }
	fine := func(i int) string {
		return fmt.Sprintf("%d%028d.%029d7", 1+i%9, i*7919, i)
	}
	long := func(i int) string { return fmt.Sprintf("%04d-%059d", i*7919%10000, i) }
	short := func(i int) string { return fmt.Sprintf("press-%d", i) }
	for _, c := range []struct {
		rules  string
		keys   int
		each   int
		key    func(int) string
		number func(int) string
		most   int
	}{
		{"latest window=60", 1000, 1, short, ordinary, 16 << 10},
		{"latest window=60", 1000, 3, long, fine, 120 << 10},
		{"each:max>900", 1000, 3, short, ordinary, 40 << 10},
		{"each:max>900", 1000, 3, long, fine, 210 << 10},
		{"window=60 each:max>900", 100, 60, short, ordinary, 80 << 10},
		{"window=60 each:max>900", 100, 60, long, fine, 512 << 10},
	} {
		rules := parseRules(t, c.rules)
		rules.MaxKeys = c.keys
		r := New(rules)
		for i := range c.each * c.keys {
			key, at := c.key(i%c.keys), int64(i/c.keys)*1e9
			if _, err := r.Add(at, []byte(key), mustTotal(t, c.number(i))); err != nil {
				t.Fatal(err)
			}
		}
		got := len(marshal(t, r))
		t.Logf("%s with %d keys, %d readings of each such as %s=%s: %d bytes", c.rules, c.keys, c.each, c.key(1), c.number(1), got)
		if got > c.most {
			t.Errorf("more than %d", c.most)
		}
		if describe(restarted(t, r, rules)) != describe(r) {
			t.Error("it does not come back")
		}
	}
}
