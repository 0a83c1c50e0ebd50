package replica

import (
	"bytes"
	"testing"
	"time"
)

func TestEnvelopeComesBackAsItWas(t *testing.T) {
	for _, e := range []envelope{
		{epoch: "EPOCHEPO", version: 1, at: time.Unix(0, 1).UTC(), app: []byte{}},
		{epoch: "EPOCHEPO", version: 1<<64 - 1, at: time.Unix(1<<33, 999999999).UTC(), app: []byte("app\x00")},
		{epoch: "EPOCHEPO", at: time.Unix(-1, 0).UTC(), app: bytes.Repeat([]byte("x"), 1000)},
	} {
		got, err := parseEnvelope(e.encode())
		if err != nil || got.epoch != e.epoch || got.version != e.version || got.at != e.at || !bytes.Equal(got.app, e.app) || got.app == nil {
			t.Errorf("%+v came back as %+v, %v", e, got, err)
		}
	}
}

func TestEnvelopeByItsBytes(t *testing.T) {
	e := envelope{epoch: "EPOCHEPO", version: 300, at: time.Unix(0, 5), app: []byte("app")}
	const want = "\x01EPOCHEPO\xac\x02\x0aapp"
	if got := e.encode(); string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
	for n := range len(want) - len("app") {
		if e, err := parseEnvelope([]byte(want[:n])); err == nil {
			t.Errorf("%q was read as %+v", want[:n], e)
		}
	}
}

// An envelope that is read keeps nothing of the bytes; what is read and written
// again is the same to whoever reads it.
func FuzzEnvelope(f *testing.F) {
	f.Add([]byte("\x01EPOCHEPO\xac\x02\x0aapp"))
	f.Add([]byte("\x01EPOCHEPO\x00\x00"))
	f.Add([]byte("\x02EPOCHEPO\x00\x00"))
	f.Add([]byte("\x01EPOCHEPO\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00"))
	f.Fuzz(func(t *testing.T, p []byte) {
		first, err := parseEnvelope(p)
		if err != nil {
			return
		}
		again := first.encode()
		clear(p)
		second, err := parseEnvelope(again)
		if err != nil || second.epoch != first.epoch || second.version != first.version || !second.at.Equal(first.at) ||
			!bytes.Equal(second.app, first.app) || !bytes.Equal(second.encode(), again) {
			t.Errorf("%+v became %+v, %v", first, second, err)
		}
	})
}
