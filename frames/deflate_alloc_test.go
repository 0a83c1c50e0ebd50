//go:build !race

package frames

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// The race detector empties pools at random.
func TestDeflateAllocatesNothing(t *testing.T) {
	payload := compressible(2000)
	dst := make([]byte, 0, 8000)
	frame := AppendDeflated(dst, Text, payload, 1, MaxWindowBits)
	_, n, _ := ParseHeader(frame)
	compressed := bytes.Clone(frame[n:])
	if a := testing.AllocsPerRun(100, func() { AppendDeflated(dst, Text, payload, 1, MaxWindowBits) }); a >= 1 {
		t.Errorf("compressing: %v allocations", a)
	}
	if a := testing.AllocsPerRun(100, func() { _, _ = AppendInflated(dst, compressed, 8000, nil) }); a >= 1 {
		t.Errorf("inflating: %v allocations", a)
	}
	c, w := NewDeflateContext(1, MaxWindowBits), NewWindow(MaxWindowBits)
	run := AppendMessage(nil, Text, payload)
	if a := testing.AllocsPerRun(100, func() { c.AppendDeflated(dst, run) }); a >= 1 {
		t.Errorf("compressing with context: %v allocations", a)
	}
	if a := testing.AllocsPerRun(100, func() { _, _ = AppendInflated(dst, compressed, 8000, w) }); a >= 1 {
		t.Errorf("inflating with context: %v allocations", a)
	}
	streams := bytes.Repeat([]byte("\x01\x01\x00\xfe\xffx"), 250) // a final block each
	if a := testing.AllocsPerRun(100, func() { _, _ = AppendInflated(dst, streams, 8000, w) }); a >= 1 {
		t.Errorf("inflating many streams with context: %v allocations", a)
	}
}

// A compressor that has made much is used again, without the memory for it.
func TestLargeMessagesKeepTheirCompressor(t *testing.T) {
	payload := make([]byte, 4*maxPooled)
	_, _ = rand.NewChaCha8([32]byte{5}).Read(payload)
	again := false
	for range 100 { // a pool may lose what it is given
		d := getDeflater(1, MaxWindowBits, nil)
		d.deflate(payload)
		d.free()
		next := getDeflater(1, MaxWindowBits, nil)
		again = again || next == d
		if next.out.Cap() > maxPooled {
			t.Fatalf("%d bytes are kept", next.out.Cap())
		}
		next.free()
	}
	if !again {
		t.Error("each large message costs a compressor")
	}
}
