package connect

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/caddyws/caddy-websocket/client"
	"github.com/gorilla/websocket"
)

func text(s string) message   { return message{websocket.TextMessage, []byte(s)} }
func binary(s string) message { return message{websocket.BinaryMessage, []byte(s)} }

// Raw is what came; for a terminal nothing is left that it would obey.
func TestForms(t *testing.T) {
	for _, row := range []struct {
		m                 message
		raw, shown, below string
	}{
		{text("7"), "7\n", "7\n", "< 7\n"},
		{text(""), "\n", "\n", "< \n"},
		{text("a\nb\tc"), "a\nb\tc\n", "a\nb\tc\n", "< a\n  b\tc\n"},
		{text("\x1b[2J\r\u009b1m\u202e\x07é👩‍🚀"), "\x1b[2J\r\u009b1m\u202e\x07é👩‍🚀\n", `\x1b[2J\x0d\u009b1m\u202e\x07é👩‍🚀` + "\n", `< \x1b[2J\x0d\u009b1m\u202e\x07é👩‍🚀` + "\n"},
		{binary("\x00\xffA"), "\x00\xffA", "binary, 3 bytes: 00 ff 41\n", "< binary, 3 bytes: 00 ff 41\n"},
		{binary(""), "", "binary, 0 bytes:\n", "< binary, 0 bytes:\n"},
	} {
		for _, f := range []struct {
			name string
			form form
			want string
		}{{"raw", raw, row.raw}, {"shown", shown, row.shown}, {"below", below, row.below}} {
			m := message{row.m.kind, append([]byte(nil), row.m.payload...)}
			if got := string(f.form(m)); got != f.want {
				t.Errorf("%s of %q is %q, want %q", f.name, row.m.payload, got, f.want)
			}
		}
	}
}

// A terminal is not flooded, and told what is left out. No character is cut.
func TestLongMessagesAreCut(t *testing.T) {
	long := string(shown(text("x" + strings.Repeat("ä", shownText))))
	if !strings.HasSuffix(long, "ä … (16383 of 32769 bytes are shown)\n") || strings.Contains(long, `\x`) {
		t.Errorf("the end is %q", long[len(long)-60:])
	}
	if got := string(shown(text(strings.Repeat("x", shownText)))); len(got) != shownText+1 {
		t.Errorf("a message that fits is shown in %d bytes", len(got))
	}
	if got := string(shown(binary(strings.Repeat("x", 1000)))); !strings.HasSuffix(got, "78 … (256 of 1000 bytes are shown)\n") || len(got) > 900 {
		t.Errorf("%q", got)
	}
}

// Each line of JSON is one object with what came, and safe to show.
func TestJSON(t *testing.T) {
	const wild = "a\"\n\x1b\u009b\u202e\U000e0001é"
	for m, want := range map[*message]string{
		{websocket.TextMessage, []byte(wild)}:         wild,
		{websocket.TextMessage, nil}:                  "",
		{websocket.BinaryMessage, []byte("\x00\xff")}: "AP8=",
	} {
		line := string(asJSON(*m))
		for _, r := range strings.TrimSuffix(line, "\n") {
			if !unicode.IsGraphic(r) {
				t.Errorf("%q has %q", line, r)
			}
		}
		var got event
		if err := json.Unmarshal([]byte(line), &got); err != nil || got.Data == nil || *got.Data != want || time.Since(got.Time) > time.Hour {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
	if !strings.Contains(string(asJSON(binary("x"))), `"type":"binary"`) || !strings.Contains(string(asJSON(text("x"))), `"type":"text"`) {
		t.Error("the types are wrong")
	}
}

// The last line in JSON tells how it ended.
func TestEndings(t *testing.T) {
	for err, want := range map[error]event{
		nil: {Type: "close", Code: 1000},
		&client.Closed{Code: 1001, Reason: "stop"}: {Type: "close", Code: 1001, Reason: "stop"},
		&client.Cut{Cause: errNoPong}:              {Type: "cut", Reason: errNoPong.Error()},
		errUnsent:                                  {Type: "error", Reason: "unsent"},
	} {
		if got := ending(err); got != want {
			t.Errorf("%v: %+v, want %+v", err, got, want)
		}
	}
}

func TestValues(t *testing.T) {
	var w wait
	for in, want := range map[string]string{"1s": "1s", "0": "0s", "0s": "0s", "forever": "forever", "24h": "24h0m0s"} {
		if err := w.Set(in); err != nil || w.String() != want {
			t.Errorf("%s: %s, %v", in, w.String(), err)
		}
	}
	for _, in := range []string{"", "-1s", "25h", "soon", "5"} {
		if err := w.Set(in); err == nil || !strings.Contains(err.Error(), "forever") {
			t.Errorf("%q: %v", in, err)
		}
	}
	var s size
	for in, want := range map[string]size{"1": 1, "16MiB": 16 << 20, "1GiB": 1 << 30} {
		if err := s.Set(in); err != nil || s != want {
			t.Errorf("%s: %d, %v", in, s, err)
		}
	}
	for _, in := range []string{"", "0", "-1", "2GiB", "many"} {
		if err := s.Set(in); err == nil || !strings.Contains(err.Error(), "1GiB") {
			t.Errorf("%q: %v", in, err)
		}
	}
	for every, good := range map[time.Duration]bool{0: true, time.Second: true, time.Millisecond: false, -1: false, 25 * time.Hour: false} {
		if err := checkPing(every); (err == nil) != good {
			t.Errorf("%s: %v", every, err)
		}
	}
}
