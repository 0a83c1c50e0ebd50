package nats

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
)

// How often a call is tried again when others change the log meanwhile.
const (
	appendTries = 5
	readTries   = 5
)

// Append publishes entries as one message, if the newest one of the log is that at whose end
// they belong.
func (e *Engine) Append(ctx context.Context, key engines.Key, epoch string, after uint64, entries [][]byte) (last uint64, err error) {
	size := 0
	for _, entry := range entries {
		size += len(entry)
	}
	if len(entries) == 0 || len(entries) > engines.MaxEntries || size > e.maxState {
		return 0, engines.ErrRefused
	}
	if err := e.begin(); err != nil {
		return 0, refused(err)
	}
	defer e.calls.Done()
	subject, err := e.logs.subject(key, epoch)
	if err != nil {
		return 0, refused(err)
	}
	e.hearing.yield(ctx, key, 0) // an append does not come too late by a change
	began := time.Now()
	err = e.appendTo(ctx, subject, key, epoch, after, entries)
	if err == nil {
		last = after + uint64(len(entries))
		e.hearing.keep(key, subject, last)
		e.hearing.knowAppended(key, epoch, last)
	}
	e.contend(key, err, began)
	return last, err
}

// appendTo stores entries. While others trim the log its newest batch changes, but not the
// last position.
func (e *Engine) appendTo(ctx context.Context, subject string, key engines.Key, epoch string, after uint64, entries [][]byte) error {
	newest := e.known.newest(subject)
	for range appendTries {
		if newest.seq == 0 || newest.last() != after {
			var err error
			if newest, err = e.behind(ctx, subject, key, epoch, after); err != nil {
				return err
			}
		}
		b := newest.then(max(newest.oldest, 1), entries)
		var err error
		b.seq, err = e.logs.put(ctx, subject, newest.seq, b.header(subject, e.node), b.data)
		if err == nil {
			e.known.note(subject, b)
		}
		if !errors.Is(err, engines.ErrConflict) {
			return err
		}
		newest = batch{}
	}
	return engines.ErrConflict
}

// newest asks the stream's leader for the newest batch of a log. One that is known to be newer
// the stream has lost.
func (e *Engine) newest(ctx context.Context, subject string) (batch, error) {
	known := e.known.newest(subject)
	newest, err := e.logs.newest(ctx, subject)
	if err == nil && newest.seq < known.seq {
		e.known.forget(subject)
	}
	return newest, err
}

// behind returns the newest batch of a log if it ends at a position, else the error is an
// ErrConflict. Nothing is stored: any other error is an ErrRefused.
func (e *Engine) behind(ctx context.Context, subject string, key engines.Key, epoch string, last uint64) (batch, error) {
	newest, err := e.newest(ctx, subject)
	switch {
	case err != nil:
		return batch{}, refused(err)
	case newest.last() != last:
		return batch{}, engines.ErrConflict
	case newest.seq == 0:
		return batch{}, e.beginLog(ctx, key, epoch)
	}
	return newest, nil
}

// beginLog returns an error unless a room is stored with an epoch. It then removes what a
// deletion that was cut off has left of former lives.
func (e *Engine) beginLog(ctx context.Context, key engines.Key, epoch string) error {
	for {
		left, err := e.logs.left(ctx, key)
		if err == nil {
			err = e.expectEpoch(ctx, key, epoch) // as of later: so what is left is of former lives
		}
		own, _ := e.logs.subject(key, epoch)
		switch {
		case errors.Is(err, engines.ErrConflict):
			return engines.ErrConflict
		case err != nil:
			return refused(err)
		case left == "" || left == own:
			return nil
		}
		if err := e.logs.purge(ctx, left, 0); err != nil {
			return refused(err)
		}
		e.known.forget(left)
	}
}

// expectEpoch returns an ErrConflict unless a room is stored with an epoch.
func (e *Engine) expectEpoch(ctx context.Context, key engines.Key, epoch string) error {
	subject, err := subjectOf(e.bucket.rooms, key)
	if err != nil {
		return err
	}
	s, err := e.bucket.get(ctx, subject)
	if err == nil && (s.seq == 0 || isMarker(s.head) || s.head.Get(epochHeader) != epochToken(epoch)) {
		err = engines.ErrConflict
	}
	return err
}

// Read asks the leader for the newest message of the log, and any server for those before it.
func (e *Engine) Read(ctx context.Context, key engines.Key, epoch string, after uint64, n int) (entries [][]byte, first, last uint64, err error) {
	if err := e.begin(); err != nil {
		return nil, 0, 0, err
	}
	defer e.calls.Done()
	subject, err := e.logs.subject(key, epoch)
	if err != nil {
		return nil, 1, 0, nil
	}
	least := uint64(0)
	for range readTries {
		entries, first, last, err = e.read(ctx, key, subject, least, after, n)
		if !errors.Is(err, errMoved) {
			break
		}
		e.known.forget(subject)
		var failed error
		if least, failed = e.logs.first(ctx, subject); failed != nil {
			err = failed
			break
		}
	}
	if err != nil {
		return nil, 0, 0, fmt.Errorf("reading messages of %q of %s: %w", key.Room, key.App, err)
	}
	return entries, first, last, nil
}

// read is Read for a log that has nothing before a position, whatever its newest batch says.
func (e *Engine) read(ctx context.Context, key engines.Key, subject string, least, after uint64, n int) (entries [][]byte, first, last uint64, err error) {
	newest, err := e.newest(ctx, subject)
	if err != nil {
		return nil, 0, 0, err
	}
	e.hearing.keep(key, subject, newest.last()) // one that is empty, too: others may begin it
	if newest.seq == 0 {
		return nil, 1, 0, nil
	}
	e.known.note(subject, newest)
	first, last = max(newest.oldest, least), newest.last()
	p := page{next: max(min(after, last)+1, first), last: last, limit: n}
	switch {
	case p.isFull():
	case p.next >= newest.first:
		err = p.add(&newest)
	default:
		err = e.fill(ctx, subject, &p, &newest)
	}
	return p.entries, first, last, err
}

// Trim publishes what is the oldest position from now on, and then purges the messages that
// have nothing from there on. Entries of one message go together. In a stream that is full it
// purges first: who reads before the rest is done finds out by what is there.
func (e *Engine) Trim(ctx context.Context, key engines.Key, epoch string, upTo uint64) error {
	if err := e.begin(); err != nil {
		return err
	}
	defer e.calls.Done()
	subject, err := e.logs.subject(key, epoch)
	if err != nil {
		return nil
	}
	newest, err := e.trim(ctx, subject, upTo)
	if errors.Is(err, engines.ErrRefused) && !errors.Is(err, errUnsent) {
		if newest, err = e.newest(ctx, subject); err == nil {
			err = e.purge(ctx, subject, min(upTo, newest.last())+1, &newest)
		}
		if err == nil {
			newest, err = e.trim(ctx, subject, upTo)
		}
	}
	if err != nil || newest.seq == 0 {
		return err
	}
	return e.purge(ctx, subject, newest.oldest, &newest)
}

// purge removes the messages of a log that have nothing from a position on. The newest stays.
func (e *Engine) purge(ctx context.Context, subject string, position uint64, newest *batch) error {
	places, err := e.locate(ctx, subject, position, newest)
	if err != nil {
		return err
	}
	return e.logs.purge(ctx, subject, places[0].seq)
}

// trim publishes what is the oldest position, again while others are faster. If it is not new
// the sequence is 0.
func (e *Engine) trim(ctx context.Context, subject string, upTo uint64) (batch, error) {
	for {
		newest, err := e.newest(ctx, subject)
		if err != nil || newest.seq == 0 || min(upTo, newest.last()) < newest.oldest {
			return batch{}, err
		}
		b := newest.then(min(upTo, newest.last())+1, nil)
		b.seq, err = e.logs.put(ctx, subject, newest.seq, b.header(subject, e.node), b.data)
		if err == nil {
			e.known.note(subject, b)
			return b, nil
		}
		if !errors.Is(err, engines.ErrConflict) || e.link.ended(ctx) != nil {
			return batch{}, err
		}
	}
}
