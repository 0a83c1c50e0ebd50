package frames

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
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
			frame := AppendDeflated(nil, Binary, payload, level, MaxWindowBits)
			h, n, err := ParseHeader(frame)
			if err != nil || !h.Fin || h.Opcode != Binary || int(h.Length) != len(frame)-n {
				t.Fatalf("level %d: header %+v, %v", level, h, err)
			}
			got := frame[n:]
			if h.RSV == RSV1 {
				if got, err = AppendInflated(nil, got, len(payload), nil); err != nil {
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
		if got, want := AppendDeflated(nil, Text, payload, 1, MaxWindowBits), AppendMessage(nil, Text, payload); !bytes.Equal(got, want) {
			t.Errorf("%d bytes: not sent as they are", len(payload))
		}
	}
	if h, _, _ := ParseHeader(AppendDeflated(nil, Text, compressible(MinDeflate), 1, MaxWindowBits)); h.RSV != RSV1 || h.Length >= MinDeflate {
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
		got, err := AppendInflated(nil, []byte(payload), 100, nil)
		if err != nil || string(got) != "Hello" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if got, err := AppendInflated(nil, []byte("\x00"), 100, nil); err != nil || len(got) != 0 {
		t.Errorf("empty message: %q, %v", got, err)
	}
}

func TestInflateStopsAtTheLimit(t *testing.T) {
	bomb := deflated(t, bytes.Repeat([]byte{0}, 60<<20))
	if len(bomb) > 64<<10 {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	const limit = 64 << 10
	got, err := AppendInflated(nil, bomb, limit, nil)
	if !errors.Is(err, ErrInflatedTooBig) || len(got) != limit || cap(got) > 4*limit {
		t.Errorf("%d bytes in %d, %v", len(got), cap(got), err)
	}
	exact := deflated(t, compressible(limit))
	if got, err = AppendInflated(nil, exact, limit, nil); err != nil || len(got) != limit {
		t.Errorf("exactly the limit: %d bytes, %v", len(got), err)
	}
	if _, err = AppendInflated(nil, exact, limit-1, nil); !errors.Is(err, ErrInflatedTooBig) {
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
		if got, err := AppendInflated(nil, []byte(payload), 100, nil); !errors.Is(err, ErrDeflate) {
			t.Errorf("%q: %q, %v", payload, got, err)
		}
		if got, err := AppendInflated(nil, []byte("\xf2\x48\xcd\xc9\xc9\x07\x00"), 100, nil); err != nil || string(got) != "Hello" {
			t.Errorf("after it: %q, %v", got, err)
		}
	}
}

// final returns a payload of one block with BFINAL set, as of senders that have
// no other way to flush (RFC 7692 section 7.2.3.4), without the byte behind it.
func final(t testing.TB, message, dict string) string {
	var out strings.Builder
	w, err := stdflate.NewWriterDict(&out, 9, []byte(dict))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(w, message)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// What stands behind a block with BFINAL set is of the same message.
func TestInflateGoesOnBehindFinalBlocks(t *testing.T) {
	words := string(compressible(100))
	for name, test := range map[string]struct{ payload, want string }{
		"a block":                 {"\xf3\x48\xcd\x01\x00\xca\xc9\x07\x00", "Hello"},
		"nothing, not even a 0":   {"\xf3\x48\xcd\xc9\xc9\x07\x00", "Hello"},
		"another final block":     {final(t, "Hel", "") + final(t, "lo", "") + "\x00", "Hello"},
		"a block that refers":     {final(t, words, "") + final(t, words, words) + "\x00", words + words},
		"empty ones":              {strings.Repeat("\x03\x00", 100) + "\xf2\x48\xcd\xc9\xc9\x07\x00", "Hello"},
		"a stored one":            {"\x01\x03\x00\xfc\xffHel" + "\xca\xc9\x07\x00", "Hello"},
		"one that the tail ends":  {"\xf2\x48\xcd\xc9\xc9\x07\x00" + "\x00\x00\xff\xff\x01", "Hello"},
		"half of it left to zlib": {final(t, "Hel", "") + string(deflated(t, []byte("lo"))), "Hello"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := AppendInflated(nil, []byte(test.payload), len(test.want), nil)
			if err != nil || string(got) != test.want {
				t.Errorf("%q, %v", got, err)
			}
			if _, err = AppendInflated(nil, []byte(test.payload), len(test.want)-1, nil); !errors.Is(err, ErrInflatedTooBig) {
				t.Errorf("one byte more than the limit: %v", err)
			}
		})
	}
}

func TestInflateRefusesGarbageBehindFinalBlocks(t *testing.T) {
	for _, garbage := range []string{"garbage", "\xff", "\x00\x00", "\x07", "\xf2\x48", "\x00\x00\x00\xff\xff\xff"} {
		if got, err := AppendInflated(nil, []byte(final(t, "Hello", "")+garbage), 100, nil); !errors.Is(err, ErrDeflate) {
			t.Errorf("%q: %q, %v", garbage, got, err)
		}
	}
}

// Many final blocks cost more than they say, so they have a bound.
func TestInflateBoundsFinalBlocks(t *testing.T) {
	if got, err := AppendInflated(nil, bytes.Repeat([]byte("\x03\x00"), minStreams), 100, nil); err != nil || len(got) != 0 {
		t.Errorf("%d of them: %q, %v", minStreams, got, err)
	}
	if _, err := AppendInflated(nil, bytes.Repeat([]byte("\x03\x00"), 32<<10), 100, nil); !errors.Is(err, ErrTooManyStreams) {
		t.Errorf("64 KiB of them: %v", err)
	}
}

// A message may refer to those before it, also behind a final block, and to no
// more of them than the window holds.
func TestInflateWithContext(t *testing.T) {
	words := string(compressible(1000))
	w := NewWindow(10)
	for i, payload := range []string{string(deflated(t, []byte(words))), final(t, words, words) + "\x00", final(t, "", "") + final(t, words, words) + "\x00"} {
		if got, err := AppendInflated(nil, []byte(payload), len(words), w); err != nil || string(got) != words {
			t.Errorf("message %d: %.50q, %v", i+1, got, err)
		}
	}
}

func TestInflateRefusesWhatTheWindowNoLongerHolds(t *testing.T) {
	const greeting = "Hello, Hello"
	filler := make([]byte, 1<<MaxWindowBits)
	r := rand.NewChaCha8([32]byte{3})
	_, _ = r.Read(filler)
	for bits := MinWindowBits; bits < MaxWindowBits; bits++ {
		for beyond := range 2 {
			before := greeting + string(filler[:1<<bits-len(greeting)+beyond])
			payload := []byte(final(t, greeting, before) + "\x00")
			if _, farthest, err := inflateTwin([]byte(before), payload); err != nil || farthest != 1<<bits+beyond {
				t.Fatalf("%d bits: refers to %d back, %v", bits, farthest, err)
			}
			w := NewWindow(bits)
			w.add([]byte(before))
			got, err := AppendInflated(nil, payload, 100, w)
			if beyond == 0 && (err != nil || string(got) != greeting) || beyond == 1 && !errors.Is(err, ErrDeflate) {
				t.Errorf("%d bits, %d beyond: %q, %v", bits, beyond, got, err)
			}
		}
	}
}

// The largest payloads that a message of n bytes needs.
func TestMaxDeflated(t *testing.T) {
	noise := make([]byte, 100_000)
	r := rand.NewChaCha8([32]byte{4})
	_, _ = r.Read(noise)
	for i := range noise {
		noise[i] |= 0x90 // nine bits each in the fixed code
	}
	for _, n := range []int{0, 1, 1000, len(noise)} {
		if got := n*9/8 + 5; got > MaxDeflated(n) {
			t.Errorf("%d bytes in a fixed block take %d, allowed are %d", n, got, MaxDeflated(n))
		}
		if got := len(deflated(t, noise[:n])); got > MaxDeflated(n) {
			t.Errorf("%d bytes take %d, allowed are %d", n, got, MaxDeflated(n))
		}
	}
}

// inflatedByStd is AppendInflated by the standard library: stream after stream,
// each with what was before it.
func inflatedByStd(before, payload []byte, limit int) ([]byte, error) {
	in := bytes.NewReader(append(slices.Clip(payload), tail...))
	all := bytes.Clone(before)
	for {
		r := stdflate.NewReaderDict(in, all[max(0, len(all)-1<<MaxWindowBits):])
		message, err := io.ReadAll(io.LimitReader(r, int64(limit+1)))
		all = append(all, message...)
		switch {
		case err != nil:
			return nil, err
		case len(all)-len(before) > limit:
			return nil, ErrInflatedTooBig
		case in.Len() <= len(tail):
			return all[len(before):], nil
		}
	}
}

// Whatever comes, after whatever came before, ends as with the standard library.
func FuzzInflate(f *testing.F) {
	f.Add([]byte("Hello"), []byte("\xf2\x00\x11\x00\x00"))
	f.Add([]byte{}, []byte("\xf3\x48\xcd\x01\x00\xca\xc9\x07\x00"))
	f.Add(compressible(2000), deflated(f, compressible(3000)))
	f.Add(compressible(20), []byte(final(f, "Hello", "")+final(f, "Hello", "Hello")+"garbage"))
	f.Fuzz(func(t *testing.T, before, payload []byte) {
		const limit = 1000
		w := NewWindow(MaxWindowBits)
		w.add(before)
		got, err := AppendInflated(nil, payload, limit, w)
		if err == ErrTooManyStreams {
			return
		}
		want, wrong := inflatedByStd(before[max(0, len(before)-1<<MaxWindowBits):], payload, limit)
		if (err != nil) != (wrong != nil) || err == nil && !bytes.Equal(got, want) {
			t.Fatalf("got %q, %v; want %q, %v", got, err, want, wrong)
		}
	})
}

// What we compress, the standard library inflates, and the other way round.
func FuzzDeflate(f *testing.F) {
	f.Add([]byte("Hello"), 1)
	f.Add(compressible(3000), 9)
	f.Fuzz(func(t *testing.T, p []byte, level int) {
		level = MinLevel + (level%MaxLevel+MaxLevel)%MaxLevel
		if got, err := AppendInflated(nil, deflated(t, p), len(p), nil); err != nil || !bytes.Equal(got, p) {
			t.Fatalf("inflating: %q, %v", got, err)
		}
		frame := AppendDeflated(nil, Text, p, level, MaxWindowBits)
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
		_, _ = AppendInflated(nil, p, 1000, nil) // whatever it is: no panic
	})
}

func BenchmarkDeflate(b *testing.B) {
	payload := compressible(2000)
	dst := make([]byte, 0, 8000)
	b.ReportAllocs()
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		AppendDeflated(dst, Text, payload, 1, MaxWindowBits)
	}
}

func BenchmarkInflate(b *testing.B) {
	compressed := deflated(b, compressible(2000))
	dst := make([]byte, 0, 8000)
	b.ReportAllocs()
	b.SetBytes(2000)
	for b.Loop() {
		_, _ = AppendInflated(dst, compressed, 8000, nil)
	}
}
