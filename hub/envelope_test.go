package hub

import (
	"bytes"
	"testing"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
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

// The time of a room never goes back, whatever the clock does, and is told by
// the wall clock, which is all that is stored.
func TestRoomTimeNeverGoesBack(t *testing.T) {
	now := time.Now().UTC().Round(0)
	for _, test := range []struct{ room, clock, want time.Time }{
		{now, now.Add(time.Second), now.Add(time.Second)},
		{now, now.Add(-time.Hour), now},
		{time.Time{}, now, now},
	} {
		if got := later(test.room, test.clock); got != test.want {
			t.Errorf("after %v at %v: %v", test.room, test.clock, got)
		}
	}
}

// Members take turns, and who was not served when a batch was full comes first
// in the next.
func TestBatchesAreFair(t *testing.T) {
	r := newRoom(&Hub{}, engines.Key{}, NewRoute("", "", Config{}))
	members := make([]*Member, maxBatch+2)
	for i := range members {
		members[i] = &Member{room: r, port: newAnswer()}
		for n := range 3 {
			r.enqueue(operation{from: members[i], data: []byte{byte(n)}})
		}
	}
	count := make(map[*Member]int)
	total := 3 * len(members)
	for left := total; left > 0; {
		batch := r.takeBatch()
		if len(batch) != min(maxBatch, left) {
			t.Fatalf("a batch of %d with %d left", len(batch), left)
		}
		for _, op := range batch {
			served := total - left
			if want := served / len(members); count[op.from] != want || int(op.data[0]) != want {
				t.Fatalf("operation %d is the one numbered %d of a member served %d times", served, op.data[0], count[op.from])
			}
			count[op.from]++
			left--
		}
	}
	if r.busy() || r.size != 0 || len(r.waiting) != 0 {
		t.Errorf("%d operations of %d bytes by %d members are left", r.count, r.size, len(r.waiting))
	}
}
