package message

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// shown is what members are told of a message.
func shown(m Message) string {
	return fmt.Sprintf("%s %v %v %s", m.Text, m.Binary, m.Sent.UTC(), m.Payload(JSON))
}

// Messages come out as they went in, in parts that are small enough.
func TestRelay(t *testing.T) {
	const most = 100
	var r Relay
	var want []string
	for i := range 50 {
		m := Message{Text: []byte(strings.Repeat("x", i)), Binary: i%3 == 0, Sent: time.UnixMilli(int64(i) * 1e9)}
		switch i % 4 {
		case 1:
			m.From = Known("id", "")
		case 2:
			m.From = Known("", "ann")
		case 3:
			m.From, m.JSON = Known("id", "ann"), []byte(`{"data":"x"}`)
		}
		if !r.Add(m, most) {
			t.Fatalf("%d bytes do not fit", i)
		}
		want = append(want, shown(m))
	}
	if r.Add(Message{Text: make([]byte, most)}, most) {
		t.Error("a message of the size of a part fits")
	}
	var got []string
	size := 0
	for _, p := range r.Parts() {
		if size += len(p); len(p) > most {
			t.Errorf("a part has %d bytes", len(p))
		}
		all, err := ParseRelayed(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range all {
			got = append(got, shown(m))
		}
	}
	if strings.Join(got, "|") != strings.Join(want, "|") || r.Size() != size {
		t.Errorf("%q, %d bytes; want %q, %d bytes", got, r.Size(), want, size)
	}
	if len(r.Parts()) > 30 {
		t.Errorf("%d parts", len(r.Parts()))
	}
}

// What other programs say is refused, and never read beyond its end.
func TestRelayedNonsense(t *testing.T) {
	for _, p := range []string{
		"", "\x00", "\x01", "\x03", "hello", "\x01\x00\x05hello", // other formats
		"\x02\x10\x00\x00", "\x02\x80\x00\x00", // other flags
		"\x02\x00", "\x02\x00\xff", "\x02\x00\x00", "\x02\x00\x00\x05abcd", "\x02\x00\x00\xff", "\x02\x00\x00\x00\x01", // the end
		"\x02\x02\x00\x03ab", "\x02\x04\x00\x03abc", "\x02\x08\x00\xff", "\x02\x0e\x00\x01a\x01b\x01c",
		"\x02\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x02\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x",
	} {
		if all, err := ParseRelayed([]byte(p)); err == nil {
			t.Errorf("%q: %v", p, all)
		}
	}
	if all, err := ParseRelayed([]byte{relayFormat}); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
}

func FuzzParseRelayed(f *testing.F) {
	f.Add([]byte("\x02\x00\x00\x05hello\x01\x02\x01\xff"))
	f.Add([]byte("\x02\x0f\x02\x02id\x03ann\x02{}\x00"))
	f.Fuzz(func(t *testing.T, p []byte) {
		all, err := ParseRelayed(p)
		if err != nil {
			return
		}
		var r Relay
		for _, m := range all {
			if !r.Add(m, 1<<20) {
				t.Fatal("it does not fit")
			}
		}
		parts := append(r.Parts(), []byte{relayFormat}) // there may be none
		again, err := ParseRelayed(parts[0])
		if err != nil || len(again) != len(all) {
			t.Fatalf("%v, %v", again, err)
		}
		for i := range all {
			if shown(all[i]) != shown(again[i]) {
				t.Fatalf("%v, want %v", again[i], all[i])
			}
		}
	})
}
