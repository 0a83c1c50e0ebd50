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
	// headroom is what a message needs at most beside a state, or beside the entries of a
	// batch: a header, and three bytes an entry.
	headroom = 16 << 10
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
	logs     *logs
	prefix   string // of the subjects that nodes hear each other by
	maxState int
	mark     string
	node     string // names this engine to others

	index    index
	known    known
	follower follower
	hearing  *hearing
	teller   sync.WaitGroup // tells what is heard
	logSeen  uint64         // how far the stream of the logs went when all of them were looked up; owned by checkOn

	mu sync.Mutex
	// Guarded by mu.
	closed bool
	unfit  error // why the bucket must not be used any more; nil: it may be

	calls sync.WaitGroup // under way; added to while mu is held and closed is false
}

// newEngine returns the engine over a bucket and its logs.
func newEngine(b *bucket, logs *logs, prefix, mark string, maxPayload int64) (*Engine, error) {
	largest := int(min(maxPayload, largestState+headroom))
	for _, s := range []*stream{b.stream, logs.stream} {
		if s.largest > 0 {
			largest = min(largest, s.largest)
		}
	}
	if largest < smallestState+headroom {
		return nil, fmt.Errorf("messages may have %d bytes (max_payload of the server, max_msg_size of the bucket and its log): rooms need %d", largest, smallestState+headroom)
	}
	e := &Engine{
		link:     b.link,
		bucket:   b,
		logs:     logs,
		prefix:   prefix,
		maxState: largest - headroom,
		mark:     mark,
		node:     rand.Text()[:nodeLength],
		follower: follower{busy: make(semaphore, 1)},
		hearing:  newHearing(),
	}
	b.link.listen(e.hearing.lookTwice, e.hearing.resubscribe, e.hearing.noteCut)
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
	began := time.Now()
	now, err := e.bucket.put(ctx, subject, rev, e.header(subject, v), v.State)
	if rev == 0 && errors.Is(err, engines.ErrConflict) {
		now, err = e.createAgain(ctx, subject, v)
	}
	if err == nil {
		e.index.put(key, now, timesOf(v))
	}
	e.contend(key, err, began)
	return now, err
}

// contend asks the other nodes for a turn if this one was beaten again and again.
func (e *Engine) contend(key engines.Key, outcome error, began time.Time) {
	if need := e.hearing.note(key, errors.Is(outcome, engines.ErrConflict), time.Since(began)); need > 0 {
		e.askForTurn(key, need)
	}
}

// header returns the header of a record that this engine writes.
func (e *Engine) header(subject string, v engines.Value) nats.Header {
	h := timesOf(v).header(subject, v.State)
	h[nodeHeader] = []string{e.node}
	if v.Epoch != "" {
		h[epochHeader] = []string{epochToken(v.Epoch)}
	}
	return h
}

// createAgain stores a value in place of a marker, which may vanish meanwhile. Another marker
// than the first one is of a room that was there meanwhile: so the value comes too late.
func (e *Engine) createAgain(ctx context.Context, subject string, v engines.Value) (uint64, error) {
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
		now, err := e.bucket.put(ctx, subject, s.seq, e.header(subject, v), v.State)
		if !errors.Is(err, engines.ErrConflict) {
			return now, err
		}
	}
	return 0, engines.ErrConflict
}

// Delete puts a marker in the place of a room if rev is its revision, and then removes its
// log. Both name the epoch: so the log of another life is never removed, and if the second step
// is cut off the next Delete does it.
func (e *Engine) Delete(ctx context.Context, key engines.Key, rev uint64) error {
	if err := e.begin(); err != nil {
		return refused(err)
	}
	defer e.calls.Done()
	subject, err := subjectOf(e.bucket.rooms, key)
	if err != nil {
		return engines.ErrNotFound
	}
	s, err := e.bucket.get(ctx, subject)
	switch {
	case err != nil:
		return refused(err)
	case s.seq == 0:
		return engines.ErrNotFound
	case isMarker(s.head):
		_ = e.purgeLog(ctx, key, s.head.Get(epochHeader))
		return engines.ErrNotFound
	case s.seq != rev:
		return engines.ErrConflict
	}
	epoch := s.head[epochHeader]
	h := nats.Header{nodeHeader: {e.node}, markerHeader: {markerValue}, ttlHeader: {markerLife.String()}}
	if epoch != nil {
		h[epochHeader] = epoch
	}
	now, err := e.bucket.put(ctx, subject, rev, h, nil)
	if err != nil {
		return err
	}
	e.index.drop(key, now)
	if err := e.purgeLog(ctx, key, h.Get(epochHeader)); err != nil {
		return fmt.Errorf("the room is deleted, but perhaps not its messages: %w", err)
	}
	return nil
}

// purgeLog removes the log of a room whose epoch is told by a token, if there is one.
func (e *Engine) purgeLog(ctx context.Context, key engines.Key, token string) error {
	if token == "" {
		return nil
	}
	room, err := subjectOf(e.logs.rooms, key)
	if err != nil {
		return err
	}
	subject := room + "." + token
	defer e.known.forget(subject)
	return e.logs.purge(ctx, subject, 0)
}

// MaxState is 1 MiB, or less if the server's max_payload or a stream's max_msg_size are.
func (e *Engine) MaxState() int { return e.maxState }

// Mark is another one when a backup of the bucket or its log was restored. A restoring within
// an hour after it was created is not noticed.
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
	_ engines.Log    = (*Engine)(nil)
	_ engines.Marked = (*Engine)(nil)
	_ engines.Shared = (*Engine)(nil)
)
