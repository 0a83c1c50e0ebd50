package bolt

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/caddyws/caddy-websocket/engines"
)

// A transaction takes what waits, in order, within its bounds.
func TestQueue(t *testing.T) {
	q := newQueue()
	var all []*request
	for range maxRequests + 10 {
		r := new(request)
		all = append(all, r)
		if !q.add(r) {
			t.Fatal("it is closed")
		}
	}
	if !q.withdraw(all[1]) || q.withdraw(all[1]) {
		t.Error("withdrawing")
	}
	batch := q.take()
	if len(batch) != maxRequests || batch[0] != all[0] || batch[1] != all[2] {
		t.Errorf("%d are taken", len(batch))
	}
	if q.withdraw(batch[0]) {
		t.Error("what is taken can be withdrawn")
	}
	if batch = q.take(); len(batch) != 9 {
		t.Errorf("%d are left", len(batch))
	}
	for _, size := range []int{maxBytes / 2, maxBytes / 2, 1, 2 * maxBytes, 1} {
		q.add(&request{size: size})
	}
	if !q.close() || q.close() || q.add(new(request)) {
		t.Error("closing")
	}
	for _, want := range []int{2, 1, 1, 1, 0, 0} {
		if batch := q.take(); len(batch) != want {
			t.Errorf("%d are taken, want %d", len(batch), want)
		}
	}
}

// Requests of goroutines that are ready to run at the same time are taken together,
// although the first one wakes the committer.
func TestQueueGathers(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const rounds, hands = 20, 16
	q := newQueue()
	takes := 0
	for range rounds {
		start := make(chan struct{})
		for range hands {
			go func() {
				<-start
				q.add(new(request))
			}()
		}
		runtime.Gosched() // they wait for start now
		close(start)
		for taken := 0; taken < hands; takes++ {
			taken += len(q.take())
		}
	}
	if takes > rounds*hands/4 {
		t.Errorf("%d requests took %d transactions", rounds*hands, takes)
	}
}

// occupy has the committer wait until the returned function is called.
func occupy(t *testing.T, e *Engine) (release func()) {
	t.Helper()
	begun, wait := make(chan struct{}), make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = e.request(context.Background(), 0, func(*tables) (uint64, error) {
			close(begun)
			<-wait
			return 0, nil
		})
	}()
	<-begun
	return func() { close(wait); <-done }
}

// All that waits while a transaction is under way is one transaction.
func TestWaitingSwapsAreOneTransaction(t *testing.T) {
	e := openEngine(t, temporary(t))
	release := occupy(t, e)
	const rooms = 50
	done := make(chan error, rooms)
	for i := range rooms {
		go func() {
			_, err := e.Swap(context.Background(), key(i), 0, value("x"))
			done <- err
		}()
	}
	waiting := func() int {
		e.queue.mu.Lock()
		defer e.queue.mu.Unlock()
		return len(e.queue.waiting)
	}
	for waiting() < rooms {
		if t.Context().Err() != nil {
			t.Fatal("they do not wait")
		}
	}
	before := e.file.txids(t)
	release()
	for range rooms {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n := e.file.txids(t) - before; n != 1 {
		t.Errorf("%d transactions", n)
	}
}

// txids returns the number of the newest transaction.
func (f *file) txids(t *testing.T) (n int) {
	t.Helper()
	tx, err := f.begin(false)
	if err != nil {
		t.Fatal(err)
	}
	defer f.rollback(tx)
	return tx.ID()
}

// A context that ends while a Swap waits for its turn: nothing is stored.
func TestContextEndsBeforeItsTurn(t *testing.T) {
	e := openEngine(t, temporary(t))
	release := occupy(t, e)
	ctx, cancel := context.WithCancel(t.Context())
	go cancel()
	if _, err := e.Swap(ctx, key(0), 0, value("x")); !errors.Is(err, engines.ErrRefused) || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	release()
	if _, _, err := e.Load(t.Context(), key(0)); !errors.Is(err, engines.ErrNotFound) {
		t.Error(err)
	}
}

// A context that ends after that: the outcome is unknown to the caller, and the Swap is
// done.
func TestContextEndsInItsTurn(t *testing.T) {
	e := openEngine(t, temporary(t))
	release := occupy(t, e)
	ctx, cancel := context.WithCancel(t.Context())
	taken, wait := make(chan struct{}), make(chan struct{})
	go func() {
		<-taken
		cancel()
	}()
	go release()
	_, err := e.request(ctx, 0, func(tb *tables) (uint64, error) {
		close(taken)
		<-wait
		k, _ := encodeKey(key(0))
		p, sum := encodeValue(k, value("x"))
		return tb.swap(k, 0, p, sum)
	})
	if !errors.Is(err, context.Canceled) || isAnswer(err) {
		t.Errorf("%v is not unknown", err)
	}
	close(wait)
	swap(t, e, key(1), 0, "next") // in its turn
	expect(t, e, key(0), "x")
}

// While the disk does not answer, readers wait, but not longer than they want to.
func TestReadersWaitForACommit(t *testing.T) {
	e := openEngine(t, temporary(t))
	swap(t, e, key(0), 0, "x")
	e.exclude()
	ctx, cancel := context.WithCancel(t.Context())
	go cancel()
	if _, _, err := e.Load(ctx, key(0)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	loaded := make(chan error)
	go func() {
		_, _, err := e.Load(context.Background(), key(0))
		loaded <- err
	}()
	e.admit()
	if err := <-loaded; err != nil {
		t.Error(err)
	}
}

// Close commits what waits.
func TestCloseCommitsWhatWaits(t *testing.T) {
	path := temporary(t)
	e := openEngine(t, path)
	release := occupy(t, e)
	done := make(chan error)
	go func() {
		_, err := e.Swap(context.Background(), key(0), 0, value("x"))
		done <- err
	}()
	for waits := false; !waits; {
		e.queue.mu.Lock()
		waits = len(e.queue.waiting) == 1
		e.queue.mu.Unlock()
	}
	go release()
	closeEngine(t, e)
	if err := <-done; err != nil {
		t.Error(err)
	}
	expect(t, openEngine(t, path), key(0), "x")
}

// Names that cannot be a key are refused, and there is nothing under them.
func TestNamesThatAreNoKeys(t *testing.T) {
	e := openEngine(t, temporary(t))
	for _, key := range []engines.Key{{App: "a\x00b", Room: "c"}, {App: "a", Room: strings.Repeat("x", maxKey)}} {
		if _, err := e.Swap(t.Context(), key, 0, value("x")); !errors.Is(err, engines.ErrRefused) {
			t.Error(err)
		}
		if _, _, err := e.Load(t.Context(), key); !errors.Is(err, engines.ErrNotFound) {
			t.Error(err)
		}
		if err := e.Delete(t.Context(), key, 1); !errors.Is(err, engines.ErrNotFound) {
			t.Error(err)
		}
	}
}
