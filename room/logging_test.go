package room

import "testing"

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
