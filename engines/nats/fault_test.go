package nats

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
)

var today = time.Date(2030, 4, 5, 6, 7, 8, 9, time.UTC)

func key(room int) engines.Key { return engines.Key{App: "test", Room: fmt.Sprint("room ", room)} }

func value(state string) engines.Value { return engines.Value{State: []byte(state), Used: today} }

func openEngine(t testing.TB, o *Opener) *Engine {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	e, err := o.Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e.(*Engine)
}

// keeper is where words are kept: the states of rooms, or their logs.
type keeper interface {
	// add adds a word once, or certainly not if the error is ErrRefused.
	add(ctx context.Context, key engines.Key, word string) error
	// words returns all words of a room.
	words(ctx context.Context, key engines.Key) (string, error)
}

// writers have words kept, each word once, as long as a test lets them, and remember what
// became of each.
type writers struct {
	t      *testing.T
	keeper keeper
	wait   time.Duration // of a call, at most
	over   atomic.Bool
	done   atomic.Int64
	work   sync.WaitGroup

	mu    sync.Mutex
	words map[string]error // by room and word
}

const writersRooms = 4

// startWriters starts two writers a room.
func startWriters(t *testing.T, k keeper, wait time.Duration) *writers {
	w := &writers{t: t, keeper: k, wait: wait, words: make(map[string]error)}
	t.Cleanup(func() { w.over.Store(true) }) // also of a test that has failed
	for i := range 2 * writersRooms {
		w.work.Go(func() { w.write(i%writersRooms, i) })
	}
	return w
}

func (w *writers) write(room, writer int) {
	for n := 0; !w.over.Load(); n++ {
		word := fmt.Sprintf("%d.%d.%d ", room, writer, n)
		ctx, cancel := context.WithTimeout(context.Background(), w.wait)
		err := w.keeper.add(ctx, key(room), word)
		cancel()
		if err == nil {
			w.done.Add(1)
		}
		w.mu.Lock()
		w.words[word] = err
		w.mu.Unlock()
	}
}

// states keeps words in the states of rooms.
type states struct{ *Engine }

func (k states) add(ctx context.Context, key engines.Key, word string) error {
	for {
		state, rev, err := k.Load(ctx, key)
		if err != nil && !errors.Is(err, engines.ErrNotFound) {
			return fmt.Errorf("%w: loading: %w", engines.ErrRefused, err)
		}
		if _, err = k.Swap(ctx, key, rev, value(string(state)+word)); !errors.Is(err, engines.ErrConflict) {
			return err
		}
		if ctx.Err() != nil {
			return engines.ErrRefused
		}
	}
}

func (k states) words(ctx context.Context, key engines.Key) (string, error) {
	state, _, err := k.Load(ctx, key)
	return string(state), err
}

// progress waits until more words have been stored.
func (w *writers) progress() {
	w.t.Helper()
	before := w.done.Load()
	eventually(w.t, "words are stored", func() bool { return w.done.Load() >= before+50 })
}

// fail waits until each writer has failed to store another word.
func (w *writers) fail() {
	w.t.Helper()
	before := w.failed()
	eventually(w.t, "words are not stored", func() bool { return w.failed() >= before+2*writersRooms })
}

func (w *writers) failed() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.words) - int(w.done.Load())
}

// finish ends the writers and compares what is stored with what they were told.
func (w *writers) finish() {
	w.t.Helper()
	w.over.Store(true)
	w.work.Wait()
	var all strings.Builder
	for i := range writersRooms {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		words, err := w.keeper.words(ctx, key(i))
		cancel()
		if err != nil {
			w.t.Fatal(err)
		}
		all.WriteString(words)
	}
	told := [3]int{}
	for word, err := range w.words {
		switch n := strings.Count(" "+all.String(), " "+word); {
		case err == nil && n != 1:
			w.t.Errorf("%q was acknowledged and is there %d times", word, n)
		case errors.Is(err, engines.ErrRefused) && n != 0:
			w.t.Errorf("%q was refused and is there: %v", word, err)
		case n > 1:
			w.t.Errorf("%q is there %d times", word, n)
		case err == nil:
			told[0]++
		case errors.Is(err, engines.ErrRefused):
			told[1]++
		default:
			told[2]++
		}
	}
	w.t.Logf("%d stored, %d refused, %d unknown", told[0], told[1], told[2])
}

func TestAServerThatIsRestartedLosesNothing(t *testing.T) {
	n := newNode(t, serverOptions(t))
	n.start()
	e := openEngine(t, &Opener{URLs: []string{n.url()}, Bucket: newBucket()})
	w := startWriters(t, states{e}, patience)
	for range 3 {
		w.progress()
		n.stop()
		n.start()
	}
	w.progress()
	w.finish()
	if count, err := e.Count(bounded(t)); err != nil || count != writersRooms {
		t.Errorf("%d rooms, %v", count, err)
	}
}

func TestAnotherLeaderLosesNothing(t *testing.T) {
	c := startCluster(t)
	bucket := newBucket()
	e := openEngine(t, &Opener{URLs: c.urls(), Bucket: bucket})
	w := startWriters(t, states{e}, patience)
	for range 3 { // it gives up
		w.progress()
		if _, err := e.link.read(bounded(t), "$JS.API.STREAM.LEADER.STEPDOWN."+streamPrefix+bucket, nil); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // it ends
		w.progress()
		var leader *node
		eventually(t, "the bucket has a leader", func() bool { leader = c.leaderOf(bucket); return leader != nil })
		leader.stop()
		w.progress()
		leader.start()
	}
	w.progress()
	w.finish()
	if count, err := e.Count(bounded(t)); err != nil || count != writersRooms {
		t.Errorf("%d rooms, %v", count, err)
	}
}

// Two of three servers are a majority; one alone takes nothing, and what it was asked is not
// answered as if it had.
func TestAMinorityStoresNothing(t *testing.T) {
	c := startCluster(t)
	e := openEngine(t, &Opener{URLs: c[:1].urls(), Bucket: newBucket(), Replicas: 3})
	w := startWriters(t, states{e}, 2*time.Second)
	w.progress()
	c[1].stop()
	c[2].stop()
	w.fail() // until leaders have noticed
	before := w.done.Load()
	w.fail()
	if now := w.done.Load(); now != before {
		t.Errorf("%d words were stored without a majority", now-before)
	}
	c[1].start()
	c[2].start()
	w.progress()
	w.finish()
}

// What the server answers is lost for 3 s, then the connection.
func TestAcknowledgementsThatAreLost(t *testing.T) {
	s := startServer(t, serverOptions(t))
	p := newProxy(t, s.Addr().String())
	e := openEngine(t, &Opener{URLs: []string{p.url()}, Bucket: newBucket()})
	w := startWriters(t, states{e}, 10*time.Second)
	for range 2 {
		w.progress()
		p.set(func() { p.deaf = true })
		time.Sleep(3 * time.Second)
		p.set(func() { p.deaf = false })
		p.cut()
	}
	w.progress()
	w.finish()
}

func TestASlowLink(t *testing.T) {
	s := startServer(t, serverOptions(t))
	p := newProxy(t, s.Addr().String())
	p.set(func() { p.delay = 25 * time.Millisecond })
	e := openEngine(t, &Opener{URLs: []string{p.url()}, Bucket: newBucket()})
	w := startWriters(t, states{e}, patience)
	w.progress()
	w.finish()
	if keys, err := e.List(bounded(t), engines.Key{}, 10); err != nil || len(keys) != writersRooms {
		t.Errorf("%v, %v", keys, err)
	}
}

// While no server can be reached, calls wait until their context ends and are certain then.
// Nothing grows, and all goes on by itself.
func TestAServerThatIsAway(t *testing.T) {
	s := startServer(t, serverOptions(t))
	p := newProxy(t, s.Addr().String())
	e := openEngine(t, &Opener{URLs: []string{p.url()}, Bucket: newBucket()})
	rev, err := e.Swap(bounded(t), key(100), 0, value("there"))
	if err != nil {
		t.Fatal(err)
	}
	w := startWriters(t, states{e}, 200*time.Millisecond)
	w.progress()
	p.set(func() { p.shut = true })
	p.cut()
	eventually(t, "the connection is lost", func() bool { return !e.link.conn().IsConnected() })
	goroutines := runtime.NumGoroutine()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	began := time.Now()
	if _, err := e.Swap(ctx, key(100), rev, value("lost")); !errors.Is(err, engines.ErrRefused) || ctx.Err() == nil {
		t.Errorf("swapping after %v: %v", time.Since(began), err)
	}
	if _, _, err := e.Load(ctx, key(100)); err == nil || errors.Is(err, engines.ErrNotFound) {
		t.Errorf("loading: %v", err)
	}
	if _, err := e.Due(ctx, today, engines.Wake{}, 1); err == nil {
		t.Error("it looks for rooms to wake")
	}
	eventually(t, "goroutines do not grow", func() bool { return runtime.NumGoroutine() <= goroutines+10 })
	waiting := make(chan error, 1)
	go func() {
		_, err := e.Swap(bounded(t), key(100), rev, value("at last"))
		waiting <- err
	}()
	p.set(func() { p.shut = false })
	if err := receive(t, "the outcome", waiting); err != nil {
		t.Error(err)
	}
	w.finish()
}

// Close does not wait for a server that is away, and tells those who wait.
func TestCloseWhileTheServerIsAway(t *testing.T) {
	s := startServer(t, serverOptions(t))
	p := newProxy(t, s.Addr().String())
	e := openEngine(t, &Opener{URLs: []string{p.url()}, Bucket: newBucket()})
	p.set(func() { p.shut = true })
	p.cut()
	eventually(t, "the connection is lost", func() bool { return !e.link.conn().IsConnected() })
	waiting := make(chan error, 1)
	go func() {
		_, err := e.Swap(bounded(t), key(1), 0, value("x"))
		waiting <- err
	}()
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if err := receive(t, "the outcome", waiting); !errors.Is(err, engines.ErrRefused) {
		t.Error(err)
	}
}

// A Swap whose answer does not come while the engine is closed is unknown.
func TestCloseWithoutAnAnswer(t *testing.T) {
	s := startServer(t, serverOptions(t))
	p := newProxy(t, s.Addr().String())
	e := openEngine(t, &Opener{URLs: []string{p.url()}, Bucket: newBucket()})
	sent := e.link.conn().Stats().OutMsgs
	p.set(func() { p.deaf = true })
	waiting := make(chan error, 1)
	go func() {
		_, err := e.Swap(bounded(t), key(1), 0, value("x"))
		waiting <- err
	}()
	eventually(t, "it is sent", func() bool { return e.link.conn().Stats().OutMsgs > sent })
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if err := receive(t, "the outcome", waiting); err == nil || errors.Is(err, engines.ErrRefused) || errors.Is(err, engines.ErrConflict) {
		t.Error(err)
	}
}

func TestOpenWithoutAServer(t *testing.T) {
	port := freePorts(1)[0]
	o := &Opener{URLs: []string{fmt.Sprintf("nats://user:secret@127.0.0.1:%d", port)}, Bucket: newBucket()}
	_, err := o.Open(bounded(t))
	if !errors.Is(err, engines.ErrUnavailable) {
		t.Fatal(err)
	}
	if text := err.Error(); strings.Contains(text, "secret") || !strings.Contains(text, fmt.Sprint(port)) {
		t.Error(text)
	}
}

// A server without JetStream may get it.
func TestOpenWithoutJetStream(t *testing.T) {
	o := serverOptions(t)
	o.JetStream = false
	s := startServer(t, o)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := (&Opener{URLs: []string{s.ClientURL()}, Bucket: newBucket()}).Open(ctx)
	if !errors.Is(err, engines.ErrUnavailable) {
		t.Error(err)
	}
}
