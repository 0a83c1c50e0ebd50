package replica

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

// some is a table of one client and one key.
func some() *ids {
	r := new(Replica)
	for _, id := range []ID{{"client", 7}, {"a key of its own", 0}} {
		o := &Once{ID: id, User: "alice"}
		r.remember(o, o.mark([]byte("data")), 5, Result{Version: 5})
	}
	return &r.ids
}

func (e envelope) equal(other envelope) bool {
	return e.epoch == other.epoch && e.version == other.version && e.at.Equal(other.at) && e.used == other.used && e.lag == other.lag && e.route == other.route && slices.Equal(e.writers, other.writers) &&
		bytes.Equal(e.ids, other.ids) && bytes.Equal(e.app, other.app) && bytes.Equal(e.events.appendTo(nil), other.events.appendTo(nil))
}

func TestEnvelopeComesBackAsItWas(t *testing.T) {
	for _, e := range []envelope{
		{epoch: "EPOCHEPO", version: 1, at: time.Unix(0, 1).UTC(), app: []byte{}},
		{epoch: "EPOCHEPO", version: 1<<64 - 1, at: time.Unix(1<<33, 999999999).UTC(), used: 1 << 33, route: "chat", writers: writers{{1, 2}, {3, 4}}, app: []byte("app\x00")},
		{epoch: "EPOCHEPO", version: 9, at: time.Unix(7, 0).UTC(), lag: 1, events: Events{Total: 1, Kept: []Event{{cry("all", "a"), Place{9, 1}}}}, app: []byte("app")},
		{epoch: "EPOCHEPO", version: 9, at: time.Unix(7, 0).UTC(), lag: time.Hour, route: "chat", app: []byte("app")},
		{epoch: "EPOCHEPO", at: time.Unix(-1, 0).UTC(), used: -1, route: strings.Repeat("r", 300), app: bytes.Repeat([]byte("x"), 1000)},
	} {
		for _, table := range []*ids{{}, some()} {
			now := writer{process: 3, batch: 1 << 40}
			p := e.encode(nil, now, table)
			got, err := parseEnvelope(p)
			want := e
			want.writers = want.writers.with(now)
			if err != nil || !got.equal(want) || got.app == nil || (got.ids != nil) != !table.empty() {
				t.Errorf("%+v came back as %+v, %v", want, got, err)
			}
			again := new(ids)
			again.restore(got.ids)
			if !bytes.Equal(got.encode(nil, now, again), p) {
				t.Errorf("%+v is encoded differently", got)
			}
		}
	}
}

// A room whose operations had no ids has no byte for them.
func TestEnvelopeByItsBytes(t *testing.T) {
	e := envelope{epoch: "EPOCHEPO", version: 300, at: time.Unix(0, 5), used: 3, route: "chat", writers: writers{{2, 1}, {258, 128}}, app: []byte("app")}
	const (
		want = "\x02EPOCHEPO\xac\x02\x0a\x06\x04chat\x02\x02\x01\x00\x00\x00\x00\x00\x00\x80\x01\x02\x00\x00\x00\x00\x00\x00\x00\x07app"
		old  = "\x01EPOCHEPO\xac\x02\x0aapp"
	)
	got := e.encode(nil, writer{2, 7}, new(ids))
	if string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
	before, err := parseEnvelope([]byte(old))
	e.writers, e.ids, e.used, e.route = nil, nil, 0, ""
	if err != nil || !before.equal(e) {
		t.Errorf("%q was read as %+v, %v", old, before, err)
	}
	e.encode(nil, writer{2, 7}, some())
	withIDs := string(e.encode(nil, writer{2, 7}, some()))
	if !bytes.Contains([]byte(withIDs), e.ids) || withIDs[0] != formatIDs {
		t.Errorf("%q has the ids %q", withIDs, e.ids)
	}
	e.lag = 300
	withLag := string(e.encode(nil, writer{2, 7}, new(ids)))
	if !strings.HasPrefix(withLag, "\x04") || !strings.HasSuffix(withLag, "\x02\xac\x02app") {
		t.Errorf("with a clock that is behind: %q", withLag)
	}
	for _, p := range []string{want, old, withIDs, withLag} {
		for n := range len(p) - len("app") {
			if e, err := parseEnvelope([]byte(p[:n])); err == nil {
				t.Errorf("%q was read as %+v", p[:n], e)
			}
		}
	}
}

// What is read and written again is the same to whoever reads it.
func FuzzEnvelope(f *testing.F) {
	f.Add([]byte("\x01EPOCHEPO\xac\x02\x0aapp"))
	f.Add([]byte("\x01EPOCHEPO\x00\x00"))
	f.Add([]byte("\x04EPOCHEPO\x00\x00\x00\x00"))
	f.Add([]byte("\x01EPOCHEPO\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00"))
	e := envelope{epoch: "EPOCHEPO", at: time.Unix(0, 0), app: []byte("app")}
	f.Add(e.encode(nil, writer{1, 1}, new(ids)))
	f.Add(e.encode(nil, writer{1, 1}, some()))
	e.lag = time.Hour
	f.Add(e.encode(nil, writer{1, 1}, some()))
	e.events = Events{Total: 3, Told: 1, Dropped: Place{1, 1}, Kept: []Event{{cry("press", "a"), Place{1, 2}}, {cry("sender", "b"), Place{2, 1}}}}
	f.Add(e.encode(nil, writer{1, 1}, some()))
	e.lag = 0
	f.Add(e.encode(nil, writer{1, 1}, new(ids)))
	f.Fuzz(func(t *testing.T, p []byte) {
		first, err := parseEnvelope(p)
		if err != nil {
			return
		}
		table, now := new(ids), writer{1, 1}
		table.restore(first.ids)
		again := bytes.Clone(first.encode(nil, now, table))
		second, err := parseEnvelope(again)
		first.writers = first.writers.with(now)
		if err != nil || !second.equal(first) || !bytes.Equal(second.encode(nil, now, table), again) {
			t.Errorf("%+v became %+v, %v", first, second, err)
		}
		use(table)
	})
}

// use does with a table what operations do.
func use(table *ids) {
	r := &Replica{ids: *table}
	for _, id := range []ID{{"client", 7}, {"client", 8}, {"another", 1}, {"a key of its own", 0}, {"another key, another day", 0}} {
		o := &Once{ID: id, User: "alice"}
		m := o.mark([]byte("data"))
		if _, counts := r.judge(o, m); counts {
			r.remember(o, m, 9, Result{})
		}
	}
}
