package replica

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
)

// refreshes compares what comes of a Refresh.
func (r *room) refreshes(rev uint64, another, fails bool) {
	r.Helper()
	got, err := r.Refresh(r.Context(), rev)
	if got != another || (err != nil) != fails {
		r.Errorf("another snapshot: %v, %v", got, err)
	}
}

// What another process has stored is read once it is heard of, and not again.
func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newStoredRoom(t)
		r.refreshes(r.rev, false, false)
		if len(r.engine.calls) != 0 {
			t.Errorf("the engine was asked to %v", r.engine.calls)
		}
		other := r.rival()
		other.commit([]string{"3"}, "5@2")
		r.refreshes(other.rev, true, false)
		r.shows("5@2")
		r.refreshes(other.rev, false, false)
		r.commit([]string{"1"}, "6@3")
		r.refreshes(other.rev, false, false)
		r.shows("6@3")
	})
}

// A hint of more than is stored is no harm: the engine tells what is.
func TestRefreshByAHintOfMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newStoredRoom(t)
		r.refreshes(r.rev+100, false, false)
		r.shows("2@1")
		empty := newRoom(t)
		empty.refreshes(100, false, false)
	})
}

func TestRefreshOfARoomThatIsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newStoredRoom(t)
		other := r.rival()
		rev := other.rev
		if err := r.engine.Engine.Delete(t.Context(), key, rev); err != nil {
			t.Fatal(err)
		}
		r.refreshes(rev+1, true, false)
		if r.IsStored() {
			t.Error("it is stored")
		}
	})
}

// An engine that fails leaves the state as it was.
func TestRefreshThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newStoredRoom(t)
		other := r.rival()
		other.commit([]string{"3"}, "5@2")
		r.engine.load = append(r.engine.load, func() error { return errors.New("cable") })
		r.refreshes(other.rev, false, true)
		r.shows("2@1")
		r.refreshes(other.rev, true, false)
		r.shows("5@2")
	})
}

// A checkpoint that another process has stored brings the messages up to it that were not heard
// of yet, and those behind it, and takes none away that are known already.
func TestRefreshByACheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChat(t, Journal{Messages: 100})
		c.says(do("a"), "1")
		c.hears("1 a")
		other := c.other()
		other.say(leastStep, "x")
		if other.Replica.stored.checkpoint < leastStep {
			t.Fatalf("the checkpoint is %d", other.Replica.stored.checkpoint)
		}
		c.refreshes(other.rev, true, false)
		var want []string
		for version := 2; version <= 1+leastStep; version++ {
			want = append(want, fmt.Sprint(version, " x"))
		}
		c.hears(want...)
		other.say(leastStep, "y")
		newest := fmt.Sprint(2 + 2*leastStep)
		c.says(do("b"), newest)
		c.listen()
		if n := len(c.heard); n != 1+leastStep || c.heard[n-1] != newest+" b" {
			t.Errorf("heard %q", c.heard)
		}
		c.heard = nil
		c.refreshes(other.rev, false, false)
		c.hears()
	})
}

// Messages that another process has appended are read once they are heard of, and not again:
// only those, unless the log is of another life.
func TestAdvance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChat(t, Journal{Messages: 100})
		c.says(do("a"), "1")
		c.hears("1 a")
		c.engine.calls = nil
		advances := func(epoch string, version uint64, another, fails bool) {
			t.Helper()
			got, err := c.Advance(t.Context(), epoch, version)
			if got != another || (err != nil) != fails {
				t.Errorf("another snapshot: %v, %v", got, err)
			}
		}
		epoch := c.Replica.stored.epoch
		advances(epoch, 1, false, false)
		other := c.other()
		other.says(do("b", "c"), "2", "3")
		advances(epoch, 2, true, false)
		if len(c.engine.calls) != 0 {
			t.Errorf("beside reading the log the engine was asked to %v", c.engine.calls)
		}
		c.hears("2 b", "3 c")
		advances(epoch, 3, false, false)
		c.hears()
		advances(epoch, 90, false, false) // a hint of more than there is
		c.says(do("d"), "4")
		if err := other.Delete(t.Context()); err == nil {
			if err := other.Load(t.Context(), other.journal, "route"); err != nil {
				t.Fatal(err)
			}
		} else {
			t.Fatal(err)
		}
		other.says(do("anew"), "1")
		c.hears("4 d")
		advances(other.Replica.stored.epoch, 1, true, false)
		c.hears("1 anew")
		advances(epoch, 5, false, false) // a hint of the life before
		c.hears()
	})
}

// An engine that fails leaves the state as it was.
func TestAdvanceThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChat(t, Journal{Messages: 100})
		c.says(do("a"), "1")
		epoch := c.Replica.stored.epoch
		c.engine.reads = append(c.engine.reads, func() error { return errors.New("cable") })
		if another, err := c.Advance(t.Context(), epoch, 2); err == nil || another {
			t.Error(another, err)
		}
		c.says(do("b"), "2")
		c.hears("1 a", "2 b")
	})
}
