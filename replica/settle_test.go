package replica

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
)

func repeated(n int, step func(store func() error) error) []func(store func() error) error {
	return slices.Repeat([]func(store func() error) error{step}, n)
}

func fail() error { return errTimeout }

// newStoredRoom returns the room 2@1.
func newStoredRoom(t *testing.T) *room {
	r := newRoom(t)
	r.commit([]string{"2"}, "2@1")
	r.engine.calls = nil
	return r
}

// counts compares what the limit was told.
func (r *room) counts(rooms, recounts int) {
	r.Helper()
	if r.limit.rooms != rooms || r.limit.recounts != recounts {
		r.Errorf("%d rooms, %d recounts; expected %d, %d", r.limit.rooms, r.limit.recounts, rooms, recounts)
	}
}

// An outcome that is not known is found out, and each operation counts once.
func TestSettling(t *testing.T) {
	const unavailable, unknown = "!unavailable, try again later", "!outcome unknown"
	for name, test := range map[string]struct {
		swaps []func(store func() error) error
		loads []func() error
		always,
		alwaysLoad bool // the last one goes on for ever
		told  string        // of adding 3 to 2
		calls string        // of the engine; empty: many
		took  time.Duration // by the pauses
		next  string        // of adding 4 when the engine is well again
	}{
		"a conflict with nobody":           {swaps: repeated(1, conflict), told: "5@2", calls: "swap load swap", next: "9@3"},
		"lost":                             {swaps: repeated(1, lose), told: "5@2", calls: "swap load swap", next: "9@3"},
		"stored":                           {swaps: repeated(1, hide), told: "5@2", calls: "swap load", next: "9@3"},
		"stored with a panic":              {swaps: repeated(1, crash), told: "5@2", calls: "swap load", next: "9@3"},
		"lost twice":                       {swaps: repeated(2, lose), told: "5@2", calls: "swap load swap load swap", took: 10 * time.Millisecond, next: "9@3"},
		"lost, then not to be read":        {swaps: repeated(1, lose), loads: []func() error{fail}, told: "5@2", calls: "swap load swap", next: "9@3"},
		"stored, then not to be read":      {swaps: append(repeated(1, hide), conflict), loads: []func() error{fail}, told: "5@2", calls: "swap load swap load", took: 10 * time.Millisecond, next: "9@3"},
		"refused after a loss":             {swaps: append(repeated(1, lose), repeated(2, refuse)...), told: "5@2", calls: "swap load swap load swap load swap", took: 30 * time.Millisecond, next: "9@3"},
		"refused after a conflict":         {swaps: append(repeated(1, conflict), refuse), told: unavailable, calls: "swap load swap", next: "6@2"},
		"refused after a loss, for ever":   {swaps: append(repeated(1, lose), refuse), always: true, told: unknown, took: waitLimit, next: "9@3"},
		"lost for ever":                    {swaps: repeated(1, lose), always: true, told: unknown, took: waitLimit, next: "9@3"},
		"stored, never to be read":         {swaps: append(repeated(1, hide), lose), always: true, alwaysLoad: true, loads: []func() error{fail}, told: unknown, took: waitLimit, next: "9@3"},
		"conflicts with nobody, for ever":  {swaps: repeated(1, conflict), always: true, told: unavailable, took: waitLimit, next: "6@2"},
		"a panic for ever":                 {swaps: repeated(1, func(func() error) error { panic("down") }), always: true, told: unknown, took: waitLimit, next: "9@3"},
		"a conflict, then not to be read":  {swaps: repeated(1, conflict), always: true, alwaysLoad: true, loads: []func() error{fail}, told: unavailable, took: waitLimit, next: "6@2"},
		"refused at once":                  {swaps: repeated(1, refuse), told: unavailable, calls: "swap", next: "6@2"},
		"a conflict by what it has stored": {swaps: repeated(1, func(store func() error) error { store(); return engines.ErrConflict }), told: "5@2", calls: "swap load", next: "9@3"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, first := range []bool{false, true} {
					r := newRoom(t)
					if first { // the same for the Swap that creates the room
						test.told, test.next = strings.Replace(test.told, "5@2", "3@1", 1), map[string]string{"6@2": "4@1", "9@3": "7@2"}[test.next]
					} else {
						r.commit([]string{"2"}, "2@1")
					}
					r.engine.calls = nil
					r.engine.swaps, r.engine.load = slices.Clone(test.swaps), slices.Clone(test.loads)
					if test.always {
						r.engine.alwaysSwap = test.swaps[len(test.swaps)-1]
					}
					if test.alwaysLoad {
						r.engine.alwaysLoad = test.loads[len(test.loads)-1]
					}
					start := time.Now()
					r.commit([]string{"x", "3"}, "!not a number", test.told)
					if took := time.Since(start); took != test.took {
						t.Errorf("took %v", took)
					}
					if calls := strings.Join(r.engine.calls, " "); test.calls != "" && calls != test.calls {
						t.Errorf("the engine was asked to %s", calls)
					}
					if test.told[0] == '!' != (len(r.faults) == 1) {
						t.Errorf("reported %v", r.faults)
					}
					r.engine.alwaysSwap, r.engine.alwaysLoad = nil, nil
					r.commit([]string{"4"}, test.next)
					r.shows(test.next)
					r.again()
					r.shows(test.next)
				}
			})
		})
	}
}

// A room whose outcome stays open takes nothing new, and says so with certainty. Who
// has been answered gets no second answer, but others are told what has come of it.
func TestWhileAnOutcomeIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newStoredRoom(t)
		r.engine.alwaysSwap = lose
		r.commit([]string{"3", "x", "1"}, "!outcome unknown", "!not a number", "!outcome unknown")
		for range 2 {
			r.commit([]string{"4", "x"}, "!unavailable, try again later", "!unavailable, try again later")
		}
		r.commit(nil)
		r.shows("2@1")
		if r.IsSettled() || r.Late() != nil {
			t.Error("it is settled")
		}
		if n := strings.Count(strings.Join(r.engine.calls, " "), "swap"); n > 80 {
			t.Errorf("swapped %d times in 40 s", n)
		}
		r.engine.alwaysSwap = nil
		r.commit(nil)
		r.shows("6@3")
		if got := told(r.Late()); !r.IsSettled() || !slices.Equal(got, []string{"5@2", "6@3"}) || r.Late() != nil {
			t.Errorf("settled %v, late are %q", r.IsSettled(), got)
		}
	})
}

// What a Swap of long ago still stores is stored once, and nothing is lost by it.
func TestASwapThatLandsLate(t *testing.T) {
	for _, delay := range []time.Duration{0, time.Millisecond, 15 * time.Millisecond, 5 * time.Second, 15 * time.Second, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			r := newStoredRoom(t)
			landed := make(chan error, 1)
			late := func(store func() error) error {
				go func() {
					time.Sleep(delay)
					landed <- store()
				}()
				return errTimeout
			}
			r.engine.swaps = append(repeated(1, late), repeated(3, lose)...)
			r.commit([]string{"3"}, "5@2")
			r.commit([]string{"4"}, "9@3")
			<-landed
			r.commit([]string{"1"}, "10@4")

			// The same when the room is given up, with what was not settled.
			r.engine.swaps, r.engine.alwaysSwap = repeated(1, late), lose
			if delay < waitLimit {
				r.commit([]string{"5"}, "15@5")
				<-landed
				return
			}
			r.commit([]string{"5"}, "!outcome unknown")
			r.engine.alwaysSwap = nil
			r.again()
			r.shows("10@4")
			r.commit([]string{"1"}, "11@5")
			if err := <-landed; err != engines.ErrConflict {
				t.Error(err)
			}
		})
	}
}

// Several processes write one room: each result is of what all have done.
func TestOtherWriters(t *testing.T) {
	for name, test := range map[string]struct {
		swap func(store func() error) error
		told string // after the rival has made 2@1 to 22@2, or just before
		ends string
	}{
		"conflict":        {nil, "25@3", "25@3"},
		"lost":            {lose, "25@3", "25@3"},
		"stored before":   {func(store func() error) error { return hide(store) }, "5@2", "25@3"},
		"stored, a panic": {func(store func() error) error { panic(store()) }, "5@2", "25@3"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newStoredRoom(t)
				rival := r.rival()
				if test.told == "5@2" { // the rival is second, and meets a conflict itself
					r.engine.load = append(r.engine.load, func() error { rival.commit([]string{"20"}, "25@3"); return nil })
				} else {
					rival.commit([]string{"20"}, "22@2")
				}
				if test.swap != nil {
					r.engine.swaps = append(r.engine.swaps, test.swap)
				}
				r.commit([]string{"3"}, test.told)
				r.shows(test.ends)
				rival.commit([]string{"1"}, "26@4")
				r.commit([]string{"1", "x", "1"}, "27@5", "!not a number", "28@6")
				r.counts(1, 0)
				rival.counts(0, 0)
				if len(r.faults) > 0 {
					t.Errorf("reported %v", r.faults)
				}
			})
		})
	}
}

// Nobody waits for ever for others that are always first.
func TestAlwaysBeaten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newStoredRoom(t)
		rival := r.rival()
		r.engine.alwaysSwap = func(store func() error) error {
			time.Sleep(time.Millisecond)
			rival.Commit(t.Context(), []Operation{{Data: []byte("0")}})
			return store()
		}
		start := time.Now()
		r.commit([]string{"3"}, "!unavailable, try again later")
		if took := time.Since(start); took < waitLimit || took > waitLimit+time.Millisecond || len(r.faults) != 1 {
			t.Errorf("took %v, reported %v", time.Since(start), r.faults)
		}
		r.engine.alwaysSwap = nil
		version := rival.Snapshot().Version
		r.commit([]string{"3"}, fmt.Sprintf("5@%d", version+1))
	})
}

// Two processes create a room: the second one finds that of the first.
func TestOtherCreators(t *testing.T) {
	for name, test := range map[string]struct {
		swaps           []func(store func() error) error
		told            string
		rooms, recounts int
		next            string
	}{
		"conflict":            {nil, "23@2", 1, 1, "24@3"},
		"perhaps it was ours": {repeated(1, lose), "!outcome unknown", 1, 1, "21@2"},
		"refused":             {repeated(1, refuse), "!unavailable, try again later", 0, 0, "21@2"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRoom(t)
				r.rival().commit([]string{"20"}, "20@1")
				r.engine.swaps = test.swaps
				before := r.Snapshot().Epoch
				r.commit([]string{"3"}, test.told)
				r.counts(test.rooms, test.recounts)
				r.commit([]string{"1"}, test.next)
				if epoch := r.Snapshot().Epoch; epoch == before || epoch != r.rival().Snapshot().Epoch || !r.IsSettled() {
					t.Errorf("epoch %s was %s", epoch, before)
				}
			})
		})
	}
}

// The Swap that creates a room may have an outcome that stays open.
func TestACreationThatStaysOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t)
		r.engine.alwaysSwap = lose
		r.commit([]string{"3"}, "!outcome unknown")
		r.counts(1, 1) // somebody else may take its place meanwhile
		r.commit([]string{"1"}, "!unavailable, try again later")
		r.counts(1, 1)
		epoch := r.Snapshot().Epoch
		r.engine.alwaysSwap = nil
		r.commit([]string{"1"}, "4@2")
		r.counts(1, 2)
		if r.Snapshot().Epoch != epoch {
			t.Error("the epoch is another one")
		}
	})
}

// A room that is deleted takes with it what is not known. What certainly was not stored
// goes into the new room.
func TestARoomThatIsGone(t *testing.T) {
	remove := func(r *room) {
		_, rev, _ := r.engine.Engine.Load(r.Context(), key)
		if err := r.engine.Engine.Delete(r.Context(), key, rev); err != nil {
			r.Error(err)
		}
	}
	for name, test := range map[string]struct {
		swap     func(store func() error) error
		renewed  bool // somebody has begun it anew as 20@1
		told     string
		rooms    int
		recounts int
		next     string
	}{
		"conflict, gone":     {conflict, false, "3@1", 2, 1, "4@2"},
		"conflict, renewed":  {conflict, true, "23@2", 1, 0, "24@3"},
		"unknown, gone":      {hide, false, "!outcome unknown", 1, 1, "1@1"},
		"unknown, renewed":   {hide, true, "!outcome unknown", 1, 0, "21@2"},
		"lost, gone":         {lose, false, "!outcome unknown", 1, 1, "1@1"},
		"lost, then renewed": {lose, true, "!outcome unknown", 1, 0, "21@2"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newStoredRoom(t)
				before := r.Snapshot().Epoch
				r.engine.swaps = repeated(1, test.swap)
				r.engine.load = append(r.engine.load, func() error {
					remove(r)
					if test.renewed {
						r.rival().commit([]string{"20"}, "20@1")
					}
					return nil
				})
				r.commit([]string{"3"}, test.told)
				r.counts(test.rooms, test.recounts)
				if !r.IsSettled() {
					t.Error("not settled")
				}
				r.commit([]string{"1"}, test.next)
				if r.Snapshot().Epoch == before {
					t.Error("the epoch is that of the room that is gone")
				}
			})
		})
	}
}

// Whether a batch is stored can be told as long as this process is among the last
// writers.
func TestPutOutOfTheWriters(t *testing.T) {
	for _, test := range []struct {
		swap          func(store func() error) error
		before, after int // so many others have written
		told          string
	}{
		{hide, 0, 63, "5@2"},
		{hide, 0, 64, "!outcome unknown"},
		{hide, 70, 63, "5@72"},
		{hide, 70, 64, "!outcome unknown"},
		{lose, 0, 62, "5@64"},
		{lose, 0, 63, "5@65"},
		{lose, 70, 1, "5@73"},
		{lose, 70, 63, "5@135"},
		{lose, 70, 64, "!outcome unknown"},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newStoredRoom(t)
			others := func(n int) {
				for range n {
					r.rival().Commit(t.Context(), []Operation{{Data: []byte("0")}})
				}
			}
			others(test.before)
			r.again()
			r.engine.swaps = repeated(1, test.swap)
			r.engine.load = append(r.engine.load, func() error { others(test.after); return nil })
			r.commit([]string{"3"}, test.told)
			if !r.IsSettled() {
				t.Errorf("%+v: not settled", test)
			}
		})
	}
}

// A second replica of the room in this process is a mistake, which is not hidden.
func TestAnotherReplicaInThisProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newStoredRoom(t)
		other := New(key, r.store, r.report)
		if err := other.Load(t.Context(), r.app); err != nil {
			t.Fatal(err)
		}
		r.engine.swaps = repeated(1, hide)
		r.engine.load = append(r.engine.load, func() error {
			other.Commit(t.Context(), []Operation{{Data: []byte("20")}})
			return nil
		})
		r.commit([]string{"3"}, "!outcome unknown")
		r.commit([]string{"1"}, "26@4")
	})
}

// What another process has stored and cannot be read ends the settling, and stays.
func TestUnreadableBytesOfOthers(t *testing.T) {
	for _, test := range []struct {
		swap   func(store func() error) error
		bytes  string
		told   string
		faults int
	}{
		{lose, "\x04EPOCHEPO...", "!outcome unknown", 2},
		{conflict, "\x04EPOCHEPO...", "!unavailable, try again later", 2},
		{conflict, "\x01EPOCHEPO\x05\x00!", "!unavailable, try again later", 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newStoredRoom(t)
			r.engine.swaps = repeated(1, test.swap)
			r.engine.load = append(r.engine.load, func() error {
				_, rev, _ := r.engine.Engine.Load(t.Context(), key)
				_, err := r.engine.Engine.Swap(t.Context(), key, rev, engines.Value{State: []byte(test.bytes)})
				return err
			})
			start := time.Now()
			r.commit([]string{"3"}, test.told)
			if time.Since(start) != 0 || len(r.faults) != test.faults {
				t.Errorf("took %v, reported %v", time.Since(start), r.faults)
			}
			r.commit([]string{"3"}, "!unavailable, try again later")
			r.shows("2@1")
			if p, _, _ := r.engine.Engine.Load(t.Context(), key); string(p) != test.bytes {
				t.Errorf("%q is stored", p)
			}
		})
	}
}

// Whoever ends the context ends the waiting.
func TestTheContextEndsTheWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newStoredRoom(t)
		r.engine.alwaysSwap = lose
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		if got := told(r.Commit(ctx, []Operation{{Data: []byte("3")}})); time.Since(start) != time.Second || got[0] != "!outcome unknown" {
			t.Errorf("%q after %v", got, time.Since(start))
		}
		r.engine.calls = nil
		if got := told(r.Commit(ctx, []Operation{{Data: []byte("3")}})); len(r.engine.calls) > 0 || got[0] != "!unavailable, try again later" {
			t.Errorf("%q; the engine was asked to %v", got, r.engine.calls)
		}
	})
}

// A Swap has the context of the commit, which ends in time.
func TestASwapThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t)
		r.store.Engine = slow{r.engine}
		start := time.Now()
		r.commit([]string{"1"}, "!outcome unknown")
		if took := time.Since(start); took != waitLimit {
			t.Errorf("took %v", took)
		}
	})
}

// slow is an engine whose Swap ends with its context.
type slow struct{ *script }

func (slow) Swap(ctx context.Context, _ engines.Key, _ uint64, _ engines.Value) (uint64, error) {
	<-ctx.Done()
	return 0, fmt.Errorf("swapping: %w", ctx.Err())
}

// A batch that is divided has one time limit, and one part whose outcome is open.
func TestADividedBatchThatStaysOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newStoredRoom(t)
		bytes, _, _ := r.engine.Engine.Load(t.Context(), key)
		r.engine.max = len(bytes) + 4
		r.engine.alwaysSwap = lose
		start := time.Now()
		r.commit([]string{"9", "3", "2", "1"}, "!room is full", "!outcome unknown", "!unavailable, try again later", "!unavailable, try again later")
		if took := time.Since(start); took != waitLimit {
			t.Errorf("took %v", took)
		}
		r.engine.alwaysSwap = nil
		r.commit([]string{"1"}, "6@3")
	})
}

// Deleting a room settles it first.
func TestDeletingWhatIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t)
		r.engine.alwaysSwap = lose
		r.commit([]string{"3"}, "!outcome unknown")
		start := time.Now()
		if err := r.Delete(t.Context()); !errors.Is(err, errTimeout) || time.Since(start) != waitLimit {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		r.engine.alwaysSwap = nil
		if err := r.Delete(t.Context()); err != nil || r.IsStored() {
			t.Error(err)
		}
		if _, _, err := r.engine.Engine.Load(t.Context(), key); err != engines.ErrNotFound {
			t.Error(err)
		}
		r.commit([]string{"1"}, "1@1")
	})
}

// A state that cannot be brought back, or was given up, is loaded when the outcome is
// settled.
func TestUnloadedWhileOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newStoredRoom(t)
		r.engine.alwaysSwap = lose
		r.app.fault["UnmarshalBinary"] = 1
		r.commit([]string{"3"}, "!outcome unknown")
		r.Unload()
		r.commit([]string{"1"}, "!unavailable, try again later")
		r.engine.alwaysSwap = nil
		r.app.fault["UnmarshalBinary"] = 1
		r.commit([]string{"4"}, "9@3")
	})
}
