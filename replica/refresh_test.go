package replica

import (
	"errors"
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
