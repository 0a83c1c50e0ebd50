package replica

import (
	"errors"
	"github.com/caddyws/caddy-websocket/engines"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
)

func TestEachOperationHasItsOwnResult(t *testing.T) {
	r := newRoom(t)
	r.shows("0@0")
	if r.IsStored() {
		t.Error("is stored before the first commit")
	}
	r.commit([]string{"1", "x", "2"}, "1@1", "!not a number", "3@2")
	r.shows("3@2")
	if !r.IsStored() || r.limit.rooms != 1 {
		t.Errorf("stored %v, %d rooms are counted", r.IsStored(), r.limit.rooms)
	}
	if got := told(r.Commit(r.Context(), []Operation{{Data: []byte("1"), Refusal: errors.New("no")}, {Data: []byte("4")}})); !slices.Equal(got, []string{"!no", "7@3"}) {
		t.Errorf("a refused operation gave %q", got)
	}
	epoch := r.Snapshot().Epoch
	r.again()
	r.shows("7@3")
	if r.Snapshot().Epoch != epoch || r.limit.rooms != 1 {
		t.Errorf("epoch %s is %s after a restart, %d rooms", epoch, r.Snapshot().Epoch, r.limit.rooms)
	}
}

// What changes nothing stores nothing.
func TestABatchOfRefusalsIsNotStored(t *testing.T) {
	r := newRoom(t)
	r.commit([]string{"x", "y"}, "!not a number", "!not a number")
	r.commit(nil)
	if slices.Contains(r.engine.calls, "swap") || r.limit.rooms != 0 {
		t.Errorf("the engine was asked to %v, %d rooms", r.engine.calls, r.limit.rooms)
	}
}

// After a refusal the state is the one that is stored, and the next commit builds on it.
func TestARefusedSwap(t *testing.T) {
	r := newRoom(t)
	r.engine.swaps = append(r.engine.swaps, refuse)
	r.commit([]string{"2", "x"}, "!unavailable, try again later", "!not a number")
	r.shows("0@0")
	if len(r.faults) != 1 || r.limit.rooms != 0 || r.limit.recounts != 0 {
		t.Errorf("reported %v; %d rooms, %d recounts", r.faults, r.limit.rooms, r.limit.recounts)
	}
	r.commit([]string{"2"}, "2@1")
	r.engine.swaps = append(r.engine.swaps, refuse)
	r.commit([]string{"3"}, "!unavailable, try again later")
	r.shows("2@1")
	r.commit([]string{"4"}, "6@2")
	if len(r.faults) != 2 || r.limit.rooms != 1 || r.limit.recounts != 0 {
		t.Errorf("reported %v; %d rooms, %d recounts", r.faults, r.limit.rooms, r.limit.recounts)
	}
}

func TestTheLimitOfRooms(t *testing.T) {
	r := newRoom(t)
	r.limit.err = ErrTooManyRooms
	r.commit([]string{"1"}, "!no more rooms can be stored")
	if len(r.faults) != 0 {
		t.Errorf("reported %v", r.faults)
	}
	r.limit.err = errors.New("cannot count")
	r.commit([]string{"1"}, "!unavailable, try again later")
	if len(r.faults) != 1 || slices.Contains(r.engine.calls, "swap") {
		t.Errorf("reported %v; the engine was asked to %v", r.faults, r.engine.calls)
	}
	r.limit.err = nil
	r.commit([]string{"1"}, "1@1")
	r.limit.err = ErrTooManyRooms // it has its place
	r.commit([]string{"1"}, "2@2")
}

// Only the operations that make the state too big are refused.
func TestTooBig(t *testing.T) {
	r := newRoom(t)
	r.commit([]string{"1"}, "1@1")
	bytes, _, _ := r.engine.Load(t.Context(), key)
	r.engine.max = len(bytes) + 9
	r.commit([]string{"4", "6", "3", "2", "2", "0"}, "5@2", "!room is full", "8@3", "10@4", "!room is full", "10@5")
	r.shows("10@5")
	if len(r.faults) != 0 {
		t.Errorf("reported %v", r.faults)
	}
}

func TestPanicsOfTheState(t *testing.T) {
	r := newRoom(t)
	r.commit([]string{"1", "13", "2", "x", "13", "4"}, "1@1", "!panic", "3@2", "!not a number", "!panic", "7@3")
	r.shows("7@3")
	for _, method := range []string{"MarshalBinary", "View"} {
		r.faults = nil
		r.app.fault[method] = 1
		r.commit([]string{"1"}, "!unavailable, try again later")
		r.shows("7@3")
		if len(r.faults) != 1 {
			t.Errorf("%s: reported %v", method, r.faults)
		}
	}
	r.commit([]string{"1"}, "8@4")
	r.commit([]string{"-9"}, "!unavailable, try again later") // MarshalBinary has an error
	r.commit([]string{"1"}, "9@5")
	r.app.fault["UnmarshalBinary"] = 1
	r.commit([]string{"1", "13", "x"}, "!unavailable, try again later", "!panic", "!unavailable, try again later")
	r.shows("9@5")
	r.commit([]string{"1"}, "10@6")
}

func TestLoadErrors(t *testing.T) {
	failure := errors.New("disk")
	for name, fail := range map[string]func(r *room){
		"the engine fails":  func(r *room) { r.engine.load = append(r.engine.load, func() error { return failure }) },
		"the engine panics": func(r *room) { r.engine.load = append(r.engine.load, func() error { panic("disk") }) },
		"NewState":          func(r *room) { r.app.fault["NewState"] = 1 },
		"UnmarshalBinary":   func(r *room) { r.app.fault["UnmarshalBinary"] = 1 },
		"View":              func(r *room) { r.app.fault["View"] = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t)
			r.commit([]string{"2"}, "2@1")
			fail(r)
			if err := r.Load(t.Context(), r.app, "route"); err == nil {
				t.Error("no error")
			}
			r.shows("2@1")
			r.commit([]string{"2"}, "4@2")
		})
	}
}

// Bytes that cannot be read stay as they are.
func TestDamagedBytesAreKept(t *testing.T) {
	for _, damaged := range []string{"", "\x01EPOCHEPO", "\x00EPOCHEPO\x01\x00rest", "\x04EPOCHEPO\x01\x00\x00\x00rest", "\x01EPOCHEPO\x01\x02!"} {
		r := newRoom(t)
		if _, err := r.engine.Engine.Swap(t.Context(), key, 0, engines.Value{State: []byte(damaged)}); err != nil {
			t.Fatal(err)
		}
		if err := r.Load(t.Context(), r.app, "route"); err == nil {
			t.Errorf("%q was read", damaged)
		}
		r.commit([]string{"1"}, "!unavailable, try again later")
		if p, _, err := r.engine.Load(t.Context(), key); string(p) != damaged || err != nil {
			t.Errorf("%q was replaced by %q, %v", damaged, p, err)
		}
	}
}

// A state that another instance of the app cannot read stays as it is stored.
func TestFollow(t *testing.T) {
	r := newRoom(t)
	r.commit([]string{"2"}, "2@1")
	strict := &adder{fault: map[string]int{"UnmarshalBinary": 1}}
	r.Follow(strict, "route")
	r.shows("2@1")
	if len(r.faults) != 1 {
		t.Errorf("reported %v", r.faults)
	}
	r.commit([]string{"2"}, "4@2")
	if s := r.state.(*total); s.app != strict {
		t.Error("the state is of the app before")
	}
	r.Follow(r.app, "route")
	r.commit([]string{"2"}, "6@3")
	if s := r.state.(*total); s.app != r.app {
		t.Error("the state is of the app before")
	}
}

func TestDelete(t *testing.T) {
	r := newRoom(t)
	if err := r.Delete(t.Context()); err != nil || slices.Contains(r.engine.calls, "delete") || r.limit.rooms != 0 {
		t.Errorf("nothing was stored: %v, %v, %d rooms", err, r.engine.calls, r.limit.rooms)
	}
	r.commit([]string{"2"}, "2@1")
	before := r.Snapshot().Epoch
	failure := errors.New("disk")
	r.engine.deletes = append(r.engine.deletes, func(func() error) error { return failure }, func(func() error) error { panic("disk") })
	for range 2 {
		if err := r.Delete(t.Context()); err == nil {
			t.Error("no error")
		}
	}
	if r.limit.recounts != 2 || r.limit.rooms != 1 || !r.IsStored() {
		t.Errorf("%d recounts, %d rooms", r.limit.recounts, r.limit.rooms)
	}
	if err := r.Delete(t.Context()); err != nil || r.IsStored() || r.limit.rooms != 0 || r.limit.recounts != 2 {
		t.Errorf("%v, %d rooms, %d recounts", err, r.limit.rooms, r.limit.recounts)
	}
	r.commit([]string{"3"}, "3@1") // it is loaded again
	if r.Snapshot().Epoch == before || r.limit.rooms != 1 {
		t.Errorf("the epoch is still %s, %d rooms", before, r.limit.rooms)
	}
}

// clock is an app whose state tells the time of its last operation.
type clock struct{ at time.Time }

func (*clock) Receive(apps.Conn, apps.Message) error { return nil }
func (c *clock) NewState() apps.State                { return c }
func (c *clock) Apply(op apps.Op) (apps.Outcome, error) {
	c.at = op.At
	return apps.Outcome{}, nil
}
func (*clock) View() apps.Body                { return apps.Body{} }
func (*clock) MarshalBinary() ([]byte, error) { return nil, nil }
func (*clock) UnmarshalBinary([]byte) error   { return nil }

// Operations have the time of the wall clock in UTC, as it is stored, and the time
// of a room never goes back.
func TestTimeOfOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app, engine := new(clock), &script{max: 1000}
		var back time.Duration
		store := &Store{Engine: engine, Limit: new(limit), Now: func() time.Time { return time.Now().Add(-back) }}
		r := New(key, store, func(err error) { t.Error(err) })
		if err := r.Load(t.Context(), app, "route"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		r.Commit(t.Context(), make([]Operation, 1))
		if want := time.Now().Round(0).UTC(); app.at != want {
			t.Errorf("operation at %v, expected %v", app.at, want)
		}
		before := app.at
		back = time.Minute
		r.Commit(t.Context(), make([]Operation, 1))
		if app.at.Before(before) || app.at != r.stored.at {
			t.Errorf("operation at %v after %v, stored as %v", app.at, before, r.stored.at)
		}
	})
}

// Everybody who looks at a room that is not stored is shown the same epoch, and it is
// stored under that.
func TestTheEpochOfARoomThatIsNotStored(t *testing.T) {
	r := newRoom(t)
	look := func() string {
		visitor := New(key, r.store, r.report)
		if err := visitor.Load(t.Context(), r.app, "route"); err != nil {
			t.Fatal(err)
		}
		return visitor.Snapshot().Epoch
	}
	before := r.Snapshot().Epoch
	if epoch := look(); epoch != before {
		t.Errorf("epochs %s and %s", before, epoch)
	}
	r.engine.swaps = append(r.engine.swaps, refuse)
	r.commit([]string{"1"}, "!unavailable, try again later")
	if epoch := look(); epoch != before {
		t.Errorf("epoch %s is %s after a refusal", before, epoch)
	}
	r.commit([]string{"1"}, "1@1")
	if epoch := look(); epoch != before {
		t.Errorf("epoch %s is stored as %s", before, epoch)
	}
}

// sparing is an app whose state has one buffer for all that it returns.
type sparing struct{ buffer []byte }

func (*sparing) Receive(apps.Conn, apps.Message) error { return nil }
func (*sparing) NewState() apps.State                  { return new(sparing) }
func (*sparing) Apply(apps.Op) (apps.Outcome, error)   { return apps.Outcome{}, nil }
func (s *sparing) View() apps.Body                     { s.fill("view"); return apps.Body{} }
func (s *sparing) MarshalBinary() ([]byte, error)      { return s.fill("stored"), nil }
func (s *sparing) UnmarshalBinary(p []byte) error {
	if string(p) != "stored" {
		return errors.New(string(p))
	}
	return nil
}

func (s *sparing) fill(with string) []byte {
	s.buffer = append(s.buffer[:0], with...)
	return s.buffer
}

// The bytes of a state are used before the state is asked for anything else, and neither
// the next commit nor the app changes those that are stored.
func TestBytesThatTheAppUsesAgain(t *testing.T) {
	r := newRoom(t)
	app := new(sparing)
	if err := r.Load(t.Context(), app, "route"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		r.Commit(t.Context(), make([]Operation, 1))
		r.Follow(app, "route")
		r.engine.swaps = repeated(1, refuse)
		r.Commit(t.Context(), make([]Operation, 1))
		r.Follow(app, "route")
	}
	if len(r.faults) != 3 || r.Snapshot().Version != 3 {
		t.Errorf("reported %v", r.faults)
	}
}
