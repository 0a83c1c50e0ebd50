package lowercase

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// What browsers make of it: node -p '"ΑΣ İ".toLowerCase()'.
func TestLowerAsBrowsersDo(t *testing.T) {
	many := strings.Repeat("İ", 1000)
	for text, want := range map[string]string{
		"":                         "",
		"HELLO":                    "hello",
		"ΑΣ İ":                     "ας i\u0307",
		"İSTANBUL":                 "i\u0307stanbul",
		"ΟΔΥΣΣΕΥΣ":                 "οδυσσευς",
		"ΟΔΥΣΣΕΥΣ, ΟΔΥΣΣΕΥΣ!":      "οδυσσευς, οδυσσευς!",
		"Σ":                        "σ", // a word has a letter before its end
		"ΑΣ ΣΑ Σ":                  "ας σα σ",
		"ΑΣ'Α":                     "ασ'α", // in the word
		"ΑΣ.":                      "ας.",
		"ΑΣ1":                      "ας1",
		"1Σ":                       "1σ",
		"ΑΣ\u0301":                 "ας\u0301", // an accent on it
		"ÀÉ Ⅷ Ω \u212A \U00010400": "àé ⅷ ω k \U00010428",
		many + "ΑΣ":                strings.Repeat("i\u0307", 1000) + "ας",
		many + "Σ " + many:         strings.Repeat("i\u0307", 1000) + "ς " + strings.Repeat("i\u0307", 1000),
	} {
		if got := string(lower([]byte(text))); got != want {
			t.Errorf("%.20q becomes %.40q, want %.40q", text, got, want)
		}
	}
}

// The short cut is right: without sigma and İ there is no difference.
func TestLowerOfEveryLetter(t *testing.T) {
	caser := cases.Lower(language.Und)
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		text := "A" + string(r) + "B"
		if got, want := string(lower([]byte(text))), caser.String(text); got != want {
			t.Errorf("%+q becomes %+q, want %+q", text, got, want)
		}
	}
}

func TestLowerIsForManyGoroutines(t *testing.T) {
	text, want := []byte(strings.Repeat("ΑΣ İ ", 100)), []byte(strings.Repeat("ας i\u0307 ", 100))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				if got := lower(text); !bytes.Equal(got, want) {
					t.Errorf("%q", got)
					return
				}
			}
		})
	}
	all.Wait()
}

// The answer is in new memory, and there is one piece of it.
func TestLowerAllocatesOnce(t *testing.T) {
	for _, text := range []string{"hello", "HELLO", "ÄÖÜ", "ΑΣ İ"} {
		p := []byte(text)
		if got := lower(p); &got[0] == &p[0] {
			t.Errorf("%q is answered in its own memory", text)
		}
		if n := testing.AllocsPerRun(100, func() { lower(p) }); n > 1 {
			t.Errorf("%q costs %v allocations", text, n)
		}
	}
}

func BenchmarkLower(b *testing.B) {
	for name, text := range map[string]string{
		"32": strings.Repeat("HELLO wo", 4), "1k": strings.Repeat("HELLO wo", 128), "1k-greek": strings.Repeat("ΑΣ ΟΔΥΣΣΕΥΣ ", 45),
	} {
		b.Run(name, func(b *testing.B) {
			p := []byte(text)
			b.SetBytes(int64(len(p)))
			b.ReportAllocs()
			for b.Loop() {
				lower(p)
			}
		})
	}
}
