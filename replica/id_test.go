package replica

import (
	"errors"
	"strings"
	"testing"
)

func TestParseID(t *testing.T) {
	long := strings.Repeat("x", 48)
	for s, want := range map[string]ID{
		"a:1":                                    {"a", 1},
		"A-z_0.9:18446744073709551615":           {"A-z_0.9", 1<<64 - 1},
		long + ":10":                             {long, 10},
		"8e03978e-40d5-43dd-bc93-6894a57f9324:7": {"8e03978e-40d5-43dd-bc93-6894a57f9324", 7},
	} {
		for _, parse := range []func(string) (ID, error){ParseID, ParseKey} {
			if got, err := parse(s); err != nil || got != want || got.String() != s {
				t.Errorf("%q: %v, %v", s, got, err)
			}
		}
	}
	const form, client, chars, number = "form", "1 to 48 characters", "only the characters", "counts 1, 2, 3"
	for s, want := range map[string]string{
		"": form, "a": form, "1": form, "a key without a number": form,
		":1": client, long + "x:1": client,
		"a b:1": chars, "ä:1": chars, "a/b:1": chars, "a\x00:1": chars,
		"a:": number, "a:0": number, "a:01": number, "a:-1": number, "a:+1": number, "a:1 ": number, "a:1:1": number, "a:x": number,
		"a:1_000": number, "a:1e3": number, "a:0x1": number, "a:18446744073709551616": number,
	} {
		id, err := ParseID(s)
		var e *Error
		if !errors.As(err, &e) || e.Code != CodeBadID || e.Retry || id != (ID{}) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v", s, id, err)
		}
	}
}

func TestParseKey(t *testing.T) {
	for _, s := range []string{"8e03978e-40d5-43dd", "sixteen bytes...", "\"a quoted key is as good\"", "not a number of a client:0", strings.Repeat("~", 64)} {
		if id, err := ParseKey(s); err != nil || id != (ID{Name: s}) || id.String() != s {
			t.Errorf("%q: %v, %v", s, id, err)
		}
	}
	for _, s := range []string{"", "a:0", "fifteen bytes..", strings.Repeat("~", 65), "a line\nand another one", "ein Schlüssel, der nicht geht", "a delete is not \x7f"} {
		if id, err := ParseKey(s); err == nil || id != (ID{}) || !errors.Is(err, &Error{Code: CodeBadID}) {
			t.Errorf("%q: %v, %v", s, id, err)
		}
	}
}

// An id that is read is written as it was; nothing else is one.
func FuzzParseID(f *testing.F) {
	for _, s := range []string{"a:1", "a.b-c_d:10", "a:01", ":", "0123456789abcdef", "0123456789abcde:0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseID(s)
		key, keyErr := ParseKey(s)
		switch {
		case err == nil && (id.String() != s || id.N == 0 || key != id || len(id.Name) == 0 || len(id.Name) > maxClientName):
			t.Errorf("%q is %+v, as a key %+v", s, id, key)
		case err != nil && keyErr == nil && (key.N != 0 || key.String() != s || len(s) < minKey || len(s) > maxKey):
			t.Errorf("%q is the key %+v", s, key)
		case err != nil && id != (ID{}), keyErr != nil && key != (ID{}):
			t.Errorf("%q: %+v, %+v", s, id, key)
		}
	})
}

func TestParsePoint(t *testing.T) {
	for s, want := range map[string]Point{"EPOCHEPO-0": {"EPOCHEPO", 0}, "e-18446744073709551615": {"e", 1<<64 - 1}} {
		if got, err := ParsePoint(s); err != nil || got != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "EPOCHEPO", "EPOCHEPO-", "-1", "EPOCHEPO-+1", "EPOCHEPO--1", "EPOCHEPO-1-1", "EPOCHEPO-x"} {
		if got, err := ParsePoint(s); !errors.Is(err, &Error{Code: CodeBadID}) || got != (Point{}) {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
}
