package nats

import (
	"regexp"
	"strings"
	"testing"

	"github.com/caddyws/caddy-websocket/engines"
)

// token is what NATS allows between the dots of a key of a bucket.
var token = regexp.MustCompile(`^[-/_=A-Za-z0-9]+$`)

func TestSubjectsAreOfTheKeysOfABucket(t *testing.T) {
	for _, test := range []struct {
		key     engines.Key
		subject string
	}{
		{engines.Key{App: "sum", Room: "example.com/a"}, "p.sum.example=2ecom/a"},
		{engines.Key{App: "a"}, "p.a.="},
		{engines.Key{App: "=", Room: "="}, "p.=3d.=3d"},
		{engines.Key{App: "A", Room: "*.> \x00\xff"}, "p.A.=2a=2e=3e=20=00=ff"},
	} {
		got, err := subjectOf("p.", test.key)
		if err != nil || got != test.subject {
			t.Errorf("%q: %q, %v; want %q", test.key, got, err, test.subject)
		}
	}
}

func TestNamesThatHaveNoSubject(t *testing.T) {
	long := strings.Repeat("x", 513)
	for _, key := range []engines.Key{{}, {Room: "x"}, {App: long, Room: long}} {
		if subject, err := subjectOf("p.", key); err == nil {
			t.Errorf("%.20q: %.20q", key, subject)
		}
	}
}

// A subject that no room has is nobody's, even if it could be read.
func TestSubjectsOfNoRoom(t *testing.T) {
	for _, subject := range []string{
		"", "p.", "p.a", "p.a.", "p..a", "p.=.a", "q.a.b", "p.a.b.c", "p.a.=4", "p.a.=zz", "p.a.=41", "p.a.=2E", "p.a.ä", "p.a.b=", "p.a.==",
	} {
		if key, ok := keyOf("p.", subject); ok {
			t.Errorf("%q is that of %q", subject, key)
		}
	}
}

// Each room has one subject, and no two have the same.
func FuzzSubject(f *testing.F) {
	f.Add("sum", "example.com/a")
	f.Add("=", "")
	f.Add("\x00", "\xff.*>")
	f.Fuzz(func(t *testing.T, app, room string) {
		key := engines.Key{App: app, Room: room}
		subject, err := subjectOf("$KV.bucket.room.", key)
		if err != nil {
			return
		}
		if back, ok := keyOf("$KV.bucket.room.", subject); !ok || back != key {
			t.Errorf("%q became %q", key, back)
		}
		a, r, _ := strings.Cut(strings.TrimPrefix(subject, "$KV.bucket.room."), ".")
		if !token.MatchString(a) || !token.MatchString(r) {
			t.Errorf("%q has the subject %q", key, subject)
		}
	})
}
