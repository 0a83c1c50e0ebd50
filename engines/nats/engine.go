package nats

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/caddyws/caddy-websocket/engines"
)

const (
	// largestState bounds what a room may have, in bytes. A state is sent whole to joining
	// members, so that a larger one would help nobody.
	largestState = 1 << 20
	// headroom is what the header of a message needs at most, beside the state.
	headroom = 2 << 10
	// smallestState is what an engine has to take at least.
	smallestState = 1 << 10

	// nodeLength is how many of 32 characters name an engine: enough for the nodes of a bucket.
	nodeLength = 12

	// closeTimeout is how long Close waits for answers.
	closeTimeout = 3 * time.Second
)

// Engine is a bucket of rooms that is open.
type Engine struct {
	// Immutable.
	link     *link
	bucket   *bucket
	prefix   string // of the subjects that nodes hear each other by
	maxState int
	mark     string
	node     string // names this engine to others

	index    index
	follower follower
	hearing  *hearing
	teller   sync.WaitGroup // tells what is heard

	mu sync.Mutex
	// Guarded by mu.
	closed bool
	unfit  error // why the bucket must not be used any more; nil: it may be

	calls sync.WaitGroup // under way; added to while mu is held and closed is false
}

// newEngine returns the engine over a bucket.
func newEngine(b *bucket, prefix, mark string, maxPayload int64) (*Engine, error) {
	largest := int(min(maxPayload, largestState+headroom))
	if b.largest > 0 {
		largest = min(largest, b.largest)
	}
	if largest < smallestState+headroom {
		return nil, fmt.Errorf("messages may have %d bytes (max_payload of the server, max_msg_size of the bucket): rooms need %d", largest, smallestState+headroom)
	}
	e := &Engine{
		link:     b.link,
		bucket:   b,
		prefix:   prefix,
		maxState: largest - headroom,
		mark:     mark,
		node:     rand.Text()[:nodeLength],
		follower: follower{busy: make(semaphore, 1)},
		hearing:  newHearing(),
	}
	b.link.listen(e.hearing.lookTwice, e.hearing.resubscribe)
	e.teller.Go(e.dispatch)
	e.teller.Go(e.checkOn)
	return e, nil
}

// begin counts a call in, unless the engine is closed or the bucket is another one.
func (e *Engine) begin() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return errClosed
	case e.unfit != nil:
		return e.unfit
	}
	e.calls.Add(1)
	return nil
}

// retire has no call begin any more.
func (e *Engine) retire(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.unfit = err
}

// Load asks the stream's leader for the state of a room.
func (e *Engine) Load(ctx context.Context, key engines.Key) ([]byte, uint64, error) {
	if err := e.begin(); err != nil {
		return nil, 0, err
	}
	defer e.calls.Done()
	subject, err := subjectOf(e.bucket.rooms, key)
	if err != nil {
		return nil, 0, engines.ErrNotFound
	}
	known := e.index.has(key)
	s, err := e.bucket.get(ctx, subject)
	switch {
	case err != nil:
		return nil, 0, err
	case s.seq == 0 && known: // an operator has taken it away
		e.follower.purged.Store(true)
		return nil, 0, engines.ErrNotFound
	case s.seq == 0 || isMarker(s.head):
		return nil, 0, engines.ErrNotFound
	}
	if err := checkState(s.head, subject, s.data); err != nil {
		return nil, 0, err
	}
	return s.data, s.seq, nil
}

// Swap stores a value if rev is the room's revision.
func (e *Engine) Swap(ctx context.Context, key engines.Key, rev uint64, v engines.Value) (uint64, error) {
	if len(v.State) > e.maxState {
		return 0, engines.ErrRefused
	}
	if err := e.begin(); err != nil {
		return 0, refused(err)
	}
	defer e.calls.Done()
	subject, err := subjectOf(e.bucket.rooms, key)
	if err != nil {
		return 0, refused(err)
	}
	if e.hearing.yield(ctx, key, rev) {
		return 0, engines.ErrConflict
	}
	t, began := timesOf(v), time.Now()
	now, err := e.bucket.put(ctx, subject, rev, e.header(t, subject, v.State), v.State)
	if rev == 0 && errors.Is(err, engines.ErrConflict) {
		now, err = e.createAgain(ctx, subject, t, v.State)
	}
	if err == nil {
		e.index.put(key, now, t)
	}
	if need := e.hearing.note(key, errors.Is(err, engines.ErrConflict), time.Since(began)); need > 0 {
		e.askForTurn(key, need)
	}
	return now, err
}

// header returns the header of a record that this engine writes.
func (e *Engine) header(t times, subject string, state []byte) nats.Header {
	h := t.header(subject, state)
	h[nodeHeader] = []string{e.node}
	return h
}

// createAgain stores a value in place of a marker, which may vanish meanwhile. Another marker
// than the first one is of a room that was there meanwhile: so the value comes too late.
func (e *Engine) createAgain(ctx context.Context, subject string, t times, state []byte) (uint64, error) {
	var first uint64
	for i := range 3 {
		s, err := e.bucket.get(ctx, subject)
		if i == 0 {
			first = s.seq
		}
		switch {
		case err != nil: // what was tried so far certainly failed
			return 0, refused(err)
		case s.seq != 0 && !isMarker(s.head):
			if err := checkState(s.head, subject, s.data); err != nil {
				return 0, refused(err)
			}
			return 0, engines.ErrConflict
		case s.seq != 0 && s.seq != first:
			return 0, engines.ErrConflict
		}
		now, err := e.bucket.put(ctx, subject, s.seq, e.header(t, subject, state), state)
		if !errors.Is(err, engines.ErrConflict) {
			return now, err
		}
	}
	return 0, engines.ErrConflict
}

// Delete puts a marker in the place of a room if rev is its revision.
func (e *Engine) Delete(ctx context.Context, key engines.Key, rev uint64) error {
	if err := e.begin(); err != nil {
		return refused(err)
	}
	defer e.calls.Done()
	subject, err := subjectOf(e.bucket.rooms, key)
	if err != nil {
		return engines.ErrNotFound
	}
	now, err := uint64(0), engines.ErrConflict
	if rev != 0 {
		h := nats.Header{nodeHeader: {e.node}, markerHeader: {markerValue}, ttlHeader: {markerLife.String()}}
		now, err = e.bucket.put(ctx, subject, rev, h, nil)
	}
	switch {
	case err == nil:
		e.index.drop(key, now)
	case errors.Is(err, engines.ErrConflict):
		return e.whyNot(ctx, subject)
	}
	return err
}

// whyNot returns why a room could not be deleted: it is another one, or there is none.
func (e *Engine) whyNot(ctx context.Context, subject string) error {
	s, err := e.bucket.get(ctx, subject)
	switch {
	case err != nil:
		return engines.ErrConflict
	case s.seq == 0 || isMarker(s.head):
		return engines.ErrNotFound
	}
	return engines.ErrConflict
}

// MaxState is 1 MiB, or less if the server's max_payload or the bucket's max_msg_size are.
func (e *Engine) MaxState() int { return e.maxState }

// Mark is another one when a backup of the bucket was restored. A restoring within an hour
// after the bucket was created is not noticed.
func (e *Engine) Mark() string { return e.mark }

// Close waits for answers that are due, but not for servers that are away.
func (e *Engine) Close() error {
	e.mu.Lock()
	was := e.closed
	e.closed = true
	e.mu.Unlock()
	if was {
		return nil
	}
	e.link.end() // nothing more is sent, or told
	answered := make(chan struct{})
	go func() {
		e.calls.Wait()
		close(answered)
	}()
	t := time.NewTimer(closeTimeout)
	defer t.Stop()
	select {
	case <-answered:
	case <-t.C:
	}
	e.link.close() // ends what still waits
	<-answered
	e.teller.Wait()
	return nil
}

// Interface guards
var (
	_ engines.Engine = (*Engine)(nil)
	_ engines.Marked = (*Engine)(nil)
	_ engines.Shared = (*Engine)(nil)
)
