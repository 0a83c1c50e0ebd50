package frames

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	stdflate "compress/flate"
)

// compressible returns n bytes of text that repeats itself.
func compressible(n int) []byte {
	return []byte(strings.Repeat("the same words again and again; ", n/32+1)[:n])
}

func TestDeflateRoundTrip(t *testing.T) {
	noise := make([]byte, 5000)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(noise)
	for _, payload := range [][]byte{compressible(MinDeflate), compressible(70000), noise, bytes.Repeat([]byte{0}, 1<<20)} {
		for level := MinLevel; level <= MaxLevel; level++ {
			frame := AppendDeflated(nil, Binary, payload, level)
			h, n, err := ParseHeader(frame)
			if err != nil || !h.Fin || h.Opcode != Binary || int(h.Length) != len(frame)-n {
				t.Fatalf("level %d: header %+v, %v", level, h, err)
			}
			got := frame[n:]
			if h.RSV == RSV1 {
				if got, err = AppendInflated(nil, got, len(payload)); err != nil {
					t.Fatalf("level %d: %v", level, err)
				}
			}
			if !bytes.Equal(got, payload) {
				t.Errorf("level %d: %d bytes became %d others", level, len(payload), len(got))
			}
		}
	}
}

func TestDeflateSendsPlainWhatDoesNotShrink(t *testing.T) {
	noise := make([]byte, 1000)
	r := rand.NewChaCha8([32]byte{2})
	_, _ = r.Read(noise)
	for _, payload := range [][]byte{nil, []byte("short"), compressible(MinDeflate - 1), noise} {
		if got, want := AppendDeflated(nil, Text, payload, 1), AppendMessage(nil, Text, payload); !bytes.Equal(got, want) {
			t.Errorf("%d bytes: not sent as they are", len(payload))
		}
	}
	if h, _, _ := ParseHeader(AppendDeflated(nil, Text, compressible(MinDeflate), 1)); h.RSV != RSV1 || h.Length >= MinDeflate {
		t.Errorf("%d bytes that repeat themselves: %+v", MinDeflate, h)
	}
}

// The examples of RFC 7692 section 7.2.3.
func TestInflateExamplesOfTheRFC(t *testing.T) {
	for name, payload := range map[string]string{
		"7.2.3.1 one block":      "\xf2\x48\xcd\xc9\xc9\x07\x00",
		"7.2.3.3 no compression": "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
		"7.2.3.4 BFINAL set":     "\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
		"7.2.3.5 two blocks":     "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
	} {
		got, err := AppendInflated(nil, []byte(payload), 100)
		if err != nil || string(got) != "Hello" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if got, err := AppendInflated(nil, []byte("\x00"), 100); err != nil || len(got) != 0 {
		t.Errorf("empty message: %q, %v", got, err)
	}
}

func TestInflateStopsAtTheLimit(t *testing.T) {
	bomb := deflated(t, bytes.Repeat([]byte{0}, 60<<20))
	if len(bomb) > 64<<10 {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	const limit = 64 << 10
	got, err := AppendInflated(nil, bomb, limit)
	if !errors.Is(err, ErrInflatedTooBig) || len(got) != limit || cap(got) > 4*limit {
		t.Errorf("%d bytes in %d, %v", len(got), cap(got), err)
	}
	exact := deflated(t, compressible(limit))
	if got, err = AppendInflated(nil, exact, limit); err != nil || len(got) != limit {
		t.Errorf("exactly the limit: %d bytes, %v", len(got), err)
	}
	if _, err = AppendInflated(nil, exact, limit-1); !errors.Is(err, ErrInflatedTooBig) {
		t.Errorf("one byte more than the limit: %v", err)
	}
}

// deflated compresses with a library that is not ours.
func deflated(t testing.TB, payload []byte) []byte {
	var out bytes.Buffer
	w, err := stdflate.NewWriter(&out, 9)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(payload); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSuffix(out.Bytes(), tail[:4])
}

func TestInflateRefusesWhatIsNotDeflate(t *testing.T) {
	for _, payload := range []string{"\xff\xff\xff", "\x07hello", "\xf2\x48"} {
		if got, err := AppendInflated(nil, []byte(payload), 100); !errors.Is(err, ErrDeflate) {
			t.Errorf("%q: %q, %v", payload, got, err)
		}
		if got, err := AppendInflated(nil, []byte("\xf2\x48\xcd\xc9\xc9\x07\x00"), 100); err != nil || string(got) != "Hello" {
			t.Errorf("after it: %q, %v", got, err)
		}
	}
}

// What we compress, the standard library inflates, and the other way round.
func FuzzDeflate(f *testing.F) {
	f.Add([]byte("Hello"), 1)
	f.Add(compressible(3000), 9)
	f.Fuzz(func(t *testing.T, p []byte, level int) {
		level = MinLevel + (level%MaxLevel+MaxLevel)%MaxLevel
		if got, err := AppendInflated(nil, deflated(t, p), len(p)); err != nil || !bytes.Equal(got, p) {
			t.Fatalf("inflating: %q, %v", got, err)
		}
		frame := AppendDeflated(nil, Text, p, level)
		h, n, _ := ParseHeader(frame)
		got := frame[n:]
		if h.RSV == RSV1 {
			var err error
			if got, err = io.ReadAll(stdflate.NewReader(io.MultiReader(bytes.NewReader(got), bytes.NewReader(tail)))); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, p) {
			t.Fatalf("level %d: %q became %q", level, p, got)
		}
		_, _ = AppendInflated(nil, p, 1000) // whatever it is: no panic
	})
}

func BenchmarkDeflate(b *testing.B) {
	payload := compressible(2000)
	dst := make([]byte, 0, 8000)
	b.ReportAllocs()
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		AppendDeflated(dst, Text, payload, 1)
	}
}

func BenchmarkInflate(b *testing.B) {
	compressed := deflated(b, compressible(2000))
	dst := make([]byte, 0, 8000)
	b.ReportAllocs()
	b.SetBytes(2000)
	for b.Loop() {
		_, _ = AppendInflated(dst, compressed, 8000)
	}
}
