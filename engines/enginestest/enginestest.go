// Package enginestest is the contract of an engine as a test: whatever promises
// to be an engines.Engine runs it in its own tests.
//
//	func TestContract(t *testing.T) {
//		enginestest.Run(t, func(t *testing.T) engines.Opener {
//			return &file.Opener{Path: filepath.Join(t.TempDir(), "rooms")}
//		})
//	}
package enginestest

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
)

// Run tests an engine. place returns an opener of a place of its own, in which
// nothing is stored yet. Engines that are engines.Volatile are not opened again:
// their rooms are gone.
func Run(t *testing.T, place func(t *testing.T) engines.Opener) {
	tests := make(map[string]func(*testing.T, *subject))
	for _, part := range []map[string]func(*testing.T, *subject){values, keys, concurrency, unused, due, lifecycle, shared, forLogs()} {
		maps.Copy(tests, part)
	}
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		t.Run(name, func(t *testing.T) {
			watch := time.AfterFunc(testTimeout, func() { panic(t.Name() + " has not ended in time: an engine waits for ever") })
			defer watch.Stop()
			s := &subject{t: t, opener: place(t)}
			s.open()
			defer s.close()
			tests[name](t, s)
		})
	}
}

// subject is the engine that a test is about.
type subject struct {
	engines.Engine
	t      *testing.T
	opener engines.Opener
	closed bool
}

// testTimeout is how long one test may take.
const testTimeout = 3 * time.Minute

// openTimeout is how long an engine may take to open.
const openTimeout = time.Minute

func (s *subject) open() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), openTimeout)
	defer cancel()
	e, err := s.opener.Open(ctx)
	if err != nil {
		s.t.Fatalf("opening: %v", err)
	}
	s.Engine, s.closed = e, false
}

func (s *subject) close() {
	s.t.Helper()
	if s.closed {
		return
	}
	s.closed = true
	if err := s.Close(); err != nil {
		s.t.Errorf("closing: %v", err)
	}
}

// reopen closes the engine and opens it again, and skips the test if that loses
// the rooms.
func (s *subject) reopen() {
	s.t.Helper()
	if _, ok := s.Engine.(engines.Volatile); ok {
		s.t.Skip("the engine is volatile")
	}
	s.close()
	s.open()
}

var (
	room = engines.Key{App: "sum", Room: "example.com/a"}
	next = engines.Key{App: "sum", Room: "example.com/b"}
)

// today is when the rooms of tests are used that are about something else.
var today = time.Date(2030, 4, 5, 6, 7, 8, 9, time.UTC)

func value(state string) engines.Value {
	return engines.Value{State: []byte(state), Used: today, Epoch: life}
}

func (s *subject) swap(key engines.Key, rev uint64, state string) uint64 {
	s.t.Helper()
	return s.swapValue(key, rev, value(state))
}

func (s *subject) swapValue(key engines.Key, rev uint64, v engines.Value) uint64 {
	s.t.Helper()
	now, err := s.Swap(s.t.Context(), key, rev, v)
	if err != nil || now <= rev {
		s.t.Fatalf("swapping %v at %d: %d, %v", key, rev, now, err)
	}
	return now
}

func (s *subject) remove(key engines.Key, rev uint64) {
	s.t.Helper()
	if err := s.Delete(s.t.Context(), key, rev); err != nil {
		s.t.Fatalf("deleting %v at %d: %v", key, rev, err)
	}
}

func (s *subject) expect(key engines.Key, state string, rev uint64) {
	s.t.Helper()
	p, now, err := s.Load(s.t.Context(), key)
	if err != nil || now != rev || string(p) != state {
		s.t.Errorf("loading %v: %d bytes, %d, %v; want %d bytes at %d", key, len(p), now, err, len(state), rev)
	}
}

func (s *subject) expectKeys(after engines.Key, n int, keys ...engines.Key) {
	s.t.Helper()
	if got, err := s.List(s.t.Context(), after, n); err != nil || !slices.Equal(got, keys) {
		s.t.Errorf("%d after %v: %v, %v; want %v", n, after, got, err, keys)
	}
}

func (s *subject) expectCount(want int) {
	s.t.Helper()
	if got, err := s.Count(s.t.Context()); err != nil || got != want {
		s.t.Errorf("%d rooms, %v; want %d", got, err, want)
	}
}
