package replica

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
)

// Messages of others that are too many are not returned, but read: the state, the ids and what
// is kept are as if they had been.
func TestTooManyFreshMessages(t *testing.T) {
	large := strings.Repeat("x", 100<<10)
	for name, test := range map[string]struct {
		checkpoint bool
		look       func(c *chat) error
	}{
		"heard of":              {look: func(c *chat) error { _, err := c.Advance(c.Context(), c.Replica.stored.epoch, 32); return err }},
		"with a checkpoint":     {checkpoint: true, look: func(c *chat) error { _, err := c.Reread(c.Context()); return err }},
		"found by a conflict":   {look: func(*chat) error { return nil }},
		"a conflict, and moved": {checkpoint: true, look: func(*chat) error { return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			c := newChat(t, Journal{Messages: 1000})
			c.says(do("a"), "1")
			c.heard = nil
			other := c.other()
			other.says(do("c:1=b", "c:2=no way"), "2", "!the app says no way")
			other.say(15, large)
			if test.checkpoint {
				other.checkpoint()
			}
			other.says(do("d:1="+large), "19")
			other.say(12, large)
			other.says(do("e:1=c"), "32")
			if err := test.look(c); err != nil {
				t.Fatal(err)
			}
			c.says(do("last"), "33")
			if c.heard[0] != "skipped" || c.heard[len(c.heard)-1] != "33 last" || len(c.heard) != 2 {
				t.Errorf("heard %d: %.60q", len(c.heard), c.heard)
			}
			if past, want := c.Past(), c.other().Past(); past.total != want.total || past.Last != want.Last {
				t.Errorf("%d bytes up to %d, want %d up to %d", past.total, past.Last, want.total, want.Last)
			}
			if kept := c.kept(); len(kept) != 33 || kept[31] != "32 c" {
				t.Errorf("%d are kept", len(kept))
			}
			c.heard = nil
			c.says(do("c:1=b", "c:2=no way", "d:1="+large, "e:1=c"), "=2", "=!the app says no way", "=19", "=32")
			c.hears()
		})
	}
}

// The bytes of what is fresh are counted over several reads, and until it is taken.
func TestFreshMessagesOfSeveralReads(t *testing.T) {
	c := newChat(t, Journal{Messages: 1000})
	c.says(do("a"), "1")
	c.heard = nil
	other := c.other()
	large := strings.Repeat("x", 600<<10)
	for range 3 {
		other.say(1, large)
		if _, err := c.Reread(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c.hears("skipped", "4 "+large)
	other.say(1, large)
	if _, err := c.Reread(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.hears("5 " + large)
}

// So many read at once and no more; a wait for a place ends with its context.
func TestReadersWaitForEachOther(t *testing.T) {
	var r readers
	for range maxReaders {
		if err := r.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := r.enter(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	r.leave()
	if err := r.enter(t.Context()); err != nil {
		t.Error(err)
	}
	c := newChat(t, Journal{Messages: 10})
	c.says(do("a"), "1")
	for range maxReaders {
		if err := c.Replica.store.visitors.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel = context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := c.Past().Read(ctx, 0, 10, 10); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("reading: %v", err)
	}
	c.says(do("b"), "2")                                                                             // which visitors do not hold up
	if all, err := c.Past().ForRoom().Read(t.Context(), 0, 10, 1<<20); err != nil || len(all) != 2 { // nor this
		t.Errorf("%d messages, %v", len(all), err)
	}
	for range maxReaders {
		if err := c.Replica.store.folders.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Advance(ctx, c.Replica.stored.epoch, 3); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("looking for what is new: %v", err)
	}
	c.Replica.store.visitors.leave()
	c.Replica.store.folders.leave()
	c.keeps("1 a", "2 b")
}

// crowd is an engine that counts how many read at the same time.
type crowd struct {
	memory.Engine
	now, most atomic.Int32
}

func (e *crowd) Read(ctx context.Context, key engines.Key, epoch string, after uint64, n int) (entries [][]byte, first, last uint64, err error) {
	now := e.now.Add(1)
	for most := e.most.Load(); now > most && !e.most.CompareAndSwap(most, now); most = e.most.Load() {
	}
	time.Sleep(time.Millisecond)
	e.now.Add(-1)
	return e.Engine.Read(ctx, key, epoch, after, n)
}

// However many visitors ask what is kept, and however many rooms are tidied, no more than so
// many read at once; and those do not wait for these.
func TestReadersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(crowd)
		r := New(key, &Store{Engine: e, Log: e, Limit: new(limit)}, func(err error) { t.Error(err) })
		if err := r.Load(t.Context(), Journal{Messages: 1000, Age: time.Hour}, "route"); err != nil {
			t.Fatal(err)
		}
		for range 300 {
			r.Commit(t.Context(), parseSaid(t, "x"))
		}
		past := r.Past()
		many := func(read func() error) (most int32, took time.Duration) {
			e.most.Store(0)
			began := time.Now()
			var work sync.WaitGroup
			for range 5 * maxReaders {
				work.Go(func() {
					if err := read(); err != nil {
						t.Error(err)
					}
				})
			}
			work.Wait()
			return e.most.Load(), time.Since(began)
		}
		for name, read := range map[string]func() error{
			"the oldest": func() error { _, err := past.Oldest(t.Context()); return err },
			"the newest": func() error { _, err := past.Newest(t.Context(), 1, 100, 1<<20); return err },
			"some":       func() error { _, err := past.Read(t.Context(), 0, 10, 1<<20); return err },
			"tidying":    func() error { return past.trim(t.Context(), 10) },
		} {
			if most, _ := many(read); most != maxReaders {
				t.Errorf("%s: %d read at once", name, most)
			}
		}
		for range maxReaders {
			if err := r.store.visitors.enter(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if _, took := many(func() error { return past.trim(t.Context(), 10) }); took > time.Second {
			t.Errorf("tidying waits for visitors: %v", took)
		}
		for range maxReaders {
			if err := r.store.trimmers.enter(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		r.Unload()
		if err := r.Load(t.Context(), Journal{Messages: 1000}, "route"); err != nil {
			t.Error(err)
		}
	})
}
