package enginestest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/caddyws/caddy-websocket/engines"
)

var values = map[string]func(*testing.T, *subject){
	"an unknown room is not found":         unknown,
	"what was swapped in is loaded":        roundTrip,
	"only who saw the revision swaps":      conflicts,
	"revisions rise, also past a deletion": revisions,
	"bytes belong to the caller":           ownership,
	"states may be as large as it says":    bounds,
}

func unknown(t *testing.T, s *subject) {
	if p, rev, err := s.Load(t.Context(), room); !errors.Is(err, engines.ErrNotFound) || rev != 0 || p != nil {
		t.Errorf("loading: %q, %d, %v", p, rev, err)
	}
	if err := s.Delete(t.Context(), room, 1); !errors.Is(err, engines.ErrNotFound) {
		t.Errorf("deleting: %v", err)
	}
	if _, err := s.Swap(t.Context(), room, 1, value("x")); !errors.Is(err, engines.ErrConflict) {
		t.Errorf("swapping: %v", err)
	}
	s.expectKeys(engines.Key{}, 10)
	s.expectCount(0)
}

func roundTrip(_ *testing.T, s *subject) {
	rev := s.swap(room, 0, "one")
	s.expect(room, "one", rev)
	rev = s.swap(room, rev, "two, longer")
	s.expect(room, "two, longer", rev)
	rev = s.swap(room, rev, "3")
	s.expect(room, "3", rev)
	other := s.swap(next, 0, "other")
	s.expect(room, "3", rev)
	s.expect(next, "other", other)
}

func conflicts(t *testing.T, s *subject) {
	old := s.swap(room, 0, "old")
	rev := s.swap(room, old, "now")
	for _, wrong := range []uint64{0, old, rev + 1} {
		if _, err := s.Swap(t.Context(), room, wrong, value("wrong")); !errors.Is(err, engines.ErrConflict) {
			t.Errorf("swapping at %d instead of %d: %v", wrong, rev, err)
		}
		if err := s.Delete(t.Context(), room, wrong); !errors.Is(err, engines.ErrConflict) {
			t.Errorf("deleting at %d instead of %d: %v", wrong, rev, err)
		}
	}
	s.expect(room, "now", rev)
	s.expectCount(1)
}

func revisions(t *testing.T, s *subject) {
	var last uint64
	for i := range 10 {
		rev := last
		if i == 5 {
			s.remove(room, rev)
			if _, _, err := s.Load(t.Context(), room); !errors.Is(err, engines.ErrNotFound) {
				t.Errorf("loading a deleted room: %v", err)
			}
			if _, err := s.Swap(t.Context(), room, rev, value("x")); !errors.Is(err, engines.ErrConflict) {
				t.Errorf("swapping a deleted room: %v", err)
			}
			rev = 0
		}
		if rev = s.swap(room, rev, fmt.Sprint(i)); rev <= last {
			t.Errorf("revision %d after %d", rev, last)
		}
		last = rev
	}
}

func ownership(t *testing.T, s *subject) {
	v := value("mine")
	rev := s.swapValue(room, 0, v)
	copy(v.State, "xxxx")
	got, _, err := s.Load(t.Context(), room)
	if err != nil || string(got) != "mine" {
		t.Fatalf("%q, %v", got, err)
	}
	copy(got, "yyyy")
	again, _, err := s.Load(t.Context(), room)
	if err != nil || string(again) != "mine" {
		t.Errorf("%q, %v", again, err)
	}
	rev = s.swap(room, rev, "new!")
	if string(again) != "mine" {
		t.Errorf("what was loaded became %q", again)
	}
	s.remove(room, rev)
	s.swap(next, 0, "more")
	if string(again) != "mine" {
		t.Errorf("what was loaded became %q", again)
	}
}

func bounds(t *testing.T, s *subject) {
	n := s.MaxState()
	if n < 1<<10 {
		t.Fatalf("MaxState is %d", n)
	}
	largest := string(bytes.Repeat([]byte("x"), n))
	rev := s.swap(room, 0, largest)
	if _, err := s.Swap(t.Context(), room, rev, value(largest+"x")); !errors.Is(err, engines.ErrRefused) {
		t.Errorf("a larger one: %v", err)
	}
	s.expect(room, largest, rev)
	s.expect(room, "", s.swap(room, rev, ""))
}
