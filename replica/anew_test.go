package replica

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
)

// loses makes the log of a room end at a position, and leaves its value.
func (c *chat) loses(last uint64) {
	c.Helper()
	epoch := c.Replica.stored.epoch
	before := c.engine.logs()
	c.engine.log = new(memory.Engine)
	if _, err := c.engine.log.Swap(c.Context(), key, 0, engines.Value{Epoch: epoch}); err != nil {
		c.Fatal(err)
	}
	for at := uint64(0); at < last; {
		entries, _, _, err := before.Read(c.Context(), key, epoch, at, min(int(last-at), 1000))
		if err != nil {
			c.Fatal(err)
		}
		for _, entry := range entries {
			if at, err = c.engine.log.Append(c.Context(), key, epoch, at, [][]byte{entry}); err != nil {
				c.Fatal(err)
			}
		}
	}
}

// checkpoint stores one now.
func (c *chat) checkpoint() {
	c.Helper()
	if _, err := c.storeAnew(c.Context(), 1); err != nil {
		c.Fatal(err)
	}
}

// A log that has lost messages which its value tells of, or a replica knows, is not gone on
// with: positions would come back. The room begins a new life with what is left.
func TestALogThatHasLostMessages(t *testing.T) {
	for name, test := range map[string]struct {
		checkpoint bool // behind all messages
		lose       func(c *chat)
		restart    bool // before it is found out
		left       []string
	}{
		"the end":                       {checkpoint: true, lose: func(c *chat) { c.loses(3) }, left: do("1 a", "2 b", "3 c")},
		"the end, found on loading":     {checkpoint: true, lose: func(c *chat) { c.loses(3) }, restart: true, left: do("1 a", "2 b", "3 c")},
		"the last one":                  {lose: func(c *chat) { c.loses(4) }, left: do("1 a", "2 b", "3 c", "4 d")},
		"all":                           {lose: func(c *chat) { c.loses(0) }},
		"all, with a checkpoint":        {checkpoint: true, lose: func(c *chat) { c.loses(0) }, restart: true},
		"what is behind the checkpoint": {lose: func(c *chat) { trim(c, 3) }, restart: true, left: do("1 d", "2 e")},
	} {
		t.Run(name, func(t *testing.T) {
			c := newChat(t, Journal{Messages: 10})
			c.says(do("c:1=a", "b", "c", "c:2=d", "e"), "1", "2", "3", "4", "5")
			if test.checkpoint {
				c.checkpoint()
			}
			epoch := c.Snapshot().Epoch
			test.lose(c)
			c.heard = nil
			if test.restart {
				c.restart()
				c.keeps(test.left...)
			}
			n := len(test.left)
			c.says(do("f"), string(rune('1'+n)))
			if c.Snapshot().Epoch == epoch {
				t.Error("it is still the same life")
			}
			want := append(slices.Clone(test.left), string(rune('1'+n))+" f")
			c.keeps(want...)
			if c.hears(want[len(want)-len(c.heard):]...); len(c.faults) == 0 {
				t.Error("nothing is reported")
			}
			c.restart()
			c.keeps(want...)
			if slices.Contains(test.left, "4 d") {
				c.says(do("c:2=d"), "=4")
			}
		})
	}
}

// trim removes messages behind the checkpoint, as no process does.
func trim(c *chat, upTo uint64) {
	c.Helper()
	if err := c.engine.Trim(c.Context(), key, c.Replica.stored.epoch, upTo); err != nil {
		c.Fatal(err)
	}
}

// Without an operation a room finds out as well, and what was not stored for certain before
// has no known outcome.
func TestALossThatIsFoundOtherwise(t *testing.T) {
	c := newChat(t, Journal{Messages: 10})
	c.says(do("a", "b"), "1", "2")
	c.loses(1)
	if _, err := c.Past().Read(t.Context(), 0, 10, 1<<20); !errors.Is(err, ErrMissing) {
		t.Errorf("reading: %v", err)
	}
	if _, err := c.Past().Oldest(t.Context()); !errors.Is(err, ErrMissing) {
		t.Errorf("the oldest: %v", err)
	}
	c.heard = nil
	if another, err := c.Reread(t.Context()); !another || err != nil {
		t.Error(another, err)
	}
	c.hears("1 a")
	c.keeps("1 a")
	c.says(do("c"), "2")
	c.loses(1)
	c.engine.appends = repeated(1, lose)
	c.says(do("d"), "!outcome unknown")
	c.says(do("e"), "2")
}

// A room that is not torn for certain is not deleted: what was read may be from before.
func TestALogThatOnlySeemsToHaveLostMessages(t *testing.T) {
	for name, test := range map[string]func(c *chat){
		"the log goes on":     func(c *chat) { c.engine.appends = repeated(1, conflict) },
		"it cannot be known":  func(c *chat) { c.engine.appends = repeated(1, lose) },
		"another has changed": func(c *chat) { c.engine.deletes = repeated(1, conflict) },
		"nobody knows":        func(c *chat) { c.engine.deletes = repeated(1, lose) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newChat(t, Journal{Messages: 10})
			c.says(do("a", "b", "c"), "1", "2", "3")
			epoch := c.Snapshot().Epoch
			c.loses(2)
			test(c)
			if another, err := c.Reread(t.Context()); another || !errors.Is(err, errTorn) || errors.Is(err, engines.ErrConflict) {
				t.Errorf("%v, %v", another, err)
			}
			if _, _, err := c.engine.Engine.Load(t.Context(), key); err != nil || c.Snapshot().Epoch != epoch {
				t.Errorf("it is gone: %v", err)
			}
			if another, err := c.Reread(t.Context()); !another || err != nil {
				t.Errorf("again: %v, %v", another, err)
			}
			c.keeps("1 a", "2 b")
		})
	}
}

// What is left is put back as far as the engine takes it at once.
func TestALongLogThatHasLostMessages(t *testing.T) {
	c := newChat(t, Journal{Messages: 10000})
	c.say(5000, "x")
	c.checkpoint()
	c.loses(4900)
	c.restart()
	if n := len(c.kept()); n != engines.MaxEntries {
		t.Errorf("%d messages are left", n)
	}
	c = newChat(t, Journal{Messages: 10000})
	c.say(40, strings.Repeat("x", 100<<10))
	c.checkpoint()
	c.loses(39)
	c.restart()
	if n := len(c.kept()); n != 10 {
		t.Errorf("%d large messages are left", n)
	}
}

// While a room cannot be stored again it begins with nothing.
func TestALossThatCannotBeMended(t *testing.T) {
	c := newChat(t, Journal{Messages: 10})
	c.says(do("a", "b"), "1", "2")
	c.loses(1)
	c.engine.swaps = repeated(1, refuse)
	c.says(do("c"), "1")
	c.keeps("1 c")
	if c.limit.recounts == 0 {
		t.Error("the rooms are not counted again")
	}
}

// However the steps of beginning anew end, or whatever comes between them, the messages that
// are left are in the new life, and so are those that are said from then on.
func TestStepsOfBeginningAnew(t *testing.T) {
	for name, test := range map[string]func(c *chat, abandon func()){
		"nothing":                          func(*chat, func()) {},
		"the probes are there":             func(c *chat, _ func()) { c.engine.appends = repeated(1, hide) },
		"it is deleted":                    func(c *chat, _ func()) { c.engine.deletes = repeated(1, hide) },
		"it cannot be deleted for a while": func(c *chat, _ func()) { c.engine.deletes = repeated(2, lose) },
		"it is stored again":               func(c *chat, _ func()) { c.engine.swaps = repeated(1, hide) },
		"nobody waits any more": func(c *chat, abandon func()) {
			c.engine.deletes = []func(func() error) error{func(do func() error) error {
				abandon()
				return do()
			}}
		},
		"it crashes": func(c *chat, abandon func()) {
			c.engine.deletes = repeated(1, lose)
			_, _ = c.Reread(c.Context())
			c.restart()
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newChat(t, Journal{Messages: 10})
			c.says(do("a", "b", "c"), "1", "2", "3")
			c.loses(2)
			ctx, abandon := context.WithCancel(t.Context())
			defer abandon()
			test(c, abandon)
			for range 3 {
				_, _ = c.Reread(ctx)
			}
			c.says(do("d"), "3")
			c.keeps("1 a", "2 b", "3 d")
			c.restart()
			c.keeps("1 a", "2 b", "3 d")
		})
	}
}

// Probes go beyond what is known, so that nothing is acknowledged behind them.
func TestNothingIsSaidBehindProbes(t *testing.T) {
	for lost := range uint64(3) {
		c := newChat(t, Journal{Messages: 10})
		c.says(do("a", "b", "c"), "1", "2", "3")
		c.loses(2 - lost)
		c.engine.deletes = repeated(2, lose)
		if _, err := c.Reread(t.Context()); !errors.Is(err, errTorn) {
			t.Fatal(err)
		}
		c.says(do("d"), strconv.FormatUint(3-lost, 10))
		c.restart()
		if kept := c.kept(); len(kept) != int(3-lost) {
			t.Errorf("%d lost: %q are kept", lost+1, kept)
		}
	}
}
