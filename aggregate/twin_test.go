package aggregate

import (
	"math/big"
	"regexp"
	"strings"
)

// The naive twin: the rules once more, in math/big, with a regular expression
// for the grammar. It shares nothing with the package but the errors.

var notation = regexp.MustCompile(`^[ \t\r\n]*([+-]?)(?:([0-9]+)(?:\.([0-9]*))?|\.([0-9]+))(?:[eE]([+-]?[0-9]+))?[ \t\r\n]*$`)

// twinParse is ParseNumber, with whole as the number of digits allowed before
// the point and tooLarge as the error beyond.
func twinParse(text string, whole int64, tooLarge error) (*big.Rat, error) {
	if len(text) > 128 {
		return nil, ErrTooLong
	}
	part := notation.FindStringSubmatch(text)
	if part == nil {
		return nil, ErrNotNumber
	}
	fraction := part[3] + part[4]
	mantissa, _ := new(big.Int).SetString(part[2]+fraction, 10)
	exponent, _ := new(big.Int).SetString("0"+part[5], 10)
	if part[5] != "" {
		exponent, _ = new(big.Int).SetString(part[5], 10)
	}
	if mantissa.Sign() == 0 {
		return new(big.Rat), nil
	}
	if exponent.Cmp(big.NewInt(5000)) > 0 {
		return nil, tooLarge
	}
	if exponent.Cmp(big.NewInt(-5000)) < 0 {
		return nil, ErrTooFine
	}
	value := new(big.Rat).Mul(new(big.Rat).SetInt(mantissa), twinPower(exponent.Int64()-int64(len(fraction))))
	if value.Cmp(twinPower(whole)) >= 0 {
		return nil, tooLarge
	}
	if !new(big.Rat).Mul(value, twinPower(30)).IsInt() {
		return nil, ErrTooFine
	}
	if part[1] == "-" {
		value.Neg(value)
	}
	return value, nil
}

// twinAdd is Number.Add.
func twinAdd(x, y *big.Rat) (*big.Rat, error) {
	sum := new(big.Rat).Add(x, y)
	if new(big.Rat).Abs(sum).Cmp(twinPower(60)) >= 0 {
		return nil, ErrTotalTooLarge
	}
	return sum, nil
}

// twinText is the canonical text.
func twinText(x *big.Rat) string {
	return strings.TrimSuffix(strings.TrimRight(x.FloatString(30), "0"), ".")
}

func twinPower(exponent int64) *big.Rat {
	ten := big.NewInt(10)
	if exponent < 0 {
		return new(big.Rat).SetFrac(big.NewInt(1), ten.Exp(ten, big.NewInt(-exponent), nil))
	}
	return new(big.Rat).SetInt(ten.Exp(ten, big.NewInt(exponent), nil))
}
