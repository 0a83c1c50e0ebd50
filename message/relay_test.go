package message

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// Messages come out as they went in, in parts that are small enough.
func TestRelay(t *testing.T) {
	const most = 100
	var r Relay
	var want []string
	for i := range 50 {
		m := Message{Text: []byte(strings.Repeat("x", i)), Binary: i%3 == 0}
		if !r.Add(m, most) {
			t.Fatalf("%d bytes do not fit", i)
		}
		want = append(want, fmt.Sprintf("%s %v", m.Text, m.Binary))
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
			got = append(got, fmt.Sprintf("%s %v", m.Text, m.Binary))
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
	for _, p := range []string{"", "\x00", "\x02", "\x01\x02\x00", "\x01\x00", "\x01\x00\x05abcd", "\x01\x00\xff", "\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x", "hello"} {
		if all, err := ParseRelayed([]byte(p)); err == nil {
			t.Errorf("%q: %v", p, all)
		}
	}
	if all, err := ParseRelayed([]byte{relayFormat}); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
}

func FuzzParseRelayed(f *testing.F) {
	f.Add([]byte("\x01\x00\x05hello\x01\x01\xff"))
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
			if !bytes.Equal(all[i].Text, again[i].Text) || all[i].Binary != again[i].Binary {
				t.Fatalf("%v, want %v", again[i], all[i])
			}
		}
	})
}
