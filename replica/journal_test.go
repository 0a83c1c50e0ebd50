package replica

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
)

// chat is a replica of a room that keeps messages, with everything around it.
type chat struct {
	*room
	journal Journal
	heard   []string // what Fresh has returned
}

func newChat(t *testing.T, j Journal) *chat {
	c := &chat{room: &room{T: t, engine: &script{max: 1 << 20}, limit: new(limit)}, journal: j}
	c.restart()
	return c
}

// restart makes a new replica, as after a crash.
func (c *chat) restart() {
	c.Helper()
	c.Replica = New(key, &Store{Engine: c.engine, Log: c.engine, Limit: c.limit}, func(err error) { c.faults = append(c.faults, err) })
	c.load()
}

// load loads the room, and returns the newest messages that it then has.
func (c *chat) load() (newest []Kept) {
	c.Helper()
	if err := c.Load(c.Context(), c.journal, "route"); err != nil {
		c.Fatal(err)
	}
	newest, _ = c.Fresh()
	return newest
}

// other returns a replica of the same room in another process, whose calls of the engine are
// not of the script.
func (c *chat) other() *chat {
	o := &chat{room: &room{T: c.T, limit: new(limit)}, journal: c.journal}
	o.Replica = New(key, &Store{Engine: &c.engine.Engine, Log: &c.engine.Engine, Limit: o.limit}, func(err error) { c.Error(err) })
	o.load()
	return o
}

// parseSaid returns messages in the form "<id>=<text>" or "<text>"; a text that begins with
// "no" is refused by the app.
func parseSaid(t *testing.T, lines ...string) []Operation {
	batch := parseOps(t, lines...)
	for i := range batch {
		op := &batch[i]
		if strings.HasPrefix(string(op.Data), "no") {
			op.Refusal, op.ByApp = errors.New("the app says "+string(op.Data)), true
			continue
		}
		op.Said = &Said{From: "from", Text: op.Data}
	}
	return batch
}

// says commits messages and compares what came of each: its version, behind "=" if it is a
// repeat, or "!" and the error.
func (c *chat) says(lines []string, want ...string) {
	c.Helper()
	var got []string
	for _, res := range c.Commit(c.Context(), parseSaid(c.T, lines...)) {
		text := fmt.Sprint(res.Version)
		if res.Err != nil {
			text = "!" + res.Err.Error()
		}
		if res.Repeat {
			text = "=" + text
		}
		got = append(got, text)
	}
	if !slices.Equal(got, want) {
		c.Errorf("%q gave %q, expected %q", lines, got, want)
	}
	c.listen()
}

// listen takes what is fresh.
func (c *chat) listen() {
	fresh, skipped := c.Fresh()
	if skipped {
		c.heard = append(c.heard, "skipped")
	}
	for _, kept := range fresh {
		c.heard = append(c.heard, written(kept))
	}
}

func written(kept Kept) string {
	if kept.Silent {
		return fmt.Sprintf("%d", kept.Version)
	}
	return fmt.Sprintf("%d %s", kept.Version, kept.Text)
}

// hears compares what was fresh since it was last asked.
func (c *chat) hears(want ...string) {
	c.Helper()
	c.listen()
	if !slices.Equal(c.heard, want) {
		c.Errorf("heard %q, expected %q", c.heard, want)
	}
	c.heard = nil
}

// keeps compares what is kept now.
func (c *chat) keeps(want ...string) {
	c.Helper()
	if got := c.kept(); !slices.Equal(got, want) {
		c.Errorf("%q are kept, expected %q", got, want)
	}
}

func (c *chat) kept() (all []string) {
	c.Helper()
	p := c.Past()
	oldest, err := p.Oldest(c.Context())
	if err != nil {
		c.Fatal(err)
	}
	for after := oldest - 1; after < p.Last; {
		some, err := p.Read(c.Context(), after, 3, 1<<20)
		if err != nil || len(some) == 0 {
			c.Fatalf("behind %d of %d: %v", after, p.Last, err)
		}
		for _, kept := range some {
			if after++; kept.Version != after {
				c.Fatalf("version %d where %d is expected", kept.Version, after)
			}
			all = append(all, written(kept))
		}
	}
	return all
}

// stored returns the positions that the engine has.
func (c *chat) stored() (first, last uint64) {
	c.Helper()
	_, first, last, err := c.engine.Engine.Read(c.Context(), key, c.Replica.stored.epoch, 0, 0)
	if err != nil {
		c.Fatal(err)
	}
	return first, last
}

// tidy stores a checkpoint and removes what is not kept, if it is time.
func (c *chat) tidy() error {
	trim, _, err := c.Tidy(c.Context())
	if trim == nil {
		return err
	}
	return trim(c.Context())
}

// say commits n messages, some at a time.
func (c *chat) say(n int, text string) {
	c.Helper()
	for n > 0 {
		var lines []string
		for range min(n, 10) {
			lines = append(lines, text)
		}
		n -= len(lines)
		for _, res := range c.Commit(c.Context(), parseSaid(c.T, lines...)) {
			if res.Err != nil {
				c.Fatal(res.Err)
			}
		}
		if err := c.tidy(); err != nil {
			c.Fatal(err)
		}
	}
	c.Fresh()
}

// A replica that has been loaded returns the messages behind the checkpoint, and those once.
func TestTheNewestMessagesAfterALoad(t *testing.T) {
	c := newChat(t, Journal{Messages: 1000})
	if newest := c.load(); newest != nil {
		t.Errorf("%+v", newest)
	}
	c.say(300, "old")
	c.says(do("c:1=new", "c:2=no way"), "301", "!the app says no way")
	c.Replica = New(key, &Store{Engine: c.engine, Log: c.engine, Limit: c.limit}, func(err error) { t.Error(err) })
	newest := c.load()
	checkpoint := c.Replica.stored.checkpoint
	if checkpoint == 0 || len(newest) != int(302-checkpoint) || newest[0].Version != checkpoint+1 || written(newest[len(newest)-2]) != "301 new" || !newest[len(newest)-1].Silent {
		t.Errorf("behind %d: %+v", checkpoint, newest)
	}
	if again, _ := c.Fresh(); again != nil {
		t.Errorf("%+v", again)
	}
}

// A message is stored by one Append, with all that came together; the first one of a room
// has the room stored before.
func TestMessagesAreAppended(t *testing.T) {
	c := newChat(t, Journal{Messages: 10})
	epoch := c.Snapshot().Epoch
	c.says(do("a", "b"), "1", "2")
	c.says(do("c"), "3")
	if want := do("load", "swap", "append", "append"); !slices.Equal(c.engine.calls, want) {
		t.Errorf("%q", c.engine.calls)
	}
	c.hears("1 a", "2 b", "3 c")
	c.counts(1, 0)
	c.restart()
	c.hears()
	if s := c.Snapshot(); s.Epoch != epoch || s.Version != 3 {
		t.Errorf("%+v", s)
	}
	c.keeps("1 a", "2 b", "3 c")
	c.says(do("d"), "4")
	c.keeps("1 a", "2 b", "3 c", "4 d")
}

// What was said is read as it was said.
func TestMessagesAreReadAsTheyWere(t *testing.T) {
	c := newChat(t, Journal{Messages: 10})
	said := []Said{
		{From: "A", User: "ann", Text: []byte("hi")},
		{Text: []byte{}},
		{From: "B", Binary: true, Text: []byte{0, 0xff}},
		{From: "C", Text: []byte("C: hi"), JSON: []byte(`{"data":"hi"}`)},
		{From: "D", Text: []byte("D"), JSON: []byte{}},
	}
	var batch []Operation
	for i := range said {
		batch = append(batch, Operation{Said: &said[i]})
	}
	for _, res := range c.Commit(t.Context(), batch) {
		if res.Err != nil {
			t.Fatal(res.Err)
		}
	}
	c.restart()
	got, err := c.Past().Read(t.Context(), 0, 10, 1<<20)
	if err != nil || len(got) != len(said) {
		t.Fatal(got, err)
	}
	for i, kept := range got {
		want := said[i]
		if kept.From != want.From || kept.User != want.User || kept.Binary != want.Binary || !bytes.Equal(kept.Text, want.Text) || !bytes.Equal(kept.JSON, want.JSON) || (kept.JSON == nil) != (want.JSON == nil) {
			t.Errorf("%+v, want %+v", kept, want)
		}
		if kept.At.IsZero() || kept.Silent || kept.Version != uint64(i+1) {
			t.Errorf("%+v", kept)
		}
	}
}

// A repeat is not published again, and is told the first version: by another process, after
// a crash, and a thousand messages later in a room that keeps fifty. An answer of the app
// that is to be remembered takes a version of its own.
func TestMessagesWithIDs(t *testing.T) { synctest.Test(t, testMessagesWithIDs) }

func testMessagesWithIDs(t *testing.T) {
	c := newChat(t, Journal{Messages: 50})
	c.says(do("c:1=a", "c:1=a", "c:3=c", "c:2=no way", theKey+"=k"), "1", "=1", "!expected c:2", "!the app says no way", "3")
	c.says(do("c:2=no way", "c:3=c", "c:1=other"), "=!the app says no way", "4", reused)
	c.hears("1 a", "2", "3 k", "4 c")
	again := func() {
		t.Helper()
		c.says(do("c:1=a", "c:2=no way", "c:3=c", theKey+"=k"), "=1", "=!the app says no way", "=4", "=3")
		c.hears()
	}
	again()
	c.restart()
	again()
	c.other().says(do("c:1=a", "c:3=c"), "=1", "=4")
	for range 5 {
		c.say(200, "more")
		time.Sleep(2 * grace)
	}
	if first, last := c.stored(); first < 500 || last != 1004 {
		t.Errorf("%d to %d are stored", first, last)
	}
	again()
	c.restart()
	again()
	c.says(do("c:4=d"), "1005")
}

// Messages that were refused with certainty are never heard, those that are stored are
// heard once, whatever the engine answers.
func TestSettlingMessages(t *testing.T) {
	for name, test := range map[string]struct {
		appends []func(func() error) error
		reads   []func() error
		told    string
		calls   []string
		heard   []string
	}{
		"refused":                {appends: repeated(1, refuse), told: unavailable, calls: do("append")},
		"a conflict with nobody": {appends: repeated(1, conflict), told: "2", calls: do("append", "load", "append"), heard: do("2 b")},
		"lost":                   {appends: repeated(1, lose), told: "2", calls: do("append", "load", "append"), heard: do("2 b")},
		"stored":                 {appends: repeated(1, hide), told: "2", calls: do("append", "load"), heard: do("2 b")},
		"stored with a panic":    {appends: repeated(1, crash), told: "2", calls: do("append", "load"), heard: do("2 b")},
		"not to be read":         {appends: repeated(1, lose), reads: []func() error{fail}, told: "2", calls: do("append", "load", "append"), heard: do("2 b")},
		"stored, not to be read": {appends: append(repeated(1, hide), conflict), reads: []func() error{fail}, told: "2", calls: do("append", "load", "append", "load"), heard: do("2 b")},
	} {
		t.Run(name, func(t *testing.T) {
			c := newChat(t, Journal{Messages: 10})
			c.says(do("a"), "1")
			c.hears("1 a")
			c.engine.calls, c.engine.appends, c.engine.reads = nil, test.appends, test.reads
			c.says(do("c:1=b"), test.told)
			if !slices.Equal(c.engine.calls, test.calls) {
				t.Errorf("%q, want %q", c.engine.calls, test.calls)
			}
			c.hears(test.heard...)
			next := map[bool]string{true: "=2", false: "2"}[test.told == "2"]
			c.says(do("c:1=b"), next)
			c.restart()
			c.says(do("c:1=b"), "=2")
			c.keeps("1 a", "2 b")
		})
	}
}

// A room whose messages cannot be read any more can be deleted, also while it is not known what
// has become of the last ones.
func TestDeletingARoomThatCannotBeSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChat(t, Journal{Messages: 10})
		c.says(do("a"), "1")
		c.hears("1 a")
		c.engine.appends, c.engine.reads = repeated(100, lose), slices.Repeat([]func() error{fail}, 1000)
		c.says(do("b"), "!outcome unknown")
		if err := c.Delete(t.Context()); err != nil || !c.IsSettled() {
			t.Errorf("settled: %v, %v", c.IsSettled(), err)
		}
		c.engine.appends = nil
		c.says(do("c"), "1")
		c.hears("1 c")
		c.engine.appends, c.engine.deletes = repeated(100, lose), repeated(1, lose)
		c.says(do("d"), "!outcome unknown")
		if err := c.Delete(t.Context()); !errors.Is(err, errTimeout) || c.IsSettled() {
			t.Errorf("settled: %v, %v", c.IsSettled(), err)
		}
	})
}

// A log that cannot be read for a moment is no reason to forget the room: who looks at it is
// never told that there is nothing.
func TestALogThatCannotBeReadForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChat(t, Journal{Messages: 10})
		c.says(do("a"), "1")
		other := c.other()
		other.says(do("b"), "2")
		other.checkpoint()
		c.engine.reads = slices.Repeat([]func() error{fail}, 2)
		if another, err := c.storeAnew(t.Context(), 2); !another || err != nil {
			t.Error(another, err)
		}
		c.keeps("1 a", "2 b")
		c.hears("1 a", "2 b")
		if len(c.faults) > 0 {
			t.Error(c.faults)
		}
		other.says(do("c"), "3")
		other.checkpoint()
		c.engine.reads = slices.Repeat([]func() error{fail}, 100)
		if _, err := c.storeAnew(t.Context(), 3); err == nil {
			t.Error("it is stored")
		}
		c.engine.reads = nil
		c.keeps("1 a", "2 b")
		c.Unload()
		c.keeps("1 a", "2 b")
		c.says(do("d"), "4")
		c.keeps("1 a", "2 b", "3 c", "4 d")
	})
}

// A value that can never be read is left as it is.
func TestAValueThatIsDamagedMeanwhile(t *testing.T) {
	for name, damage := range map[string]func(p []byte) []byte{
		"the envelope":   func([]byte) []byte { return []byte{9} },
		"the app's part": func(p []byte) []byte { return p[:len(p)-len(journalMark)] },
	} {
		t.Run(name, func(t *testing.T) {
			c := newChat(t, Journal{Messages: 10})
			c.says(do("a"), "1")
			p, rev, err := c.engine.Engine.Load(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			damaged := damage(p)
			if _, err = c.engine.Engine.Swap(t.Context(), key, rev, engines.Value{State: damaged, Epoch: c.Replica.stored.epoch}); err != nil {
				t.Fatal(err)
			}
			_, _ = c.storeAnew(t.Context(), 2)
			c.says(do("b"), unavailable)
			if got, _, err := c.engine.Engine.Load(t.Context(), key); err != nil || !bytes.Equal(got, damaged) {
				t.Errorf("%q, %v", got, err)
			}
			c.keeps("1 a")
		})
	}
}

// A message whose outcome is not known after ten seconds is heard when it is found stored,
// once, before those that come later.
func TestMessagesThatAreFoundLate(t *testing.T) {
	for name, steps := range map[string][]func(func() error) error{
		"stored":   append(repeated(1, hide), repeated(50, lose)...),
		"not":      repeated(50, lose),
		"conflict": append(repeated(1, hide), repeated(50, conflict)...),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newChat(t, Journal{Messages: 10})
				c.says(do("a"), "1")
				c.engine.appends, c.engine.reads = steps, slices.Repeat([]func() error{fail}, 50)
				c.says(do("c:1=b", "x"), retryUnsure, "!outcome unknown")
				if c.IsSettled() {
					t.Error("it is settled")
				}
				c.engine.appends, c.engine.reads = nil, nil
				c.hears("1 a")
				c.says(do("c:1=b", "d"), "=2", "4")
				c.hears("2 b", "3 x", "4 d")
				c.keeps("1 a", "2 b", "3 x", "4 d")
			})
		})
	}
}

// Replicas of several processes hear the same messages in the same order, each its own and
// those of others when it writes.
func TestMessagesOfSeveralProcesses(t *testing.T) {
	a := newChat(t, Journal{Messages: 10})
	b := a.other()
	a.says(do("a1"), "1")
	b.says(do("b1", "b2"), "2", "3")
	b.hears("1 a1", "2 b1", "3 b2")
	a.says(do("a2"), "4")
	a.hears("1 a1", "2 b1", "3 b2", "4 a2")
	b.says(do("b3"), "5")
	b.hears("4 a2", "5 b3")
}

// By number, age and size: what is not kept is not read, and leaves the engine some time
// later.
func TestMessagesGo(t *testing.T) {
	t.Run("by number", func(t *testing.T) {
		c := newChat(t, Journal{Messages: 2})
		c.says(do("a", "b", "c", "d", "e"), "1", "2", "3", "4", "5")
		c.keeps("4 d", "5 e")
	})
	t.Run("by age", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newChat(t, Journal{Messages: 100, Age: time.Minute})
			for _, text := range do("a", "b", "c", "d", "e") {
				c.says(do(text), map[string]string{"a": "1", "b": "2", "c": "3", "d": "4", "e": "5"}[text])
				time.Sleep(20 * time.Second)
			}
			c.keeps("3 c", "4 d", "5 e")
			time.Sleep(time.Minute)
			c.keeps()
			c.says(do("f"), "6")
			c.keeps("6 f")
		})
	})
	t.Run("by size", func(t *testing.T) {
		c := newChat(t, Journal{Messages: 10000})
		c.say(40, strings.Repeat("x", 1<<20/10-200))
		if n := len(c.kept()); n != 40 {
			t.Errorf("%d are kept", n)
		}
		c.say(160, strings.Repeat("x", 1<<20/10-200))
		if n := len(c.kept()); n < 155 || n > 165 {
			t.Errorf("%d are kept", n)
		}
	})
}

// The log does not grow without end: old messages go in batches, but not within ten seconds,
// unless more than a room may keep has come since.
func TestTidying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChat(t, Journal{Messages: 100})
		c.say(1000, "x")
		if first, last := c.stored(); first != 1 || last != 1000 {
			t.Errorf("%d to %d are stored", first, last)
		}
		time.Sleep(grace)
		c.say(100, "x")
		if first, _ := c.stored(); first <= 800 || first > 901 {
			t.Errorf("from %d on all are stored, and from 901 on they were kept ten seconds before", first)
		}
		time.Sleep(grace)
		c.say(200, "x")
		if first, _ := c.stored(); first <= 900 || first > 1001 {
			t.Errorf("from %d on all are stored", first)
		}
		if c.Replica.stored.checkpoint < 1000 {
			t.Errorf("the checkpoint is at %d", c.Replica.stored.checkpoint)
		}
		c.restart()
		if n := len(c.kept()); n != 100 {
			t.Errorf("%d are kept", n)
		}
		c.say(500, strings.Repeat("x", 1<<20/10-200)) // three times what a room may keep
		first, last := c.stored()
		if last-first > 360 {
			t.Errorf("%d are stored", last-first)
		}
	})
}

// So it is in a room that leaves memory between any two messages, and few checkpoints do.
func TestTidyingARoomThatIsSeldomInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChat(t, Journal{Messages: 50})
		for range 1000 {
			c.restart()
			c.say(1, "x")
			time.Sleep(time.Second)
		}
		if first, last := c.stored(); last != 1000 || last-first > 50+10+leastStep {
			t.Errorf("%d to %d are stored", first, last)
		}
		swaps := 0
		for _, call := range c.engine.calls {
			if call == "swap" {
				swaps++
			}
		}
		if swaps > 2+1000/leastStep {
			t.Errorf("%d checkpoints", swaps)
		}
	})
}

// Checkpoints are so close together that loading a room reads little. Messages are removed less
// often, and neither is done for each of some large messages.
func TestHowOftenARoomIsTidied(t *testing.T) {
	for name, test := range map[string]struct {
		journal             Journal
		messages, size      int
		checkpoints, trims  int // at most
		behind, bytesBehind int // the checkpoint, at most
	}{
		"short messages":       {Journal{Messages: 10000}, 4000, 10, 4000 / checkStep, 4000 / mostStep, checkStep, 1 << 20},
		"few are kept":         {Journal{Messages: 10}, 1000, 10, 1000 / leastStep, 1000 / leastStep, leastStep, 1 << 20},
		"a quarter is no step": {Journal{Messages: 1500}, 2000, 10, 2000 / checkStep, 2000 / checkStep, checkStep, 1 << 20},
		"large messages":       {Journal{Messages: 10000}, 64, 250 << 10, 16, 4, 5, 5 * 256 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			c := newChat(t, test.journal)
			text := strings.Repeat("x", test.size)
			checkpoints, trims, last := 0, 0, uint64(0)
			for range test.messages {
				c.Commit(t.Context(), parseSaid(t, text))
				c.Fresh()
				trim, _, err := c.Tidy(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if trim != nil {
					trims++
				}
				now := c.Replica.stored.checkpoint
				if now > last {
					checkpoints++
				}
				last = now
				past := c.Past()
				if behind, bytes := past.Last-now, past.total-c.Replica.stored.checkTotal; behind > uint64(test.behind) || bytes > uint64(test.bytesBehind) {
					t.Fatalf("%d messages with %d bytes are behind the checkpoint", behind, bytes)
				}
			}
			if checkpoints == 0 || checkpoints > test.checkpoints || trims == 0 || trims > test.trims {
				t.Errorf("%d checkpoints, at most %d are enough; messages were removed %d times, at most %d", checkpoints, test.checkpoints, trims, test.trims)
			}
		})
	}
}

// A checkpoint that was stored for another reason, as that the room is used, is one behind which
// messages are removed.
func TestTidyingBehindAnotherCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChat(t, Journal{Messages: 10})
		for i := range 10 {
			for n := range leastStep {
				c.says(do("x"), fmt.Sprint(i*leastStep+n+1))
			}
			time.Sleep(time.Hour)
			if _, err := c.Touch(t.Context(), time.Minute); err != nil {
				t.Fatal(err)
			}
			if err := c.tidy(); err != nil {
				t.Fatal(err)
			}
			if first, last := c.stored(); last-first >= 10 {
				t.Errorf("%d to %d are stored", first, last)
			}
		}
	})
}

// A checkpoint that fails removes nothing, and the room goes on.
func TestTidyingThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChat(t, Journal{Messages: 10})
		c.say(100, "x")
		time.Sleep(grace)
		c.engine.alwaysSwap = refuse
		err := c.tidy()
		for i := 0; err == nil && i < 20; i++ {
			c.Commit(t.Context(), parseSaid(t, "a", "b", "c", "d", "e", "f", "g", "h", "i", "j"))
			err = c.tidy()
		}
		if !errors.Is(err, engines.ErrRefused) {
			t.Fatal(err)
		}
		if first, _ := c.stored(); first != 1 {
			t.Errorf("from %d on all are stored", first)
		}
		c.engine.alwaysSwap = nil
		c.restart()
		c.says(do("z"), fmt.Sprint(c.Snapshot().Version+1))
	})
}

// Messages that could not be removed are removed later without more being said, and so are those
// that are in the way when the engine refuses a message; but not all the time.
func TestTrimmingAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChat(t, Journal{Messages: 10})
		c.say(100, "x")
		time.Sleep(grace)
		c.engine.trims = []func() error{fail}
		for i := 0; len(c.engine.trims) > 0; i++ {
			if i == 200 {
				t.Fatal("nothing is trimmed")
			}
			c.says(do("y"), fmt.Sprint(101+i))
			if err := c.tidy(); err != nil && !errors.Is(err, errTimeout) {
				t.Fatal(err)
			}
		}
		swaps := len(c.engine.calls)
		tidy := func(wants bool) {
			t.Helper()
			trim, _, err := c.Tidy(t.Context())
			if err != nil || (trim != nil) != wants {
				t.Errorf("there is something to remove: %v, %v", trim != nil, err)
			}
			if trim != nil {
				if err := trim(t.Context()); err != nil {
					t.Error(err)
				}
			}
		}
		tidy(false)
		time.Sleep(grace)
		before, _ := c.stored()
		tidy(true)
		after, last := c.stored()
		if after <= before {
			t.Errorf("from %d on all are stored, and before that from %d on", after, before)
		}
		time.Sleep(grace)
		tidy(false)
		c.engine.appends = repeated(1, refuse)
		c.says(do("z"), unavailable)
		tidy(true)
		tidy(false)
		if len(c.engine.calls) != swaps+1 {
			t.Errorf("%q", c.engine.calls[swaps:])
		}
		c.says(do("z"), fmt.Sprint(last+1))
	})
}

// A message larger than the engine takes is refused by itself, and uses up no number. A batch
// that is too large is divided.
func TestLargeMessages(t *testing.T) {
	c := newChat(t, Journal{Messages: 10})
	c.engine.max = 1 << 10
	large, fine := strings.Repeat("x", 1<<10), strings.Repeat("x", 1<<10-maxEntryHeader-4)
	c.says(do("c:1="+large, fine, "a", fine, "c:1="+fine), "!message is too big to be kept", "1", "2", "3", "4")
	c.restart()
	c.says(do("c:1="+fine), "=4")
	if n := len(c.kept()); n != 4 {
		t.Errorf("%d are kept", n)
	}
}

// An engine without logs, a room with the state of an app, and damaged messages: each is an
// error, and nothing is overwritten.
func TestRoomsThatCannotKeepMessages(t *testing.T) {
	c := newChat(t, Journal{Messages: 10})
	without := New(key, &Store{Engine: c.engine, Limit: c.limit}, func(error) {})
	if err := without.Load(t.Context(), c.journal, "route"); !errors.Is(err, ErrNoLog) {
		t.Error(err)
	}
	state := newRoom(t)
	state.commit([]string{"2"}, "2@1")
	other := New(key, &Store{Engine: state.engine, Log: state.engine, Limit: state.limit}, func(error) {})
	if err := other.Load(t.Context(), c.journal, "route"); !errors.Is(err, errNoJournal) {
		t.Error(err)
	}
	c.says(do("a"), "1")
	for _, wrong := range []string{"", "\x01", "\x02\x00", "\x01\xff", "\x01\x00\x01", "\x01\x0f\x01\x01"} {
		if _, err := c.engine.Engine.Append(t.Context(), key, c.Replica.stored.epoch, c.Snapshot().Version, [][]byte{[]byte(wrong)}); err != nil {
			t.Fatal(err)
		}
		damaged := New(key, &Store{Engine: c.engine, Log: c.engine, Limit: c.limit}, func(error) {})
		if err := damaged.Load(t.Context(), c.journal, "route"); !errors.Is(err, errEntry) {
			t.Errorf("%q: %v", wrong, err)
		}
		_, rev, _ := c.engine.Engine.Load(t.Context(), key)
		if err := c.engine.Engine.Delete(t.Context(), key, rev); err != nil {
			t.Fatal(err)
		}
		c.restart()
		c.says(do("a"), "1")
	}
}

// A room that is deleted begins a new life: nothing is heard twice, and ids are forgotten.
func TestDeletedMessages(t *testing.T) {
	c := newChat(t, Journal{Messages: 10})
	c.says(do("c:1=a", "b"), "1", "2")
	epoch := c.Snapshot().Epoch
	if err := c.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Load(t.Context(), c.journal, "route"); err != nil {
		t.Fatal(err)
	}
	c.heard = nil
	c.keeps()
	c.says(do("c:1=c"), "1")
	c.hears("1 c")
	if c.Snapshot().Epoch == epoch {
		t.Error("it has the same epoch")
	}
	other := c.other()
	_, rev, _ := c.engine.Engine.Load(t.Context(), key)
	if err := c.engine.Engine.Delete(t.Context(), key, rev); err != nil {
		t.Fatal(err)
	}
	other.says(do("d"), "1")
	other.hears("1 d")
}

// Messages of a life that has ended are not told in the next, and it is tidied as if nothing had
// been before.
func TestMessagesOfALifeThatHasEnded(t *testing.T) {
	for name, end := range map[string]func(c *chat) error{
		"by another process": func(c *chat) error {
			_, rev, _ := c.engine.Engine.Load(c.Context(), key)
			return c.engine.Engine.Delete(c.Context(), key, rev)
		},
		"by this one": func(c *chat) error { return c.Delete(c.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newChat(t, Journal{Messages: 10})
			c.say(leastStep-1, "x")
			c.engine.alwaysSwap = refuse
			c.Commit(t.Context(), parseSaid(t, "a", "b"))
			if err := c.tidy(); err == nil || c.tidyAgain == 0 {
				t.Fatalf("%v, to be tried again at %d", err, c.tidyAgain)
			}
			c.engine.alwaysSwap = nil
			if err := end(c); err != nil {
				t.Fatal(err)
			}
			c.says(do("b"), "1")
			c.hears("1 b")
			c.say(leastStep, "x")
			if checked := c.Replica.stored.checkpoint; checked == 0 {
				t.Error("the new life is not tidied")
			}
		})
	}
}

// A room that is not loaded, or not stored, has nothing to tidy.
func TestTidyingNothing(t *testing.T) {
	c := newChat(t, Journal{Messages: 10})
	tidy := func() {
		t.Helper()
		calls := len(c.engine.calls)
		if trim, another, err := c.Tidy(t.Context()); trim != nil || another || err != nil || len(c.engine.calls) > calls {
			t.Errorf("%v, %v, %q", another, err, c.engine.calls[calls:])
		}
	}
	tidy()
	c.say(2*leastStep, "x")
	c.Unload()
	tidy()
	c.says(do("a"), fmt.Sprint(2*leastStep+1))
	if err := c.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	tidy()
	c.says(do("b"), "1")
}

// What is stored of a room tells its newest version, also if no checkpoint has it.
func TestLookAtARoomWithMessages(t *testing.T) {
	c := newChat(t, Journal{Messages: 10})
	c.says(do("a", "b", "c"), "1", "2", "3")
	s := &Store{Engine: c.engine, Log: c.engine, Limit: c.limit}
	if found, err := s.Look(t.Context(), key); err != nil || found.Version != 3 || found.Route != "route" {
		t.Errorf("%+v, %v", found, err)
	}
}

// A process that has taken no part for long hears what is left.
func TestMessagesThatAreMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newChat(t, Journal{Messages: 10})
		a.says(do("a"), "1")
		b := a.other()
		for range 3 {
			a.say(100, "x")
			time.Sleep(grace)
		}
		first, _ := a.stored()
		b.says(do("c:1=b"), "302")
		fresh := b.heard
		if first <= 2 || len(fresh) == 0 || fresh[0] != fmt.Sprintf("%d x", first) || fresh[len(fresh)-1] != "302 b" {
			t.Errorf("from %d on: %q", first, fresh)
		}
	})
}

var _ apps.Stateful = Journal{}

// FuzzEntry: what can be read is written as it was.
func FuzzEntry(f *testing.F) {
	for _, e := range []entry{
		{Kept: Kept{Said: Said{From: "A", User: "ann", Text: []byte("hi")}, At: time.Unix(1, 2)}},
		{Kept: Kept{Said: Said{Binary: true, JSON: []byte("{}")}, Silent: true, before: 7}, writer: &writer{3, 4}, once: &remembered{mark: mark{n: 5}}},
	} {
		f.Add(e.encode())
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		e, err := parseEntry(7, p)
		if err != nil {
			return
		}
		again, err := parseEntry(7, e.encode())
		if err != nil || !bytes.Equal(again.encode(), e.encode()) || !bytes.Equal(again.Text, e.Text) || again.At != e.At || again.before != e.before {
			t.Errorf("%+v, %+v, %v", e, again, err)
		}
	})
}
