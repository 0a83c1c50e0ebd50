package frames_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/caddyws/caddy-websocket/frames"
)

// naiveMask is the formula of RFC 6455 section 5.3.
func naiveMask(p []byte, key [4]byte, pos int) int {
	for i := range p {
		p[i] ^= key[(pos+i)%4]
	}
	return (pos + len(p)) % 4
}

// compareMasks masks p, which may lie anywhere in its array, both ways, and
// proves that Mask touches nothing around it.
func compareMasks(t *testing.T, array []byte, from, size int, key [4]byte, pos int) {
	t.Helper()
	got, want := bytes.Clone(array), bytes.Clone(array)
	gotPos := frames.Mask(got[from:from+size], key, pos)
	wantPos := naiveMask(want[from:from+size], key, pos)
	if gotPos != wantPos || !bytes.Equal(got, want) {
		t.Fatalf("size %d at %d, key % x, pos %d:\n got % x, pos %d\nwant % x, pos %d",
			size, from, key, pos, got, gotPos, want, wantPos)
	}
}

func TestMaskAgreesWithTheFormula(t *testing.T) {
	key := [4]byte{0x11, 0x22, 0x44, 0x88}
	array := naturals(160)
	for size := range 140 {
		for align := range 9 {
			for pos := range 9 {
				compareMasks(t, array, align, size, key, pos)
			}
		}
	}
}

func TestMaskGoesOnWhereItStopped(t *testing.T) {
	key := [4]byte{0x11, 0x22, 0x44, 0x88}
	payload := naturals(100)
	whole := bytes.Clone(payload)
	frames.Mask(whole, key, 0)
	for first := range payload {
		for second := first; second < len(payload); second += 7 {
			p := bytes.Clone(payload)
			pos := frames.Mask(p[:first], key, 0)
			pos = frames.Mask(p[first:second], key, pos)
			frames.Mask(p[second:], key, pos)
			if !bytes.Equal(p, whole) {
				t.Fatalf("in pieces cut at %d and %d the bytes differ", first, second)
			}
		}
	}
}

func TestMaskTwiceIsNothing(t *testing.T) {
	p, key := naturals(77), [4]byte{1, 2, 3, 4}
	frames.Mask(p, key, 3)
	if bytes.Equal(p, naturals(77)) {
		t.Error("masked once, the bytes are unchanged")
	}
	frames.Mask(p, key, 3)
	if !bytes.Equal(p, naturals(77)) {
		t.Error("masked twice, the bytes differ")
	}
}

func TestMaskDoesNotAllocate(t *testing.T) {
	p := naturals(1000)
	if allocs := testing.AllocsPerRun(100, func() { frames.Mask(p, [4]byte{1, 2, 3, 4}, 1) }); allocs != 0 {
		t.Errorf("%v allocations, want none", allocs)
	}
	naiveMask(p, [4]byte{1, 2, 3, 4}, 1) // 101 runs and this one: an even number
	if !bytes.Equal(p, naturals(1000)) {
		t.Error("the bytes differ")
	}
}

func FuzzMask(f *testing.F) {
	f.Add([]byte{}, uint32(0), uint(0), uint(0))
	f.Add([]byte("Hello"), uint32(0x37fa213d), uint(3), uint(0))
	f.Add(naturals(67), uint32(0xdeadbeef), uint(1), uint(2))
	f.Fuzz(func(t *testing.T, array []byte, k uint32, pos, from uint) {
		key := [4]byte{byte(k >> 24), byte(k >> 16), byte(k >> 8), byte(k)}
		start := int(from % uint(len(array)+1))
		compareMasks(t, array, start, len(array)-start, key, int(pos%1000))
	})
}

func BenchmarkMask(b *testing.B) {
	for _, size := range []int{5, 16, 125, 1024, 16 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			p, pos := make([]byte, size), 0
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				pos = frames.Mask(p, [4]byte{1, 2, 3, 4}, pos)
			}
		})
	}
}
