package aggregate

import "github.com/cockroachdb/apd/v3"

// What folds need beyond Number.Add. Sums of readings stay within the bounds of a
// total whatever is added: fewer than 2^64 numbers of at most 30 digits before
// the point make one of at most 50.

const meanDigits = 12 // significant digits of a mean

// dividing yields three digits more than a mean has. Its rounding never ends on a
// last digit 0 or 5 unless the quotient is exact, so that rounding once more, to
// fewer digits, goes the way that rounding the exact quotient would.
var dividing = apd.Context{
	Precision:   meanDigits + 3,
	MaxExponent: apd.MaxExponent,
	MinExponent: apd.MinExponent,
	Rounding:    apd.Round05Up,
}

// rounding cuts digits off; its precision is only what a coefficient may have.
var rounding = apd.Context{
	Precision:   maxTotalWhole + maxFraction,
	MaxExponent: apd.MaxExponent,
	MinExponent: apd.MinExponent,
	Rounding:    apd.RoundHalfEven,
}

// plus returns n + m, which must be within the bounds of a total.
func (n Number) plus(m Number) Number {
	var sum Number
	must(exact.Add(&sum.value, &n.value, &m.value))
	sum.value.Reduce(&sum.value)
	return sum
}

// minus returns n - m, which must be within the bounds of a total.
func (n Number) minus(m Number) Number {
	var difference Number
	must(exact.Sub(&difference.value, &n.value, &m.value))
	difference.value.Reduce(&difference.value)
	return difference
}

// product returns n × count exactly. It may be beyond the bounds of a total, and
// is for comparing only.
func product(n Number, count uint64) Number {
	var product, factor Number
	factor.value.Coeff.SetUint64(count)
	must(exact.Mul(&product.value, &n.value, &factor.value))
	return product
}

// quotient returns sum / count, rounded as [Summary.Mean] has it.
func quotient(sum Number, count uint64) Number {
	var long, short, divisor Number
	divisor.value.Coeff.SetUint64(count)
	must(dividing.Quo(&long.value, &sum.value, &divisor.value))
	first := long.value.NumDigits() + int64(long.value.Exponent) // digits before the point
	exponent := max(int32(first)-meanDigits, -maxFraction)
	must(rounding.Quantize(&short.value, &long.value, exponent))
	short.value.Reduce(&short.value)
	if short.value.IsZero() {
		return Number{}
	}
	return short
}

// fromCount returns count as a number.
func fromCount(count uint64) Number {
	var n Number
	n.value.Coeff.SetUint64(count)
	n.value.Reduce(&n.value)
	return n
}

// must holds that arithmetic within the bounds cannot fail.
func must(_ apd.Condition, err error) {
	if err != nil {
		panic("aggregate: " + err.Error())
	}
}
