package caddyws

import (
	"math/rand/v2"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

// What URLSearchParams of a browser reads.
func TestParseQuery(t *testing.T) {
	for raw, want := range map[string]url.Values{
		"":                          {},
		"message=x":                 {"message": {"x"}},
		"message":                   {"message": {""}},
		"message=a;b":               {"message": {"a;b"}},
		"a;message=b":               {"a;message": {"b"}},
		"message=1;message=2":       {"message": {"1;message=2"}},
		"message=100%":              {"message": {"100%"}},
		"message=%":                 {"message": {"%"}},
		"message=%4":                {"message": {"%4"}},
		"message=%zz%41%4g":         {"message": {"%zzA%4g"}},
		"message=%%41%%":            {"message": {"%A%%"}},
		"100%=x&message=1":          {"100%": {"x"}, "message": {"1"}},
		"%6dessage=a%3Bb+c":         {"message": {"a;b c"}},
		"message=a=b&&=c&message=d": {"message": {"a=b", "d"}, "": {"c"}},
		"message=%ff":               {"message": {"\xff"}},
		"message=%C3%A9%25":         {"message": {"é%"}},
	} {
		if got := parseQuery(&url.URL{RawQuery: raw}); !reflect.DeepEqual(got, want) {
			t.Errorf("%q is read as %q, want %q", raw, got, want)
		}
	}
}

// Nothing is left out, and what net/url can read is read as by net/url.
func TestParseQueryOfAnything(t *testing.T) {
	const seed = 9
	random := rand.New(rand.NewPCG(seed, seed))
	for range 20000 {
		raw := make([]byte, random.IntN(12))
		for i := range raw {
			raw[i] = "%%%4aF&;=+x\xff"[random.IntN(12)]
		}
		got, pairs := parseQuery(&url.URL{RawQuery: string(raw)}), 0
		for _, values := range got {
			pairs += len(values)
		}
		if want := strings.FieldsFunc(string(raw), func(c rune) bool { return c == '&' }); pairs != len(want) {
			t.Fatalf("seed %d: of %q %d pairs are read: %q", seed, raw, pairs, got)
		}
		if want, err := url.ParseQuery(string(raw)); err == nil && !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: %q is read as %q, by net/url as %q", seed, raw, got, want)
		}
	}
}
