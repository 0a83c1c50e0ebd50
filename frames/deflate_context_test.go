package frames

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// talk are messages of one connection: many small ones that resemble each other,
// and some of every kind that a compressor treats differently.
func talk(seed uint64, n int) (messages [][]byte) {
	r := rand.New(rand.NewPCG(seed, 1))
	noise := rand.NewChaCha8([32]byte{byte(seed)})
	for i := range n {
		message := fmt.Appendf(nil, `{"type":"update","epoch":"K3VJQ2ZP","version":%d,"total":%d,"by":"%c"}`, i, r.IntN(1e6), 'a'+r.IntN(26))
		switch r.IntN(20) {
		case 0:
			message = message[:r.IntN(len(message))]
		case 1:
			message = make([]byte, r.IntN(3000))
			_, _ = noise.Read(message)
		case 2:
			message = bytes.Repeat(message, 1+r.IntN(60))
		case 3:
			message = fmt.Appendf(nil, "%0*d", 1+r.IntN(9000), i)
		}
		messages = append(messages, message)
	}
	return messages
}

// payloadsOf returns what a run of frames carries, and which of it is compressed.
func payloadsOf(t testing.TB, run []byte) (payloads [][]byte, compressed []bool) {
	for len(run) > 0 {
		h, n, err := ParseHeader(run)
		if n == 0 || err != nil || !h.Fin {
			t.Fatalf("header %+v, %v", h, err)
		}
		payloads, compressed = append(payloads, run[n:n+int(h.Length)]), append(compressed, h.RSV == RSV1)
		run = run[n+int(h.Length):]
	}
	return payloads, compressed
}

// For every window: what leaves refers to nothing farther back, over messages and
// runs of them, and is inflated by a window of that size.
func TestDeflateContextKeepsToItsWindow(t *testing.T) {
	for bits := MinWindowBits; bits <= MaxWindowBits; bits++ {
		for level := MinLevel; level <= MaxLevel; level += 4 {
			t.Run(fmt.Sprintf("%d bits, level %d", bits, level), func(t *testing.T) {
				t.Parallel()
				c, peer := NewDeflateContext(level, bits), NewWindow(bits)
				r := rand.New(rand.NewPCG(uint64(bits), uint64(level)))
				var before []byte
				for messages := talk(uint64(bits), 150); len(messages) > 0; {
					n := 1 + r.IntN(min(8, len(messages)))
					var run []byte
					for _, m := range messages[:n] {
						run = AppendMessage(run, Text, m)
					}
					payloads, compressed := payloadsOf(t, c.AppendDeflated(nil, run))
					for i, m := range messages[:n] {
						got := payloads[i]
						if compressed[i] {
							plain, farthest, err := inflateTwin(before, got)
							if err != nil || !bytes.Equal(plain, m) || farthest > 1<<bits {
								t.Fatalf("%d bytes became %d, from %d back, %v", len(m), len(plain), farthest, err)
							}
							if got, err = AppendInflated(nil, got, len(m), peer); err != nil {
								t.Fatalf("inflating %d bytes: %v", len(m), err)
							}
							before = append(before, m...)
							before = before[max(0, len(before)-1<<bits):]
						}
						if !bytes.Equal(got, m) {
							t.Fatalf("%d bytes became %d others", len(m), len(got))
						}
					}
					messages = messages[n:]
				}
			})
		}
	}
}

// Without context takeover the window holds, too, for messages of any size.
func TestDeflateKeepsToItsWindow(t *testing.T) {
	for bits := MinWindowBits; bits <= MaxWindowBits; bits++ {
		farthest, wrong := 0, 0
		for _, m := range append(talk(uint64(bits), 100), compressible(1<<bits), compressible(1<<bits+1), compressible(80_000)) {
			payloads, compressed := payloadsOf(t, AppendDeflated(nil, Text, m, 9, bits))
			if !compressed[0] {
				continue
			}
			plain, back, err := inflateTwin(nil, payloads[0])
			farthest = max(farthest, back)
			if err != nil || !bytes.Equal(plain, m) {
				wrong++
			}
		}
		if farthest > 1<<bits || wrong > 0 {
			t.Errorf("%d bits: from %d back, %d were other messages", bits, farthest, wrong)
		}
	}
}

// What context takeover is for, and what it costs.
func TestDeflateContextShrinksSmallMessages(t *testing.T) {
	c := NewDeflateContext(1, MaxWindowBits)
	plain, sent := 0, 0
	for i := range 2000 {
		m := fmt.Appendf(nil, `{"type":"update","epoch":"K3VJQ2ZP","version":%d,"total":%d}`, i, 7*i)
		plain += len(m)
		sent += len(c.AppendDeflated(nil, AppendMessage(nil, Text, m)))
	}
	if sent*4 > plain {
		t.Errorf("%d bytes became %d", plain, sent)
	}
	if n := cap(c.window.b); n > 8<<10 {
		t.Errorf("the context takes %d bytes", n)
	}
}

func TestDeflateContextPassesOverWhatIsTiny(t *testing.T) {
	c := NewDeflateContext(1, MaxWindowBits)
	run := AppendMessage(nil, Text, []byte("1"))
	run = AppendMessage(run, Ping, bytes.Repeat([]byte("p"), MaxControlPayload))
	run = AppendMessage(run, Binary, nil)
	if got := c.AppendDeflated(nil, run); !bytes.Equal(got, run) {
		t.Errorf("%q became %q", run, got)
	}
}

// A window holds the newest bytes, and no more memory than its size.
func TestWindow(t *testing.T) {
	for bits := MinWindowBits; bits <= MaxWindowBits; bits++ {
		w := NewWindow(bits)
		var all []byte
		for _, m := range talk(uint64(bits), 200) {
			w.add(m)
			all = append(all, m...)
			if want := all[max(0, len(all)-1<<bits):]; !bytes.Equal(w.bytes(), want) || cap(w.b) > 1<<bits {
				t.Fatalf("%d bits: holds %d bytes in %d, want %d", bits, len(w.bytes()), cap(w.b), len(want))
			}
		}
	}
}

// Both ends of a context, and the window in between, for any messages.
func FuzzDeflateContext(f *testing.F) {
	f.Add([]byte("Hello|Hello, hello|"+strings.Repeat("the same words; ", 40)), 1, 8)
	f.Add(bytes.Join(talk(1, 20), []byte("|")), 9, 15)
	f.Fuzz(func(t *testing.T, text []byte, level, bits int) {
		level = MinLevel + (level%MaxLevel+MaxLevel)%MaxLevel
		bits = MinWindowBits + (bits%8+8)%8
		c, peer := NewDeflateContext(level, bits), NewWindow(bits)
		for m := range bytes.SplitSeq(text, []byte("|")) {
			payloads, compressed := payloadsOf(t, c.AppendDeflated(nil, AppendMessage(nil, Binary, m)))
			got := payloads[0]
			if compressed[0] {
				before := bytes.Clone(peer.bytes())
				if _, farthest, err := inflateTwin(before, got); err != nil || farthest > 1<<bits {
					t.Fatalf("from %d back, %v", farthest, err)
				}
				var err error
				if got, err = AppendInflated(nil, got, len(m), peer); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(got, m) {
				t.Fatalf("%q became %q", m, got)
			}
		}
	})
}

func BenchmarkDeflateContext(b *testing.B) {
	c := NewDeflateContext(1, MaxWindowBits)
	dst := make([]byte, 0, 8000)
	var runs [][]byte
	for i := range 500 {
		runs = append(runs, AppendMessage(nil, Text, fmt.Appendf(nil, `{"type":"update","epoch":"K3VJQ2ZP","version":%d,"total":%d}`, i, 7*i)))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.AppendDeflated(dst, runs[i%len(runs)])
	}
}
