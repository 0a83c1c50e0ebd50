package aggregate

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
)

// The lab book: testdata/*.txt, one case a line, the expected outcome behind the
// arrow.

func TestParseNumberFollowsTheLabBook(t *testing.T) {
	for _, c := range readBook(t, "testdata/numbers.txt", 150) {
		n, err := ParseNumber([]byte(c.unquoted(t)))
		c.check(t, outcome(n, err))
	}
}

func TestUnmarshalTextFollowsTheLabBook(t *testing.T) {
	for _, c := range readBook(t, "testdata/totals.txt", 10) {
		var n Number
		err := n.UnmarshalText([]byte(c.unquoted(t)))
		c.check(t, outcome(n, err))
	}
}

func TestUnmarshalTextDiffersFromParseNumberOnlyInTheBound(t *testing.T) {
	for _, c := range readBook(t, "testdata/numbers.txt", 150) {
		if c.want == "error: "+ErrTooLarge.Error() {
			continue
		}
		var n Number
		err := n.UnmarshalText([]byte(c.unquoted(t)))
		c.check(t, outcome(n, err))
	}
}

func TestSumFollowsTheLabBook(t *testing.T) {
	for _, c := range readBook(t, "testdata/sums.txt", 30) {
		c.check(t, addAll(t, strings.Fields(c.input)))
	}
}

func TestErrorsAreSentinels(t *testing.T) {
	large := mustTotal(t, "9e59")
	_, addErr := large.Add(large)
	for _, c := range []struct{ got, want error }{
		{parseError("x"), ErrNotNumber},
		{parseError("1e30"), ErrTooLarge},
		{parseError("1e-31"), ErrTooFine},
		{parseError(strings.Repeat("1", 129)), ErrTooLong},
		{new(Number).UnmarshalText([]byte("1e60")), ErrTotalTooLarge},
		{addErr, ErrTotalTooLarge},
	} {
		if c.got != c.want {
			t.Errorf("got %v, want %v itself", c.got, c.want)
		}
	}
	if errors.Is(ErrTotalTooLarge, ErrTooLarge) {
		t.Error("a total's bound is taken for a typed number's")
	}
}

func parseError(text string) error {
	_, err := ParseNumber([]byte(text))
	return err
}

// addAll adds texts to an empty Sum and tells the outcome as sums.txt writes it.
func addAll(t *testing.T, texts []string) string {
	var s Sum
	for i, text := range texts {
		next, err := s.Add(mustTotal(t, text))
		if err != nil && i < len(texts)-1 {
			t.Fatalf("adding %s before the end of the line: %v", text, err)
		}
		if err != nil {
			return "error: " + err.Error() + " [" + next.Total.String() + "]"
		}
		s = next
	}
	return s.Total.String()
}

func outcome(n Number, err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	return n.String()
}

// entry is a case of the lab book.
type entry struct {
	file        string
	line        int
	input, want string
}

// readBook reads the cases of a file, which must have least or more.
func readBook(t testing.TB, file string, least int) []entry {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var entries []entry
	for i, line := range strings.Split(string(text), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		entries = append(entries, newEntry(t, file, i+1, line))
	}
	if len(entries) < least {
		t.Fatalf("%s has %d cases, want at least %d", file, len(entries), least)
	}
	return entries
}

func newEntry(t testing.TB, file string, number int, line string) entry {
	t.Helper()
	input, want, ok := strings.Cut(" "+line, " -> ")
	if !ok {
		t.Fatalf("%s:%d: no arrow", file, number)
	}
	return entry{file, number, strings.TrimSpace(input), want}
}

func (e entry) unquoted(t testing.TB) string {
	t.Helper()
	s, err := strconv.Unquote(e.input)
	if err != nil {
		t.Fatalf("%s:%d: %v", e.file, e.line, err)
	}
	return s
}

func (e entry) check(t *testing.T, got string) {
	t.Helper()
	if got != e.want {
		t.Errorf("%s:%d: %s\n got %s\nwant %s", e.file, e.line, e.input, got, e.want)
	}
}
