package aggregate

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"

	"github.com/cockroachdb/apd/v3"
)

// Why a text or a result was refused. The messages are for whoever typed the
// number: they tell what to change, and are safe to send.
var (
	// ErrNotNumber: the text is not in decimal notation.
	ErrNotNumber = errors.New("not a number")
	// ErrTooLong: the text, blanks included, is longer than 128 bytes. Judged
	// first, so that a long text is never looked at.
	ErrTooLong = errors.New("longer than 128 bytes")
	// ErrTooLarge: the typed number is 10^30 or more, or -10^30 or less.
	ErrTooLarge = errors.New("more than 30 digits before the decimal point")
	// ErrTooFine: the number is not a multiple of 10^-30.
	ErrTooFine = errors.New("more than 30 digits after the decimal point")
	// ErrTotalTooLarge: a total would be 10^60 or more, or -10^60 or less.
	ErrTotalTooLarge = errors.New("total of more than 60 digits before the decimal point")
)

const (
	maxText        = 128 // bytes of a text to parse
	maxNumberWhole = 30  // digits before the point of a typed number
	maxTotalWhole  = 60  // digits before the point of a total
	maxFraction    = 30  // digits after the point of either

	// maxCanonical is the longest canonical text: sign, 60 digits, point, 30
	// digits. It is below maxText: whatever is written can be read.
	maxCanonical = 1 + maxTotalWhole + 1 + maxFraction

	// exponentCap stands for every larger exponent. With at most maxText
	// digits to shift, a number with this exponent is out of bounds on the same
	// side as with any beyond it.
	exponentCap = 1000

	// uint64Digits is how many decimal digits always fit in 64 bits.
	uint64Digits = 19

	blanks = " \t\r\n"
)

// exact does not round (precision 0) and turns into an error whatever would
// make a result differ from the exact one.
var exact = apd.Context{
	MaxExponent: apd.MaxExponent,
	MinExponent: apd.MinExponent,
	Traps:       apd.DefaultTraps | apd.Inexact | apd.Rounded | apd.Clamped,
}

// Number is an exact decimal of at most 60 digits before the decimal point and
// 30 after it. The zero value is 0.
//
// A Number is immutable: no method but UnmarshalText changes its receiver, and
// that one replaces it whole, leaving copies as they were. Copies may be used
// from several goroutines at once.
//
// Compare with [Number.Cmp]. The operator == does not compile, because equal
// numbers need not be represented alike.
type Number struct {
	_ [0]func() // not comparable

	// value is finite, never -0, and reduced: its coefficient does not end in
	// the digit 0. Only a function that has just declared it may write to it.
	value apd.Decimal
}

// ParseNumber reads decimal notation: an optional sign (+ or -), digits with at
// most one point among, before or after them, and an optional exponent (e or E,
// an optional sign, digits). Blanks around it (space, tab, CR, LF) are allowed,
// nothing else is: neither NaN, infinity, hexadecimal, underscores nor grouping.
//
// The text has at most 128 bytes, blanks included. With the exponent carried
// out, the number has at most 30 digits before the point and 30 after it,
// leading zeros and trailing zeros after the point not counted.
//
// The error is one of ErrTooLong, ErrNotNumber, ErrTooLarge and ErrTooFine, the
// first that applies in this order, and can be compared with ==. ParseNumber
// does not keep text. It is safe for concurrent use.
func ParseNumber(text []byte) (Number, error) {
	return parse(text, maxNumberWhole, ErrTooLarge)
}

// Add returns the exact sum of n and m, neither of which changes. It fails with
// ErrTotalTooLarge when the sum has more than 60 digits before the point.
func (n Number) Add(m Number) (Number, error) {
	var sum Number
	if _, err := exact.Add(&sum.value, &n.value, &m.value); err != nil {
		return Number{}, fmt.Errorf("adding %s to %s: %w", m, n, err)
	}
	sum.value.Reduce(&sum.value)
	if sum.value.NumDigits()+int64(sum.value.Exponent) > maxTotalWhole {
		return Number{}, ErrTotalTooLarge
	}
	return sum, nil
}

// Cmp returns -1 if n is less than m, 0 if they are equal and +1 if n is
// greater.
func (n Number) Cmp(m Number) int {
	return n.value.Cmp(&m.value)
}

// String returns the canonical text; see [Number.AppendText].
func (n Number) String() string {
	var buf [maxCanonical]byte
	return string(n.value.Append(buf[:0], 'f'))
}

// AppendText appends the canonical text of n to dst: no exponent, no zero at the
// end of a fraction, no point without a fraction, no zero in front but the one
// before the point, and never "-0". Equal numbers have equal texts, of at most
// 92 bytes, which are valid JSON numbers as well. The error is always nil.
func (n Number) AppendText(dst []byte) ([]byte, error) {
	return n.value.Append(dst, 'f'), nil
}

// MarshalText returns the canonical text; see [Number.AppendText]. The error is
// always nil. Note that encoding/json puts it in quotes.
func (n Number) MarshalText() ([]byte, error) {
	return n.AppendText(make([]byte, 0, maxCanonical))
}

// UnmarshalText sets n to the number in text. It reads what [ParseNumber] reads,
// but with a total's bound: 60 digits before the point, or else
// ErrTotalTooLarge. It therefore reads every text MarshalText writes; it is
// meant for stored totals, not for what users type. An error leaves n as it was.
//
// It is the one method that needs n to be not in use by other goroutines.
func (n *Number) UnmarshalText(text []byte) error {
	parsed, err := parse(text, maxTotalWhole, ErrTotalTooLarge)
	if err != nil {
		return err
	}
	*n = parsed
	return nil
}

// parse reads text as a number of at most maxWhole digits before the point, or
// else fails with tooLarge. Time and memory are bounded by maxText.
func parse(text []byte, maxWhole int, tooLarge error) (Number, error) {
	if len(text) > maxText {
		return Number{}, ErrTooLong
	}
	var buf [maxText]byte
	lit, ok := scan(buf[:0], bytes.Trim(text, blanks))
	switch {
	case !ok:
		return Number{}, ErrNotNumber
	case lit.whole() > maxWhole:
		return Number{}, tooLarge
	case lit.fraction() > maxFraction:
		return Number{}, ErrTooFine
	}
	return lit.number(), nil
}

// literal is a number as it was written, nothing computed yet:
// ±digits × 10^exponent.
type literal struct {
	negative bool
	digits   []byte // '0' to '9', neither first nor last is '0'; empty for zero
	exponent int    // 0 for zero; within ±(exponentCap + maxText)
}

// scan reads the whole of text, putting the digits into buf, which must have the
// capacity for them. It reports false when text is not in decimal notation.
func scan(buf, text []byte) (literal, bool) {
	negative, text := cutSign(text)
	digits, fraction, text := cutMantissa(buf, text)
	exponent, ok := scanExponent(text)
	if !ok || len(digits) == 0 {
		return literal{}, false
	}
	return newLiteral(negative, digits, exponent-fraction), true
}

// cutSign cuts one optional sign off the front of text.
func cutSign(text []byte) (negative bool, rest []byte) {
	if len(text) == 0 || text[0] != '-' && text[0] != '+' {
		return false, text
	}
	return text[0] == '-', text[1:]
}

// cutMantissa cuts digits with at most one point off the front of text. It
// appends the digits to buf and tells how many of them follow the point.
func cutMantissa(buf, text []byte) (digits []byte, fraction int, rest []byte) {
	digits, rest = cutDigits(buf, text)
	if len(rest) == 0 || rest[0] != '.' {
		return digits, 0, rest
	}
	whole := len(digits)
	digits, rest = cutDigits(digits, rest[1:])
	return digits, len(digits) - whole, rest
}

// cutDigits cuts digits, possibly none, off the front of text and appends them
// to buf.
func cutDigits(buf, text []byte) (digits, rest []byte) {
	n := 0
	for n < len(text) && isDigit(text[n]) {
		n++
	}
	return append(buf, text[:n]...), text[n:]
}

// scanExponent reads the whole of text as an exponent; the empty text is 0.
// What is beyond exponentCap comes out as exponentCap.
func scanExponent(text []byte) (exponent int, ok bool) {
	if len(text) == 0 {
		return 0, true
	}
	negative, digits := cutSign(text[1:])
	if text[0] != 'e' && text[0] != 'E' || len(digits) == 0 {
		return 0, false
	}
	for _, c := range digits {
		if !isDigit(c) {
			return 0, false
		}
		exponent = min(exponent*10+int(c-'0'), exponentCap)
	}
	if negative {
		exponent = -exponent
	}
	return exponent, true
}

func isDigit(c byte) bool {
	return '0' <= c && c <= '9'
}

// newLiteral drops the zeros around digits, carrying those at the end over to
// the exponent.
func newLiteral(negative bool, digits []byte, exponent int) literal {
	significant := bytes.TrimRight(digits, "0")
	exponent += len(digits) - len(significant)
	significant = bytes.TrimLeft(significant, "0")
	if len(significant) == 0 {
		return literal{}
	}
	return literal{negative, significant, exponent}
}

// whole returns how many digits the number has before the point; 0 or less if
// none.
func (l literal) whole() int {
	return len(l.digits) + l.exponent
}

// fraction returns how many digits the number has after the point; 0 or less if
// none.
func (l literal) fraction() int {
	return -l.exponent
}

// number returns the value of l, which must be within bounds.
func (l literal) number() Number {
	var n Number
	n.value.Negative = l.negative
	n.value.Exponent = int32(l.exponent)
	if len(l.digits) <= uint64Digits {
		n.value.Coeff.SetUint64(small(l.digits))
	} else {
		n.value.Coeff.SetString(string(l.digits), 10)
	}
	return n
}

// small returns the value of at most uint64Digits digits.
func small(digits []byte) uint64 {
	var v uint64
	for _, c := range digits {
		v = v*10 + uint64(c-'0')
	}
	return v
}

var (
	_ fmt.Stringer             = Number{}
	_ encoding.TextAppender    = Number{}
	_ encoding.TextMarshaler   = Number{}
	_ encoding.TextUnmarshaler = (*Number)(nil)
)
