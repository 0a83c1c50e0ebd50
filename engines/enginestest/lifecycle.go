package enginestest

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/caddyws/caddy-websocket/engines"
)

var lifecycle = map[string]func(*testing.T, *subject){
	"what was stored is there after opening again":  reopened,
	"revisions never come back after opening again": revisionsReopened,
	"a closed engine refuses":                       closed,
	"the identity stays":                            identity,
	"a backup does not disturb":                     backup,
}

func reopened(t *testing.T, s *subject) {
	a := s.swap(room, 0, "a")
	gone := s.swap(next, 0, "b")
	a = s.swap(room, a, "more of a")
	s.remove(next, gone)
	s.reopen()
	s.expect(room, "more of a", a)
	s.expectKeys(engines.Key{}, 10, room)
	s.expectCount(1)
	s.expectUnused(today.Add(day), room)
	if _, err := s.Swap(t.Context(), room, 0, value("x")); !errors.Is(err, engines.ErrConflict) {
		t.Errorf("creating what there is: %v", err)
	}
	s.expect(room, "last", s.swap(room, a, "last"))
}

// revisionsReopened deletes the only room, so that nothing in it tells how far
// revisions had come.
func revisionsReopened(t *testing.T, s *subject) {
	var last uint64
	for range 3 {
		rev := s.swap(room, 0, "x")
		if rev = s.swap(room, rev, "y"); rev <= last {
			t.Errorf("revision %d after %d", rev, last)
		}
		last = rev
		s.remove(room, rev)
		s.reopen()
		s.expectCount(0)
	}
}

func closed(t *testing.T, s *subject) {
	rev := s.swap(room, 0, "x")
	s.close()
	ctx := t.Context()
	if _, err := s.Swap(ctx, room, rev, value("y")); !errors.Is(err, engines.ErrRefused) {
		t.Errorf("swapping: %v", err)
	}
	if _, err := s.Swap(ctx, next, 0, value("y")); !errors.Is(err, engines.ErrRefused) {
		t.Errorf("creating: %v", err)
	}
	if err := s.Delete(ctx, room, rev); !errors.Is(err, engines.ErrRefused) {
		t.Errorf("deleting: %v", err)
	}
	if _, _, err := s.Load(ctx, room); err == nil || errors.Is(err, engines.ErrNotFound) {
		t.Errorf("loading: %v", err)
	}
	if _, err := s.List(ctx, engines.Key{}, 1); err == nil {
		t.Error("it lists")
	}
	if _, err := s.Count(ctx); err == nil {
		t.Error("it counts")
	}
	if _, err := s.Unused(ctx, today, engines.Use{}, 1); err == nil {
		t.Error("it looks for unused rooms")
	}
	if _, err := s.Due(ctx, today, engines.Wake{}, 1); err == nil {
		t.Error("it looks for rooms to wake")
	}
	if b, ok := s.Engine.(engines.Backuper); ok && b.Backup(io.Discard) == nil {
		t.Error("it writes a backup")
	}
}

func identity(t *testing.T, s *subject) {
	before := s.opener.Identity()
	s.swap(room, 0, "x")
	s.reopen()
	if now := s.opener.Identity(); now != before {
		t.Errorf("it was %q and is %q", before, now)
	}
}

// backup is about the original; what a copy is like only its engine knows.
func backup(t *testing.T, s *subject) {
	b, ok := s.Engine.(engines.Backuper)
	if !ok {
		t.Skip("the engine has no backups")
	}
	rev := s.swap(room, 0, "x")
	var first bytes.Buffer
	if err := b.Backup(&first); err != nil || first.Len() == 0 {
		t.Fatalf("%d bytes, %v", first.Len(), err)
	}
	fault := errors.New("no more room")
	if err := b.Backup(full{fault}); !errors.Is(err, fault) {
		t.Errorf("to a writer that fails: %v", err)
	}
	s.expect(room, "y", s.swap(room, rev, "y"))
	m, ok := s.Engine.(engines.Marked)
	if !ok {
		return
	}
	mark := m.Mark()
	s.reopen()
	if now := s.Engine.(engines.Marked).Mark(); now != mark || mark == "" {
		t.Errorf("the mark was %q and is %q", mark, now)
	}
}

// full is a writer that has no room.
type full struct{ err error }

func (f full) Write([]byte) (int, error) { return 0, f.err }
