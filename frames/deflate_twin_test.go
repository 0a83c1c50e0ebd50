package frames

import (
	"errors"
	"slices"
	"testing"
)

// twin inflates in the plainest way, bit by bit, and notes how far back anything
// was referred to: libraries do not tell.
type twin struct {
	in       []byte
	bit      int // of in
	out      []byte
	farthest int
}

var errTwin = errors.New("not deflate data")

// inflateTwin inflates a payload after what was before it, and returns how far
// back it referred.
func inflateTwin(before, payload []byte) (message []byte, farthest int, err error) {
	d := &twin{in: append(slices.Clip(payload), tail...), out: append([]byte{}, before...)}
	defer func() {
		if recover() != nil { // beyond the end of something
			err = errTwin
		}
	}()
	for d.bit < 8*(len(payload)+4) {
		d.block()
	}
	return d.out[len(before):], d.farthest, nil
}

func (d *twin) bits(n int) (v int) {
	for i := range n {
		v |= int(d.in[d.bit/8]>>(d.bit%8)&1) << i
		d.bit++
	}
	return v
}

func (d *twin) block() {
	final := d.bits(1) == 1
	switch d.bits(2) {
	case 0:
		d.align()
		n := d.bits(16)
		if d.bits(16) != n^0xffff {
			panic(errTwin)
		}
		for range n {
			d.out = append(d.out, byte(d.bits(8)))
		}
	case 1:
		d.symbols(fixed())
	case 2:
		d.symbols(d.dynamic())
	default:
		panic(errTwin)
	}
	if final {
		d.align()
	}
}

// fixed are the codes of RFC 1951 section 3.2.6.
func fixed() (literals, distances map[int]int) {
	lengths := slices.Concat(slices.Repeat([]int{8}, 144), slices.Repeat([]int{9}, 112),
		slices.Repeat([]int{7}, 24), slices.Repeat([]int{8}, 8))
	return codes(lengths), codes(slices.Repeat([]int{5}, 30))
}

func (d *twin) align() { d.bit = (d.bit + 7) &^ 7 }

// A code of n bits with the value v stands under 1<<n|v.
func codes(lengths []int) map[int]int {
	code, by := 0, map[int]int{}
	for n := 1; n <= 15; n++ {
		for symbol, length := range lengths {
			if length == n {
				by[1<<n|code] = symbol
				code++
			}
		}
		code <<= 1
	}
	return by
}

func (d *twin) symbol(codes map[int]int) int {
	for code := 1; code < 1<<16; {
		code = code<<1 | d.bits(1)
		if symbol, ok := codes[code]; ok {
			return symbol
		}
	}
	panic(errTwin)
}

func (d *twin) dynamic() (literals, distances map[int]int) {
	nl, nd, nc := 257+d.bits(5), 1+d.bits(5), 4+d.bits(4)
	meta := make([]int, 19)
	for _, i := range []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}[:nc] {
		meta[i] = d.bits(3)
	}
	by := codes(meta)
	var lengths []int
	for len(lengths) < nl+nd {
		symbol, value, times := d.symbol(by), 0, 1
		switch symbol {
		case 16:
			value, times = lengths[len(lengths)-1], 3+d.bits(2)
		case 17:
			times = 3 + d.bits(3)
		case 18:
			times = 11 + d.bits(7)
		default:
			value = symbol
		}
		for range times {
			lengths = append(lengths, value)
		}
	}
	return codes(lengths[:nl]), codes(lengths[nl : nl+nd])
}

func (d *twin) symbols(literals, distances map[int]int) {
	for {
		symbol := d.symbol(literals)
		switch {
		case symbol < 256:
			d.out = append(d.out, byte(symbol))
		case symbol == 256:
			return
		default:
			d.match(d.length(symbol-257), d.distance(d.symbol(distances)))
		}
	}
}

// length and distance, RFC 1951 section 3.2.5.
func (d *twin) length(code int) int {
	switch {
	case code < 8:
		return 3 + code
	case code == 28:
		return 258
	}
	extra := code/4 - 1
	return 3 + (4+code%4)<<extra + d.bits(extra)
}

func (d *twin) distance(code int) int {
	if code < 4 {
		return 1 + code
	}
	extra := code/2 - 1
	return 1 + (2+code%2)<<extra + d.bits(extra)
}

func (d *twin) match(length, distance int) {
	d.farthest = max(d.farthest, distance)
	for range length {
		d.out = append(d.out, d.out[len(d.out)-distance])
	}
}

func TestTwinInflatesTheExamplesOfTheRFC(t *testing.T) {
	for _, payload := range []string{
		"\xf2\x48\xcd\xc9\xc9\x07\x00", "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
		"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
	} {
		if got, _, err := inflateTwin(nil, []byte(payload)); err != nil || string(got) != "Hello" {
			t.Errorf("%x: %q, %v", payload, got, err)
		}
	}
	if got, farthest, err := inflateTwin([]byte("Hello"), []byte("\xf2\x00\x11\x00\x00")); err != nil || string(got) != "Hello" || farthest != 5 {
		t.Errorf("second message: %q from %d back, %v", got, farthest, err)
	}
}
