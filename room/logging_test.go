package room

import (
	"testing"

	"go.uber.org/zap/zapcore"
)

// What a terminal might obey is not in a log, and all else is as it was sent.
func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"":                 "",
		"plain ~ text":     "plain ~ text",
		"Grüße, 世界":        "Grüße, 世界",
		"a\nb":             "a\nb", // which encoders escape
		"del\x7f":          "del\ufffd",
		"csi\u009b31m red": "csi\ufffd31m red",
	} {
		if got := Printable(text); got != want {
			t.Errorf("Printable(%q) = %q, want %q", text, got, want)
		}
	}
}

// The user is named in the log, without what a terminal might obey; if there is none,
// nothing stands in its place.
func TestLogFields(t *testing.T) {
	r, all := emptyRoom(1)
	m := all[0]
	m.route = r.route
	for user, want := range map[string]any{"": nil, "ann\x7f": "ann\ufffd"} {
		m.identity = &identity{user: user}
		fields := zapcore.NewMapObjectEncoder()
		for _, f := range m.LogFields() {
			f.AddTo(fields)
		}
		if got := fields.Fields["user"]; got != want || fields.Fields["id"] != m.ID() || fields.Fields["room"] != "room" {
			t.Errorf("%q: %v", user, fields.Fields)
		}
	}
}
