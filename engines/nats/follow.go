package nats

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/engines"
)

const (
	// readPage is how many headers are asked for at once.
	readPage = 1000
	// consumerLife is for how long a consumer is kept that nobody asks.
	consumerLife = time.Minute
	// lagLimit is how long a message is waited for that the leader has and the consumer's
	// server has not. Then a consumer is made anew, perhaps on another server.
	lagLimit = 2 * time.Second
	lagPause = 10 * time.Millisecond // which grows

	// staleAfter is when an index has to be read anew, since it may have missed markers.
	staleAfter = markerLife / 2
)

// follower reads the headers of a stream into an index.
type follower struct {
	busy semaphore // held by the one that reads

	// Owned by the one that reads.
	consumer jetstream.Consumer // nil: there is none
	read     uint64             // how many messages it has sent here
	fresh    time.Time          // the index has missed no marker that was there then, or later

	purged atomic.Bool // a room of the index is not there
}

// follow brings the index up to date: with all that the stream's leader had when it was
// called.
func (e *Engine) follow(ctx context.Context) error {
	f := &e.follower
	if err := f.busy.acquire(ctx); err != nil {
		return err
	}
	defer f.busy.release()
	began := time.Now().Round(0) // the clock on the wall goes on while a machine sleeps
	known := e.index.count()
	now, err := e.bucket.extent(ctx)
	if err != nil {
		if errors.Is(err, errReplaced) {
			e.retire(err)
		}
		return fmt.Errorf("asking NATS for the state of the bucket: %w", err)
	}
	purged := f.purged.Swap(false) || now.Messages < known
	if position := e.index.position(); now.Last < position {
		logger().Error("NATS has lost the newest changes of rooms: its servers were restored, or have lost what they had acknowledged",
			zap.String("bucket", e.bucket.name), zap.Uint64("sequence", now.Last), zap.Uint64("was", position))
		purged = true
		for _, key := range e.hearing.forget(now.Last) {
			e.announceLossOf(key)
		}
	}
	if purged || began.Sub(f.fresh) > staleAfter { // or nothing was read yet
		e.index.reset()
		f.consumer = nil // which is where it must not begin
		f.fresh = began  // a call that follows goes on where this one ends
	}
	if err := e.readTo(ctx, now.Last); err != nil {
		return fmt.Errorf("reading the index of rooms from NATS: %w", err)
	}
	f.fresh = began
	return nil
}

// readTo reads the stream up to a sequence, which the leader has. Only what was read is
// passed over: the server that sends it may lag behind, or its answer may be lost.
func (e *Engine) readTo(ctx context.Context, last uint64) error {
	for lag := newLag(); e.index.position() < last; {
		n, err := e.readPage(ctx)
		switch {
		case err != nil:
			e.follower.consumer = nil
			if !isInterrupted(err) || !e.link.wait(ctx, e.link.returning(), shortestPause) {
				return err
			}
		case n > 0:
			lag = newLag()
		default:
			if over, err := e.isRead(ctx, last); over || err != nil {
				return err
			}
			if !e.link.wait(ctx, nil, lag.grow()) {
				return e.link.ended(ctx)
			}
			if lag.isLong() {
				lag, e.follower.consumer = newLag(), nil
			}
		}
	}
	return nil
}

// isRead reports whether the leader has nothing up to a sequence that was not read. The
// newest messages may have vanished: markers at the end of their lives.
func (e *Engine) isRead(ctx context.Context, last uint64) (bool, error) {
	next, err := e.bucket.next(ctx, e.index.position())
	return err == nil && (next == 0 || next > last), err
}

// lag is how long there was nothing to read.
type lag struct {
	since time.Time
	pause time.Duration
}

func newLag() lag { return lag{time.Now(), lagPause} }

// grow returns how long to wait before the next look.
func (l *lag) grow() time.Duration {
	pause := l.pause
	l.pause = min(2*pause, longestPause)
	return pause
}

func (l *lag) isLong() bool { return time.Since(l.since) > lagLimit }

// errGap is of messages that were sent but did not arrive.
var errGap = errors.New("messages were lost on their way")

// isInterrupted reports whether reading may go on with another consumer, or connection: unless
// JetStream has refused it for good.
func isInterrupted(err error) bool {
	api := new(jetstream.APIError)
	return !errors.As(err, &api) || api.Code >= 500 || api.ErrorCode == jetstream.JSErrCodeConsumerNotFound
}

// readPage reads the next messages, and returns how many there were.
func (e *Engine) readPage(ctx context.Context) (n int, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	if !e.link.conn().IsConnected() { // else the client would remember each try
		return 0, errAway
	}
	consumer, err := e.reader(ctx)
	if err != nil {
		return 0, err
	}
	batch, err := consumer.FetchNoWait(readPage)
	if err != nil {
		return 0, err
	}
	var last uint64
	for {
		select {
		case m, more := <-batch.Messages():
			if !more {
				e.index.advance(last)
				return n, batch.Error()
			}
			n++
			if last, err = e.enter(m); err != nil {
				return n, err
			}
		case <-ctx.Done():
			return n, ctx.Err()
		}
	}
}

// reader returns the consumer that goes on behind what is known.
func (e *Engine) reader(ctx context.Context) (jetstream.Consumer, error) {
	f := &e.follower
	if f.consumer != nil {
		return f.consumer, nil
	}
	js, err := jetstream.New(e.link.conn())
	if err != nil {
		return nil, err
	}
	f.read = 0
	f.consumer, err = js.CreateConsumer(ctx, e.bucket.name, jetstream.ConsumerConfig{
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       e.index.position() + 1,
		AckPolicy:         jetstream.AckNonePolicy,
		HeadersOnly:       true,
		MemoryStorage:     true,
		Replicas:          1,
		InactiveThreshold: consumerLife,
	})
	return f.consumer, err
}

// enter enters what a message says into the index, and returns its sequence. What is no
// room's is passed over.
func (e *Engine) enter(m jetstream.Msg) (uint64, error) {
	meta, err := m.Metadata()
	if err != nil {
		return 0, err
	}
	if e.follower.read++; meta.Sequence.Consumer != e.follower.read {
		return 0, errGap
	}
	seq := meta.Sequence.Stream
	key, ok := keyOf(e.bucket.rooms, m.Subject())
	if !ok {
		return seq, nil
	}
	if isMarker(m.Headers()) {
		e.index.drop(key, seq)
	} else if t, _, err := parseHeader(m.Headers()); err == nil {
		e.index.put(key, seq, t)
	}
	return seq, nil
}

// ask brings the index up to date for a call.
func (e *Engine) ask(ctx context.Context) error {
	if err := e.begin(); err != nil {
		return err
	}
	defer e.calls.Done()
	return e.follow(ctx)
}

// List returns up to n keys after the given one.
func (e *Engine) List(ctx context.Context, after engines.Key, n int) ([]engines.Key, error) {
	if err := e.ask(ctx); err != nil {
		return nil, err
	}
	return e.index.list(after, n), nil
}

// Count returns how many rooms there are.
func (e *Engine) Count(ctx context.Context) (int, error) {
	if err := e.ask(ctx); err != nil {
		return 0, err
	}
	return e.index.count(), nil
}

// Unused returns up to n rooms that were last used before a time.
func (e *Engine) Unused(ctx context.Context, before time.Time, after engines.Use, n int) ([]engines.Use, error) {
	if err := e.ask(ctx); err != nil {
		return nil, err
	}
	return e.index.unused(before, after, n), nil
}

// Due returns up to n rooms whose wake is before a time.
func (e *Engine) Due(ctx context.Context, before time.Time, after engines.Wake, n int) ([]engines.Wake, error) {
	if err := e.ask(ctx); err != nil {
		return nil, err
	}
	return e.index.due(before, after, n), nil
}

// semaphore admits one goroutine. Others can give up waiting.
type semaphore chan struct{}

func (s semaphore) acquire(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s semaphore) release() { <-s }
