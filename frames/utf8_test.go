package frames_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caddyws/caddy-websocket/frames"
)

// texts are sequences at the borders of what UTF-8 allows, RFC 3629 section 4.
// bad is the index of the first byte that no valid text has there, -1 if none.
var texts = []struct {
	name, text string
	bad        int
}{
	{"empty", "", -1},
	{"ASCII", "Hello, WebSocket clients of the world", -1},
	{"NUL and DEL", "\x00\x7f", -1},
	{"mixed", "κόσμε 世界 𝄞 naïve", -1},
	{"first of two bytes", "\xc2\x80", -1},
	{"last of two bytes", "\xdf\xbf", -1},
	{"first of three bytes", "\xe0\xa0\x80", -1},
	{"before surrogates", "\xed\x9f\xbf", -1},
	{"after surrogates", "\xee\x80\x80", -1},
	{"last of three bytes", "\xef\xbf\xbf", -1},
	{"first of four bytes", "\xf0\x90\x80\x80", -1},
	{"U+10FFFF", "\xf4\x8f\xbf\xbf", -1},
	{"non-characters", "\xef\xb7\x90\xef\xbf\xbe", -1},
	{"stray continuation", "ab\x80", 2},
	{"overlong NUL", "ab\xc0\x80", 2},
	{"overlong by two bytes", "\xc1\xbf", 0},
	{"overlong by three bytes", "\xe0\x9f\xbf", 1},
	{"overlong by four bytes", "\xf0\x8f\xbf\xbf", 1},
	{"first surrogate", "x\xed\xa0\x80", 2},
	{"last surrogate", "\xed\xbf\xbf", 1},
	{"surrogate pair", "\xed\xa0\x80\xed\xb0\x80", 1},
	{"U+110000", "\xf4\x90\x80\x80", 1},
	{"five bytes", "\xf8\x88\x80\x80\x80", 0},
	{"six bytes", "\xfc\x84\x80\x80\x80\x80", 0},
	{"F5", "\xf5\x80\x80\x80", 0},
	{"FE and FF", "a\xfe\xff", 1},
	{"second byte missing", "\xc3(", 1},
	{"third byte missing", "\xe2\x82(", 2},
	{"fourth byte missing", "\xf0\x9f\x98(", 3},
	{"third byte a lead", "\xe2\x82\xe2\x82\xac", 2},
	{"fault far behind", strings.Repeat("long enough for the fast path, ", 4) + "\xff", 124},
	{"Autobahn 6.4.1", "κόσμε\xf4\x90\x80\x80edited", 11},
}

func TestTextsAgreeWithTheStandardLibrary(t *testing.T) {
	for _, tt := range texts {
		if got, want := utf8.ValidString(tt.text), tt.bad < 0; got != want {
			t.Errorf("%s: utf8.Valid is %v, the table says %v", tt.name, got, want)
		}
	}
}

// Each text comes in every way to cut it in three; it must fail in the very
// piece that holds the first bad byte.
func TestValidatorFailsAtTheFirstBadByteHoweverCut(t *testing.T) {
	for _, tt := range texts {
		for i := range len(tt.text) + 1 {
			for j := i; j <= len(tt.text); j++ {
				var v frames.Validator
				end, ok := 0, true
				for _, piece := range []string{tt.text[:i], tt.text[i:j], tt.text[j:]} {
					end += len(piece)
					ok = v.Write([]byte(piece))
					if want := tt.bad < 0 || end <= tt.bad; ok != want {
						t.Fatalf("%s cut at %d and %d: Write up to byte %d = %v, want %v", tt.name, i, j, end, ok, want)
					}
				}
				if v.Done() != ok {
					t.Fatalf("%s cut at %d and %d: Done() = %v, want %v", tt.name, i, j, v.Done(), ok)
				}
			}
		}
	}
}

// Done is true just where the text up to there is valid as a whole, and
// Write, byte by byte, is true just while some text could follow.
func TestValidatorByteByByte(t *testing.T) {
	for _, tt := range texts {
		var v frames.Validator
		for i := range len(tt.text) {
			ok := v.Write([]byte{tt.text[i]})
			if want := tt.bad < 0 || i < tt.bad; ok != want {
				t.Errorf("%s: Write of byte %d = %v, want %v", tt.name, i, ok, want)
			}
			if got, want := v.Done(), utf8.ValidString(tt.text[:i+1]); got != want {
				t.Errorf("%s: Done() after byte %d = %v, want %v", tt.name, i, got, want)
			}
		}
	}
}

// Every first byte, and every byte after each beginning that stays open; of the
// beginnings that differ only in a middling continuation byte, a few.
func TestValidatorKnowsEverySequence(t *testing.T) {
	var seq [4]byte
	var try func(n int)
	try = func(n int) {
		for b := range 256 {
			seq[n] = byte(b)
			var whole, split frames.Validator
			split.Write(seq[:n])
			ok := whole.Write(seq[:n+1])
			if split.Write(seq[n:n+1]) != ok || whole.Done() != utf8.Valid(seq[:n+1]) || split.Done() != whole.Done() {
				t.Fatalf("% x: wrong verdict", seq[:n+1])
			}
			if open := !utf8.FullRune(seq[:n+1]); open != (ok && !whole.Done()) {
				t.Fatalf("% x: open is %v", seq[:n+1], !open)
			} else if open && (b < 0x84 || b > 0xBB || n == 0) {
				try(n + 1)
			}
		}
	}
	try(0)
}

func TestValidatorStaysFailedUntilReset(t *testing.T) {
	var v frames.Validator
	if v.Write([]byte("\xff")) || v.Write([]byte("good")) || v.Write(nil) || v.Done() {
		t.Error("text after a bad byte passes")
	}
	v.Reset()
	if !v.Done() || !v.Write([]byte("good")) || !v.Done() {
		t.Error("after Reset good text fails")
	}
	v.Write([]byte("\xe2\x82"))
	if v.Done() {
		t.Error("Done inside a sequence")
	}
	v.Reset()
	if !v.Done() || v.Write([]byte("\xac")) {
		t.Error("Reset keeps the open sequence")
	}
}

func TestValidatorKeepsItsOwnBytes(t *testing.T) {
	var v frames.Validator
	p := []byte("\xe2\x82")
	v.Write(p)
	p[0], p[1] = 'x', 'x'
	if !v.Write([]byte("\xac")) || !v.Done() {
		t.Error("the open sequence changed with the caller's slice")
	}
}

func TestValidatorDoesNotAllocate(t *testing.T) {
	p := []byte(strings.Repeat("κόσμε 世界 𝄞 ", 30))
	allocs := testing.AllocsPerRun(100, func() {
		var v frames.Validator
		if !v.Write(p[:13]) || !v.Write(p[13:]) || !v.Done() {
			t.Fatal("good text fails")
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want none", allocs)
	}
}

// FuzzValidator compares with utf8.Valid on the whole text, cut in two; when
// cut after its first bad byte the first piece must fail.
func FuzzValidator(f *testing.F) {
	for _, tt := range texts {
		f.Add([]byte(tt.text), uint(len(tt.text)/2))
	}
	f.Fuzz(func(t *testing.T, text []byte, at uint) {
		cut := int(at % uint(len(text)+1))
		bad := firstBad(text)
		var v frames.Validator
		if got, want := v.Write(text[:cut]), cut <= bad; got != want {
			t.Fatalf("Write(% x) = %v, want %v", text[:cut], got, want)
		}
		if got, want := v.Write(text[cut:]), bad == len(text); got != want {
			t.Fatalf("Write(% x) after % x = %v, want %v", text[cut:], text[:cut], got, want)
		}
		if got, want := v.Done(), utf8.Valid(text); got != want {
			t.Fatalf("Done() = %v after % x, want %v", got, text, want)
		}
	})
}

// firstBad returns the index of the first byte of text that cannot go on with
// valid text, or its length if there is none.
func firstBad(text []byte) int {
	i := 0
	for i < len(text) {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		i += size
	}
	for n := 1; i+n <= len(text); n++ {
		if utf8.FullRune(text[i : i+n]) {
			return i + n - 1
		}
	}
	return len(text)
}

func BenchmarkValidator(b *testing.B) {
	for _, bb := range []struct{ name, text string }{
		{"ascii-32", strings.Repeat("a", 32)},
		{"ascii-1024", strings.Repeat("a", 1024)},
		{"json-1024", strings.Repeat(`{"name":"Zoë","city":"Köln"},    `, 31)[:1024]},
		{"cjk-1024", strings.Repeat("世界", 171)[:1023]},
	} {
		b.Run(bb.name, func(b *testing.B) {
			p := []byte(bb.text)
			b.ReportAllocs()
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				var v frames.Validator
				if !v.Write(p) {
					b.Fatal("refused")
				}
			}
		})
	}
}
