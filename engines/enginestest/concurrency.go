package enginestest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/caddyws/caddy-websocket/engines"
)

var concurrency = map[string]func(*testing.T, *subject){
	"of concurrent swaps one wins":                     concurrent,
	"rooms are swapped at the same time":               independent,
	"a context that has ended before: nothing is kept": ended,
	"a context that ends ends no swap":                 ending,
}

// concurrent lets several add a letter to a state until each has done so often.
func concurrent(t *testing.T, s *subject) {
	const adders, each = 4, 25
	s.swap(room, 0, "")
	var wg sync.WaitGroup
	for i := range adders {
		letter := string(rune('a' + i)) // no two store the same
		wg.Go(func() {
			for done := 0; done < each; {
				p, rev, err := s.Load(t.Context(), room)
				if err != nil {
					t.Error(err)
					return
				}
				switch _, err = s.Swap(t.Context(), room, rev, value(string(p)+letter)); {
				case err == nil:
					done++
				case !errors.Is(err, engines.ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if p, _, err := s.Load(t.Context(), room); err != nil || len(p) != adders*each {
		t.Errorf("%d of %d swaps are left, %v", len(p), adders*each, err)
	}
}

func independent(t *testing.T, s *subject) {
	const rooms = 8
	var wg sync.WaitGroup
	for i := range rooms {
		wg.Go(func() {
			key := engines.Key{App: "sum", Room: fmt.Sprint(i)}
			var rev uint64
			for n := range 20 {
				var err error
				if rev, err = s.Swap(t.Context(), key, rev, value(fmt.Sprint(i, n))); err != nil {
					t.Error(err)
					return
				}
			}
			if p, now, err := s.Load(t.Context(), key); err != nil || now != rev || string(p) != fmt.Sprint(i, 19) {
				t.Errorf("room %d: %q, %d, %v", i, p, now, err)
			}
		})
	}
	wg.Wait()
	s.expectCount(rooms)
}

// ended: an engine that never waits may swap all the same.
func ended(t *testing.T, s *subject) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rev, err := s.Swap(ctx, room, 0, value("x"))
	switch {
	case err == nil:
		s.expect(room, "x", rev)
	case !errors.Is(err, engines.ErrRefused):
		t.Errorf("swapping: %v", err)
	default:
		if _, _, err := s.Load(t.Context(), room); !errors.Is(err, engines.ErrNotFound) {
			t.Errorf("it is stored: %v", err)
		}
	}
}

// ending ends contexts while swaps are under way: each is told to be done, refused
// or unknown, and what Load shows is never contradicted later.
func ending(t *testing.T, s *subject) {
	rev := s.swap(room, 0, "start")
	state := "start"
	for i := range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		mine := fmt.Sprint("swap ", i)
		now, err := s.Swap(ctx, room, rev, value(mine))
		<-ctx.Done()
		switch {
		case err == nil:
			rev, state = now, mine
		case errors.Is(err, engines.ErrRefused):
		default:
			rev, state = s.settle(room, rev, state, mine)
		}
		s.expect(room, state, rev)
	}
}

// settle finds out what has become of a swap at rev whose outcome is unknown. Until
// another revision is there it is repeated.
func (s *subject) settle(key engines.Key, rev uint64, before, mine string) (uint64, string) {
	s.t.Helper()
	for {
		p, now, err := s.Load(s.t.Context(), key)
		if err != nil {
			s.t.Fatal(err)
		}
		if now > rev && string(p) == mine {
			return now, mine
		}
		if now != rev || string(p) != before {
			s.t.Fatalf("%q at %d after %q at %d, swapping %q", p, now, before, rev, mine)
		}
		if now, err := s.Swap(s.t.Context(), key, rev, value(mine)); err == nil {
			return now, mine
		} else if !errors.Is(err, engines.ErrConflict) {
			s.t.Fatal(err)
		}
	}
}
