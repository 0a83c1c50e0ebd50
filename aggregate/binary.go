package aggregate

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"

	"github.com/cockroachdb/apd/v3"
)

// Binary forms are made of bytes, varints as encoding/binary has them, and
// numbers. The first byte of a number is its exponent plus 30, and 128 more if it
// is negative. The second is how many bytes of the coefficient follow, the most
// significant first and not 0. A coefficient does not end in the decimal digit 0;
// that of the number 0 has no bytes, and the exponent is 0 then.

// errDamaged is what is said of bytes that no binary form has.
var errDamaged = errors.New("damaged")

const (
	negativeBit    = 0x80
	maxCoefficient = 38 // bytes that 90 decimal digits take
)

// appendNumber appends a number within the bounds of a total.
func appendNumber(dst []byte, n Number) []byte {
	head := byte(n.value.Exponent + maxFraction)
	if n.value.Negative {
		head |= negativeBit
	}
	if !n.value.Coeff.IsUint64() {
		p := n.value.Coeff.Bytes()
		return append(append(dst, head, byte(len(p))), p...)
	}
	var p [8]byte
	coefficient := n.value.Coeff.Uint64()
	binary.BigEndian.PutUint64(p[:], coefficient)
	zeros := bits.LeadingZeros64(coefficient) / 8
	return append(append(dst, head, byte(8-zeros)), p[zeros:]...)
}

// decoder reads a binary form from front to back. Once something is wrong,
// whatever is read is 0 and damaged is true.
type decoder struct {
	p       []byte
	damaged bool
}

// check notes damage if something does not hold.
func (d *decoder) check(holds bool) {
	if !holds {
		d.damaged, d.p = true, nil
	}
}

// bytes reads n bytes. They are part of the form.
func (d *decoder) bytes(n int) []byte {
	d.check(n <= len(d.p))
	if d.damaged {
		return nil
	}
	p := d.p[:n]
	d.p = d.p[n:]
	return p
}

func (d *decoder) byte() byte {
	p := d.bytes(1)
	if d.damaged {
		return 0
	}
	return p[0]
}

// flags reads a byte of which only some bits may be set.
func (d *decoder) flags(allowed byte) byte {
	flags := d.byte()
	d.check(flags&^allowed == 0)
	return flags
}

// uvarint reads a varint that is not above most.
func (d *decoder) uvarint(most uint64) uint64 {
	n, size := binary.Uvarint(d.p)
	d.check(size > 0 && n <= most)
	if d.damaged {
		return 0
	}
	d.p = d.p[size:]
	return n
}

// count reads how many parts follow, each of a byte or more.
func (d *decoder) count() int { return int(d.uvarint(uint64(len(d.p)))) }

// int64 reads a varint that is not above the greatest int64.
func (d *decoder) int64() int64 { return int64(d.uvarint(math.MaxInt64)) }

// number reads a number of at most whole digits before the point.
func (d *decoder) number(whole int64) Number {
	head, size := d.byte(), d.byte()
	d.check(size <= maxCoefficient)
	p := d.bytes(int(size))
	if d.damaged {
		return Number{}
	}
	var n Number
	n.value.Negative = head&negativeBit != 0
	n.value.Exponent = int32(head&^negativeBit) - maxFraction
	setCoefficient(&n.value.Coeff, p)
	d.check(isMinimal(p) && isReduced(&n.value))
	d.check(n.value.NumDigits()+int64(n.value.Exponent) <= whole)
	return n
}

func setCoefficient(c *apd.BigInt, p []byte) {
	if len(p) > 8 {
		c.SetBytes(p)
		return
	}
	var small uint64
	for _, b := range p {
		small = small<<8 | uint64(b)
	}
	c.SetUint64(small)
}

func isMinimal(p []byte) bool { return len(p) == 0 || p[0] != 0 }

// isReduced reports whether d is represented as in a [Number].
func isReduced(d *apd.Decimal) bool {
	var reduced apd.Decimal
	_, zeros := reduced.Reduce(d)
	return zeros == 0 && (!d.IsZero() || !d.Negative && d.Exponent == 0)
}
