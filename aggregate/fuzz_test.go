package aggregate

import (
	"encoding/json"
	"testing"
)

// FuzzParseNumber holds two properties: verdict and value are the twin's, for a
// typed number and for a total; and what is accepted, written and read again is
// the same number and the same text, which is valid JSON.
func FuzzParseNumber(f *testing.F) {
	for _, file := range []string{"testdata/numbers.txt", "testdata/totals.txt"} {
		for _, e := range readBook(f, file, 10) {
			f.Add([]byte(e.unquoted(f)))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		n, err := ParseNumber(text)
		want, wantErr := twinParse(string(text), 30, ErrTooLarge)
		checkTwin(t, string(text), n, err, want, wantErr)

		var total Number
		err = total.UnmarshalText(text)
		want, wantErr = twinParse(string(text), 60, ErrTotalTooLarge)
		checkTwin(t, string(text), total, err, want, wantErr)
		checkStable(t, total)
	})
}

func checkStable(t *testing.T, n Number) {
	t.Helper()
	text := n.String()
	again := mustTotal(t, text)
	if again.String() != text || again.Cmp(n) != 0 {
		t.Fatalf("%s read again is %s", text, again)
	}
	if !json.Valid([]byte(text)) {
		t.Fatalf("%s is not JSON", text)
	}
}
