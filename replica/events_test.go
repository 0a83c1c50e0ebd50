package replica

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
)

// crier is an app whose operations are texts, separated by blanks: each is an event, but
// for the first one, which tells whom they are for.
type crier struct{ stands bool }

func (crier) Receive(apps.Conn, apps.Message) error { return nil }
func (c crier) NewState() apps.State {
	if c.stands {
		return new(standingCries)
	}
	return new(cries)
}

type cries struct{ n int }

func (s *cries) Apply(op apps.Op) (out apps.Outcome, err error) {
	s.n++
	words := strings.Fields(string(op.Data))
	for _, text := range words[1:] {
		out.Events = append(out.Events, cry(words[0], text))
	}
	return out, nil
}

func cry(to, text string) apps.Event {
	e := apps.Event{Name: "cry", Body: apps.Body{Text: []byte(text), JSON: []byte(`{"t":1}`)}}
	switch {
	case to == "sender":
		e.To = apps.ToSender()
	case strings.HasPrefix(to, "name="):
		e.Name = strings.TrimPrefix(to, "name=")
	case to != "all":
		e.To = apps.ToClaim(to)
	}
	if text == "-" {
		e.Body = apps.Body{}
	}
	return e
}

func (s *cries) View() apps.Body                { return apps.Body{Text: strconv.AppendInt(nil, int64(s.n), 10)} }
func (s *cries) MarshalBinary() ([]byte, error) { return s.View().Text, nil }
func (s *cries) UnmarshalBinary(p []byte) (err error) {
	s.n, err = strconv.Atoi(string(p))
	return err
}

// standingCries also has a cry that goes on for everyone but "panic".
type standingCries struct{ cries }

func (s *standingCries) Standing(claim string) []apps.Event {
	if claim == "panic" {
		panic(claim)
	}
	return []apps.Event{cry("name=", fmt.Sprint(claim, s.n))}
}

// criers is a replica of a crier.
type criers struct {
	*Replica
	t      *testing.T
	engine *script
	faults []error
}

func newCriers(t *testing.T, engine *script, app crier) *criers {
	c := &criers{t: t, engine: engine}
	c.Replica = New(key, &Store{Engine: engine, Limit: new(limit)}, func(err error) { c.faults = append(c.faults, err) })
	if err := c.Load(t.Context(), app, "route"); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *criers) cries(ops ...string) []Result {
	c.t.Helper()
	batch := make([]Operation, len(ops))
	for i, op := range ops {
		batch[i].Data = []byte(op)
	}
	results := c.Commit(c.t.Context(), batch)
	for _, res := range results {
		if res.Err != nil {
			c.t.Fatal(res.Err)
		}
	}
	return results
}

// keeps compares what is kept: "<version>.<number> <text>", of another audience than
// everybody with that behind, and how many there have been, are told, and the last one that
// was dropped.
func (c *criers) keeps(total, told uint64, dropped Place, want ...string) {
	c.t.Helper()
	e := c.Snapshot().Events
	var got []string
	for _, k := range e.Kept {
		got = append(got, strings.TrimSpace(fmt.Sprintf("%d.%d %s %s", k.Version, k.Number, k.Body.Text, k.To.Claim())))
		if k.To.Sender() {
			got[len(got)-1] += " sender"
		}
	}
	if e.Total != total || e.Told != told || e.Dropped != dropped || !reflect.DeepEqual(got, want) {
		c.t.Errorf("%d events, %d told, dropped up to %v, kept %q; want %d, %d, %v, %q", e.Total, e.Told, e.Dropped, got, total, told, dropped, want)
	}
}

func wide() *script { return &script{max: 1 << 20} }

// Events are stored with the state that they belong to, and come back with it.
func TestEventsAreKept(t *testing.T) {
	engine := wide()
	c := newCriers(t, engine, crier{})
	c.keeps(0, 0, Place{})
	c.cries("all", "all a - b", "press c", "sender d e")
	all := []string{"2.1 a", "2.3 b", "3.1 c press", "4.1 d sender", "4.2 e sender"}
	c.keeps(5, 0, Place{}, all...)
	newCriers(t, engine, crier{}).keeps(5, 0, Place{}, all...)
	c.cries("all")
	c.keeps(5, 0, Place{}, all...)

	engine.swaps = []func(func() error) error{refuse}
	if res := c.Commit(t.Context(), []Operation{{Data: []byte("all f")}}); res[0].Err != ErrUnavailable {
		t.Errorf("%v", res)
	}
	c.keeps(5, 0, Place{}, all...)
	c.cries("all g")
	c.keeps(6, 0, Place{}, append(all, "6.1 g")...)
}

// Of many events the last are kept, and the place behind which they are all there.
func TestTheOldestEventsAreDropped(t *testing.T) {
	c := newCriers(t, wide(), crier{})
	c.cries("all" + strings.Repeat(" x", 40))
	c.cries("all" + strings.Repeat(" y", 40))
	e := c.Snapshot().Events
	if e.Total != 80 || len(e.Kept) != 64 || e.Dropped != (Place{1, 16}) || e.Kept[0].Place != (Place{1, 17}) {
		t.Errorf("%d of %d, from %v, up to %v", len(e.Kept), e.Total, e.Kept[0].Place, e.Dropped)
	}
	for _, test := range []struct {
		after Place
		n     int
	}{{Place{}, 64}, {Place{1, 16}, 64}, {Place{1, 17}, 63}, {Place{1, 1 << 30}, 40}, {Place{2, 39}, 1}, {Place{2, 40}, 0}, {Place{3, 1}, 0}} {
		if got := e.After(test.after); len(got) != test.n || test.n > 0 && !test.after.Before(got[0].Place) {
			t.Errorf("%d events after %v, want %d", len(got), test.after, test.n)
		}
	}
	for first, n := range map[uint64]int{0: 64, 16: 64, 17: 63, 79: 1, 80: 0, 100: 0} {
		if got := e.AfterFirst(first); len(got) != n {
			t.Errorf("%d events after the first %d, want %d", len(got), first, n)
		}
	}
}

// Large events take the place of many, and one that is too large is not kept.
func TestEventsAreBoundedInBytes(t *testing.T) {
	c := newCriers(t, wide(), crier{})
	big := strings.Repeat("b", 20<<10)
	c.cries("all "+big+"1 "+big+"2", "all "+big+"3")
	c.keeps(3, 0, Place{}, "1.1 "+big+"1", "1.2 "+big+"2", "2.1 "+big+"3")
	c.cries("all "+big+"4", "all small")
	c.keeps(5, 0, Place{1, 1}, "1.2 "+big+"2", "2.1 "+big+"3", "3.1 "+big+"4", "4.1 small")
	huge := strings.Repeat("h", 64<<10)
	res := c.cries("all before "+huge, "all after")
	c.keeps(8, 0, Place{5, 2}, "6.1 after")
	if events := res[0].Events(); len(events) != 2 || string(events[1].Body.Text) != huge {
		t.Error("what is too large to be kept is not told either")
	}
	newCriers(t, c.engine, crier{}).keeps(8, 0, Place{5, 2}, "6.1 after")
}

// An event with a bad name is told under another one, and the fault is reported once.
func TestNamesOfEvents(t *testing.T) {
	c := newCriers(t, wide(), crier{stands: true})
	for _, name := range []string{"a", "alert_2", strings.Repeat("x", 32)} {
		res := c.cries("name=" + name + " good")
		if got := res[0].Outcome.Events[0].Name; got != name {
			t.Errorf("%s is called %s", name, got)
		}
	}
	if len(c.faults) > 0 {
		t.Error(c.faults)
	}
	for _, name := range []string{"", "A", "1a", "_a", "a-b", "ä", `a"b`, "a:b", strings.Repeat("x", 33)} {
		res := c.cries("name=" + name + " bad")
		if got := res[0].Outcome.Events[0].Name; got != "event" {
			t.Errorf("%q is called %q", name, got)
		}
	}
	if events := c.Standing("x"); events[0].Name != "event" {
		t.Errorf("what stands is %v", events)
	}
	if len(c.faults) != 1 {
		t.Errorf("%d faults", len(c.faults))
	}
}

// What stands is asked of the state as of the last commit. A panic is reported.
func TestStanding(t *testing.T) {
	c := newCriers(t, wide(), crier{stands: true})
	c.cries("all")
	if events := c.Standing("x"); !c.Stands() || string(events[0].Body.Text) != "x1" {
		t.Errorf("%v", events)
	}
	faults := len(c.faults)
	if events := c.Standing("panic"); events != nil || len(c.faults) != faults+1 {
		t.Errorf("%v, %v", events, c.faults)
	}
	if c = newCriers(t, wide(), crier{}); c.Stands() || c.Standing("x") != nil {
		t.Error("a state without such events has some")
	}
}

// As long as an event is not told outside the engine has the room woken, as of when it
// happened. That it is told is stored by the next commit, or alone.
func TestWhatIsToldIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCriers(t, wide(), crier{})
		c.cries("all")
		c.indexed(time.Time{})
		happened := time.Now()
		c.cries("all a b")
		c.indexed(happened)
		time.Sleep(time.Hour)
		c.Told(c.Snapshot().Epoch, 1)
		c.cries("all")
		c.keeps(2, 1, Place{}, "2.1 a", "2.2 b")
		c.indexed(time.Now())

		c.Told("elsewhere", 2)
		if another, err := c.StoreTold(t.Context()); another || err != nil {
			t.Error(another, err)
		}
		c.keeps(2, 1, Place{}, "2.1 a", "2.2 b")
		c.Told(c.Snapshot().Epoch, 7) // there are no more than two
		swaps := len(c.engine.calls)
		used := c.LastUse()
		for range 2 { // the second time there is nothing to store
			if another, err := c.StoreTold(t.Context()); another || err != nil {
				t.Error(another, err)
			}
		}
		if n := len(c.engine.calls) - swaps; n != 1 || !c.LastUse().Equal(used) {
			t.Errorf("stored by %d calls, used at %v", n, c.LastUse())
		}
		c.indexed(time.Time{})
		newCriers(t, c.engine, crier{}).keeps(2, 2, Place{}, "2.1 a", "2.2 b")
		c.Told(c.Snapshot().Epoch, 1) // what is told stays so
		c.cries("all")
		c.keeps(2, 2, Place{}, "2.1 a", "2.2 b")
		if _, err := c.Remind(t.Context(), time.Time{}); err != nil {
			t.Error(err)
		}
	})
}

// indexed compares when the engine has the room woken; zero: never.
func (c *criers) indexed(want time.Time) {
	c.t.Helper()
	due, err := c.engine.Due(c.t.Context(), time.Unix(1<<40, 0), engines.Wake{}, 10)
	var got time.Time
	if len(due) > 0 {
		got = due[0].At
	}
	if err != nil || got.IsZero() != want.IsZero() || got.Sub(want).Abs() > time.Millisecond {
		c.t.Errorf("the room is woken at %v, %v; want %v", got, err, want)
	}
}

// What was told in one life of a room says nothing of another one.
func TestAnotherLifeHasEventsOfItsOwn(t *testing.T) {
	c := newCriers(t, wide(), crier{})
	c.cries("all a b")
	c.Told(c.Snapshot().Epoch, 2)
	rival := newCriers(t, c.engine, crier{})
	if err := rival.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	rival = newCriers(t, c.engine, crier{})
	rival.cries("all c", "all d")
	c.cries("all e")
	c.keeps(3, 0, Place{}, "1.1 c", "2.1 d", "3.1 e")
}

// A batch of which it was not known whether it is stored has its events once.
func TestEventsOfABatchThatIsSettledLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCriers(t, wide(), crier{})
		c.cries("all a")
		c.engine.swaps = []func(func() error) error{hide}
		c.engine.alwaysLoad, c.engine.alwaysSwap = func() error { return errTimeout }, lose
		if res := c.Commit(t.Context(), []Operation{{Data: []byte("all b")}}); !errors.Is(res[0].Err, ErrUnknown) {
			t.Fatalf("%v", res)
		}
		c.keeps(1, 0, Place{}, "1.1 a")
		c.engine.alwaysLoad, c.engine.alwaysSwap = nil, nil
		c.cries("all c")
		c.keeps(3, 0, Place{}, "1.1 a", "2.1 b", "3.1 c")
		late := c.Late()
		if len(late) != 1 || len(late[0].Events()) != 1 || late[0].Events()[0].Place != (Place{2, 1}) {
			t.Errorf("late: %+v", late)
		}
	})
}

// Stored events that are damaged in any way are not read.
func TestDamagedEvents(t *testing.T) {
	sound := Events{Total: 3, Told: 1, Dropped: Place{1, 1}, Kept: []Event{
		{cry("press", "a"), Place{1, 2}}, {cry("sender", "b"), Place{2, 1}},
	}}
	p := sound.appendTo(nil)
	got, rest, ok := parseEvents(append(bytes.Clone(p), "rest"...))
	if !ok || string(rest) != "rest" || !reflect.DeepEqual(got, sound) {
		t.Fatalf("%+v, %q, %v", got, rest, ok)
	}
	for n := range p {
		if _, _, ok := parseEvents(p[:n]); ok {
			t.Errorf("the first %d bytes of %q are read", n, p)
		}
	}
	many := sound
	for i := range maxKept {
		many.Kept = append(many.Kept, Event{cry("all", "x"), Place{3, i + 1}})
	}
	many.Total = 100
	large := sound
	large.Kept = []Event{{cry("all", strings.Repeat("x", maxKeptBytes)), Place{3, 1}}}
	for name, e := range map[string]Events{
		"none":              {},
		"more told":         {Total: 3, Told: 4},
		"more kept":         {Total: 1, Kept: sound.Kept},
		"too many":          many,
		"too large":         large,
		"not in order":      {Total: 3, Kept: []Event{sound.Kept[1], sound.Kept[0]}},
		"twice":             {Total: 3, Kept: []Event{sound.Kept[0], sound.Kept[0]}},
		"dropped and there": {Total: 3, Dropped: Place{1, 2}, Kept: sound.Kept},
		"without a name":    {Total: 3, Kept: []Event{{apps.Event{}, Place{1, 1}}}},
		"with a bad name":   {Total: 3, Kept: []Event{{apps.Event{Name: `"`}, Place{1, 1}}}},
	} {
		if _, _, ok := parseEvents(e.appendTo(nil)); ok {
			t.Errorf("%s: is read", name)
		}
	}
	strange := binary.AppendUvarint(Events{Total: 1}.appendTo(nil)[:4], 1)
	strange = append(strange, 1, 1, 3) // an audience that there is not
	if _, _, ok := parseEvents(append(strange, "\x03cry\x00\x00"...)); ok {
		t.Error("an unknown audience is read")
	}
	e := envelope{epoch: "EPOCHEPO", at: time.Unix(0, 5), used: 3, events: sound, app: []byte("app")}
	stored := e.encode(nil, writer{1, 1}, new(ids))
	if before := len(stored) - len(p) - 1; stored[0] != formatParts {
		t.Errorf("format %d, %d bytes", stored[0], before)
	}
	if found, err := parseEnvelope(stored); err != nil || !reflect.DeepEqual(found.events, sound) || string(found.app) != "app" {
		t.Errorf("%+v, %v", found, err)
	}
}
