package blackbox

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// writer is a client that sends operations 1, 2, 3 and so on to a room, over one
// connection after another.
type writer struct {
	name  string // with ids: the client's
	path  string
	post  bool
	ids   bool
	most  int                // operations; 0: any number
	value func(n int) string // of the operation n
	many  bool               // of the room's clients: the first answer to a repeat may not be kept any more
	rest  time.Duration      // before each operation, on average

	// Changed while it works.
	sent     int          // at least once; all before are sent too
	spans    map[int]span // of operations, from the first sending to the first reply
	acked    int          // with ids: all up to this are answered with a reply
	answers  map[int]told // to operations, the first one that came
	repeats  int          // how many answers were marked as such
	came     int          // how often it has connected
	progress *progress
}

// progress is how far all writers of a crew are.
type progress struct{ sent, acked atomic.Int64 }

// crew is writers that work at the same time.
type crew struct {
	progress
	writers []*writer
	resting atomic.Bool   // no operation is begun any more, only retried
	returns bool          // those whose connection ends, or is refused, make another one
	within  time.Duration // for so long after the last answer, at most; 0: as long as patience
	done    sync.WaitGroup
	errs    chan error
}

// comeBack is how long a client waits until it comes back.
const comeBack = 10 * time.Millisecond

// add takes a writer into the crew.
func (c *crew) add(w writer) {
	w.answers, w.spans, w.progress = make(map[int]told), make(map[int]span), &c.progress
	if w.ids {
		w.name += "." + strconv.FormatUint(rand.Uint64(), 36)
	}
	c.writers = append(c.writers, &w)
}

// begin has all work until their connections end, or they have nothing to do.
func (c *crew) begin(address string) {
	c.errs = make(chan error, len(c.writers))
	for _, w := range c.writers {
		c.done.Go(func() {
			may := func(n int) bool { return !c.resting.Load() && (w.most == 0 || n <= w.most) }
			err := w.work(address, may)
			answers, end := int64(-1), time.Now()
			for c.returns && err != nil && !isOdd(err) {
				if now := c.progress.acked.Load(); now > answers {
					answers, end = now, time.Now().Add(max(c.within, patience))
				}
				if time.Now().After(end) {
					break
				}
				time.Sleep(comeBack)
				err = w.work(address, may)
			}
			if c.returns && err != nil || isOdd(err) {
				c.errs <- fmt.Errorf("%s: %w", w.name, err)
			}
		})
	}
}

// wait returns when all have ended.
func (c *crew) wait(t *testing.T) {
	t.Helper()
	c.done.Wait()
	close(c.errs)
	for err := range c.errs {
		t.Error(err)
	}
	if t.Failed() {
		t.FailNow()
	}
}

// finish has all do what is left over, and nothing new.
func (c *crew) finish(t *testing.T, s *server) {
	t.Helper()
	c.resting.Store(true)
	c.begin(s.address())
	c.wait(t)
	for _, w := range c.writers {
		if w.ids && w.acked != w.sent {
			t.Fatalf("%s: %d of %d operations are answered", w.name, w.acked, w.sent)
		}
	}
}

// until returns when so many more operations are answered.
func (c *crew) until(t *testing.T, more int64) {
	t.Helper()
	goal := c.progress.acked.Load() + more
	until(t, fmt.Sprintf("%d answers", more), func() bool { return c.progress.acked.Load() >= goal })
}

// operation returns the n-th.
func (w *writer) operation(n int) operation {
	o := operation{value: w.value(n)}
	if w.ids {
		o.id = w.name + ":" + strconv.Itoa(n)
	}
	return o
}

// work sends operations over a connection of its own, until that ends, or may says
// that no further one may be begun and all are answered.
func (w *writer) work(address string, may func(n int) bool) error {
	to, err := newSender(address, w.path, w.post)
	if err != nil {
		return err
	}
	defer to.Close()
	w.came++
	next := w.sent + 1
	if w.ids {
		next = max(w.acked, 1) // the last one that is answered once more, if there is one
	}
	var waiting []int
	for {
		for len(waiting) < to.window() && (next <= w.sent || may(next)) {
			if err := w.begin(to, next); err != nil {
				return err
			}
			waiting = append(waiting, next)
			next++
		}
		if len(waiting) == 0 {
			return nil
		}
		again, err := w.take(to, waiting[0])
		if err != nil {
			return err
		}
		waiting = waiting[1:]
		for again && len(waiting) > 0 { // those behind have to wait for this one
			if _, err := w.take(to, waiting[0]); err != nil {
				return err
			}
			waiting = waiting[1:]
		}
		if again && w.ids {
			next = w.acked + 1
		}
	}
}

// begin sends an operation.
func (w *writer) begin(to sender, n int) error {
	if n > w.sent {
		if w.rest > 0 {
			time.Sleep(rand.N(2 * w.rest))
		}
		w.sent = n
		w.spans[n] = span{began: time.Now()}
		w.progress.sent.Add(1)
	}
	return to.send(w.operation(n))
}

// take reads the answer to an operation and reports whether to send it again.
func (w *writer) take(from sender, n int) (again bool, err error) {
	a, err := from.answer()
	switch {
	case err != nil:
		return false, err
	case a.ID != nil && a.ID != w.operation(n).id:
		return false, odd("the answer to %d is %s", n, a.raw)
	case a.Type == "error" && !a.Retry && !(a.Code == "unknown" && !w.ids):
		return false, odd("%d is refused: %s", n, a.raw)
	case a.Type == "error":
		w.note(n, a)
		return true, nil
	case a.Type != "reply":
		return false, odd("the answer to %d is %s", n, a.raw)
	}
	return false, w.accept(n, a)
}

// accept keeps the reply to an operation. To a repeat it must be the first one.
func (w *writer) accept(n int, a told) error {
	before, known := w.answers[n]
	switch {
	case a.Repeat && !w.ids:
		return odd("an operation without id is a repeat: %s", a.raw)
	case known && before.Type == "reply" && !a.Repeat:
		return odd("%d is counted twice: %s, %s", n, before.raw, a.raw)
	case known && before.Type == "reply" && before.first() != a.first() && !(w.many && a.Version >= before.Version):
		return odd("%d is answered with %s, then with %s", n, before.raw, a.raw)
	case w.ids && !w.mayCount(n):
		return odd("%d is counted before %d: %s", n, w.acked+1, a.raw)
	}
	if a.Repeat {
		w.repeats++
	}
	if !known || before.Type != "reply" {
		w.progress.acked.Add(1)
		w.spans[n] = span{w.spans[n].began, time.Now()}
	}
	w.note(n, a)
	for w.answers[w.acked+1].Type == "reply" {
		w.acked++
	}
	return nil
}

// mayCount reports whether an operation with an id may count: all before it have, or may
// have, as far as the client was told.
func (w *writer) mayCount(n int) bool {
	for before := w.acked + 1; before < n; before++ {
		if a := w.answers[before]; a.Type != "reply" && a.Code != "unknown" {
			return false
		}
	}
	return true
}

// note keeps the first reply, or the last refusal before one.
func (w *writer) note(n int, a told) {
	if w.answers[n].Type != "reply" {
		w.answers[n] = a
	}
}

// replies are those to all operations.
func (w *writer) replies() (all []told) {
	for _, a := range w.answers {
		if a.Type == "reply" {
			all = append(all, a)
		}
	}
	return all
}
