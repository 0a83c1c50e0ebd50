// Package enginestest is the contract of an engine as a test: whatever promises
// to be an engines.Engine runs it in its own tests.
package enginestest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/caddyws/caddy-websocket/engines"
)

// Run tests an engine. open returns a new one without rooms; it is closed by the
// test that asked for it.
func Run(t *testing.T, open func() engines.Engine) {
	for name, test := range map[string]func(*testing.T, engines.Engine){
		"an unknown room is not found":         unknown,
		"what was swapped in is loaded":        roundTrip,
		"only who saw the revision swaps":      conflicts,
		"revisions rise, also past a deletion": revisions,
		"bytes belong to the caller":           ownership,
		"any bytes and any keys are kept":      anything,
		"states may be as large as it says":    bounds,
		"list goes on in order":                list,
		"of concurrent swaps one wins":         concurrent,
		"rooms are swapped at the same time":   independent,
	} {
		t.Run(name, func(t *testing.T) {
			e := open()
			defer func() {
				if err := e.Close(); err != nil {
					t.Errorf("closing: %v", err)
				}
			}()
			test(t, e)
		})
	}
}

var (
	room = engines.Key{App: "sum", Room: "example.com/a"}
	next = engines.Key{App: "sum", Room: "example.com/b"}
)

func unknown(t *testing.T, e engines.Engine) {
	if p, rev, err := e.Load(t.Context(), room); !errors.Is(err, engines.ErrNotFound) || rev != 0 || p != nil {
		t.Errorf("loading: %q, %d, %v", p, rev, err)
	}
	if err := e.Delete(t.Context(), room, 1); !errors.Is(err, engines.ErrNotFound) {
		t.Errorf("deleting: %v", err)
	}
	if _, err := e.Swap(t.Context(), room, 1, []byte("x")); !errors.Is(err, engines.ErrConflict) {
		t.Errorf("swapping: %v", err)
	}
	expectKeys(t, e, engines.Key{}, 10)
}

func roundTrip(t *testing.T, e engines.Engine) {
	rev := swap(t, e, room, 0, "one")
	expect(t, e, room, "one", rev)
	rev = swap(t, e, room, rev, "two, longer")
	expect(t, e, room, "two, longer", rev)
	rev = swap(t, e, room, rev, "3")
	expect(t, e, room, "3", rev)
	other := swap(t, e, next, 0, "other")
	expect(t, e, room, "3", rev)
	expect(t, e, next, "other", other)
}

func conflicts(t *testing.T, e engines.Engine) {
	old := swap(t, e, room, 0, "old")
	rev := swap(t, e, room, old, "now")
	for _, wrong := range []uint64{0, old, rev + 1} {
		if _, err := e.Swap(t.Context(), room, wrong, []byte("wrong")); !errors.Is(err, engines.ErrConflict) {
			t.Errorf("swapping at %d instead of %d: %v", wrong, rev, err)
		}
		if err := e.Delete(t.Context(), room, wrong); !errors.Is(err, engines.ErrConflict) {
			t.Errorf("deleting at %d instead of %d: %v", wrong, rev, err)
		}
	}
	expect(t, e, room, "now", rev)
}

func revisions(t *testing.T, e engines.Engine) {
	var last uint64
	for i := range 10 {
		rev := last
		if i == 5 {
			if err := e.Delete(t.Context(), room, rev); err != nil {
				t.Fatal(err)
			}
			if _, err := e.Swap(t.Context(), room, rev, []byte("x")); !errors.Is(err, engines.ErrConflict) {
				t.Errorf("swapping a deleted room: %v", err)
			}
			rev = 0
		}
		if rev = swap(t, e, room, rev, fmt.Sprint(i)); rev <= last {
			t.Errorf("revision %d after %d", rev, last)
		}
		last = rev
	}
}

func ownership(t *testing.T, e engines.Engine) {
	p := []byte("mine")
	rev, err := e.Swap(t.Context(), room, 0, p)
	if err != nil {
		t.Fatal(err)
	}
	copy(p, "xxxx")
	got, _, err := e.Load(t.Context(), room)
	if err != nil || string(got) != "mine" {
		t.Fatalf("%q, %v", got, err)
	}
	copy(got, "yyyy")
	again, _, _ := e.Load(t.Context(), room)
	if string(again) != "mine" {
		t.Errorf("%q", again)
	}
	swap(t, e, room, rev, "new!")
	if string(again) != "mine" {
		t.Errorf("what was loaded became %q", again)
	}
}

func anything(t *testing.T, e engines.Engine) {
	revs := make(map[engines.Key]uint64)
	keys := []engines.Key{
		{App: "a", Room: "b/c"}, {App: "a/b", Room: "c"}, {App: "a", Room: "b"}, {App: "ab"}, {App: "a", Room: "B"},
		{App: "a", Room: "b c.*>\"'\\%00"}, {App: "a", Room: "ä☃😀"}, {App: "a", Room: string(bytes.Repeat([]byte("x"), 255))},
	}
	for _, key := range keys {
		revs[key] = swap(t, e, key, 0, "\x00\xff"+key.App+"|"+key.Room)
	}
	for _, key := range keys {
		expect(t, e, key, "\x00\xff"+key.App+"|"+key.Room, revs[key])
	}
}

func bounds(t *testing.T, e engines.Engine) {
	n := e.MaxState()
	if n < 1<<10 {
		t.Fatalf("MaxState is %d", n)
	}
	largest := string(bytes.Repeat([]byte("x"), n))
	rev := swap(t, e, room, 0, largest)
	if _, err := e.Swap(t.Context(), room, rev, []byte(largest+"x")); !errors.Is(err, engines.ErrRefused) {
		t.Errorf("a larger one: %v", err)
	}
	expect(t, e, room, largest, rev)
	expect(t, e, room, "", swap(t, e, room, rev, ""))
}

func list(t *testing.T, e engines.Engine) {
	keys := []engines.Key{{App: "a", Room: "1"}, {App: "a", Room: "2"}, {App: "a0", Room: "0"}, {App: "b", Room: "1"}, {App: "b", Room: "10"}}
	revs := make([]uint64, len(keys))
	for _, i := range []int{3, 1, 4, 0, 2} {
		revs[i] = swap(t, e, keys[i], 0, "x")
	}
	expectKeys(t, e, engines.Key{}, 10, keys...)
	expectKeys(t, e, engines.Key{}, 5, keys...)
	expectKeys(t, e, engines.Key{}, 2, keys[:2]...)
	expectKeys(t, e, keys[1], 2, keys[2:4]...)
	expectKeys(t, e, engines.Key{App: "a", Room: "15"}, 1, keys[1])
	expectKeys(t, e, keys[4], 2)
	expectKeys(t, e, engines.Key{}, 0)
	if err := e.Delete(t.Context(), keys[2], revs[2]); err != nil {
		t.Fatal(err)
	}
	expectKeys(t, e, keys[1], 10, keys[3:]...)
}

// concurrent lets several add 1 to a number until each has done so often.
func concurrent(t *testing.T, e engines.Engine) {
	const adders, each = 4, 25
	swap(t, e, room, 0, "")
	var wg sync.WaitGroup
	for range adders {
		wg.Go(func() {
			for done := 0; done < each; {
				p, rev, err := e.Load(t.Context(), room)
				if err != nil {
					t.Error(err)
					return
				}
				switch _, err = e.Swap(t.Context(), room, rev, append(p, 'x')); {
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
	if p, _, err := e.Load(t.Context(), room); err != nil || len(p) != adders*each {
		t.Errorf("%d of %d swaps are left, %v", len(p), adders*each, err)
	}
}

func independent(t *testing.T, e engines.Engine) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			key := engines.Key{App: "sum", Room: fmt.Sprint(i)}
			var rev uint64
			for n := range 20 {
				var err error
				if rev, err = e.Swap(t.Context(), key, rev, fmt.Append(nil, i, n)); err != nil {
					t.Error(err)
					return
				}
			}
			if p, now, err := e.Load(t.Context(), key); err != nil || now != rev || string(p) != fmt.Sprint(i, 19) {
				t.Errorf("room %d: %q, %d, %v", i, p, now, err)
			}
		})
	}
	wg.Wait()
}

func swap(t *testing.T, e engines.Engine, key engines.Key, rev uint64, state string) uint64 {
	t.Helper()
	now, err := e.Swap(t.Context(), key, rev, []byte(state))
	if err != nil || now == 0 {
		t.Fatalf("swapping %v at %d: %d, %v", key, rev, now, err)
	}
	return now
}

func expect(t *testing.T, e engines.Engine, key engines.Key, state string, rev uint64) {
	t.Helper()
	p, now, err := e.Load(t.Context(), key)
	if err != nil || now != rev || string(p) != state {
		t.Errorf("loading %v: %d bytes, %d, %v; want %d bytes at %d", key, len(p), now, err, len(state), rev)
	}
}

func expectKeys(t *testing.T, e engines.Engine, after engines.Key, n int, keys ...engines.Key) {
	t.Helper()
	if got, err := e.List(t.Context(), after, n); err != nil || !slices.Equal(got, keys) {
		t.Errorf("%d after %v: %v, %v; want %v", n, after, got, err, keys)
	}
}
