package replica

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
)

// Limit bounds how many rooms are stored. Its methods may be called by replicas of
// different rooms at the same time.
type Limit interface {
	// Reserve counts one more room. The error is ErrTooManyRooms if that is one
	// too many, else why the stored rooms could not be counted.
	Reserve(ctx context.Context) error
	// Release takes one room back.
	Release()
	// Recount has the stored rooms counted again, since it is not known whether
	// one is stored.
	Recount()
}

// Store is where the replicas of all rooms are kept, as one process has it. Its fields
// are not changed once replicas use it. It may be used concurrently.
type Store struct {
	Engine engines.Engine
	Log    engines.Log // the engine's; nil if it keeps no messages
	Limit  Limit
	// Mark tells a copy of the stored rooms, restored from a backup, from those
	// that it is a copy of. Every epoch that is shown depends on it, so that a
	// point seen before is never taken for one in the copy. Empty: no copy.
	Mark string
	// Now is the machine's clock. Default: time.Now.
	Now func() time.Time

	// Failed is told of each call of the engine that has failed, by the name of the
	// operation. It may be nil.
	Failed func(operation string)

	epochs   epochs
	process  process
	visitors readers // read messages for visitors
	folders  readers // read those of whole rooms, and in their turns, which visitors must not hold up
	trimmers readers // find those that are to be removed
}

// Clock returns what the machine's clock shows.
func (s *Store) Clock() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

// read returns what is stored of a room. Of one that is not stored it returns the
// envelope that it begins with, and revision 0.
func (s *Store) read(ctx context.Context, key engines.Key) (stored envelope, rev uint64, err error) {
	defer recovered(&err)
	p, rev, err := s.Engine.Load(ctx, key)
	s.note("load", err)
	if errors.Is(err, engines.ErrNotFound) {
		return envelope{epoch: s.epochs.of(key)}, 0, nil
	}
	if err != nil {
		return envelope{}, 0, fmt.Errorf("loading room: %w", err)
	}
	if stored, err = parseEnvelope(p); err != nil {
		return envelope{}, rev, unreadable{err}
	}
	return stored, rev, nil
}

// unreadable is why what is stored cannot be read, however often it is tried.
type unreadable struct{ error }

func (u unreadable) Unwrap() error { return u.error }

// RouteOf returns the name of the route that has last stored a room; empty if that is
// not known.
func (s *Store) RouteOf(ctx context.Context, key engines.Key) (string, error) {
	found, _, err := s.read(ctx, key)
	return found.route, err
}

// swap stores the value of a room over that at a revision. A panic is an error like
// any other that leaves open whether it did.
func (s *Store) swap(ctx context.Context, key engines.Key, rev uint64, v engines.Value) (next uint64, err error) {
	defer func() { s.note("swap", err) }()
	defer recovered(&err)
	return s.Engine.Swap(ctx, key, rev, v)
}

// append adds entries to the log of a room. A panic is an error like any other that leaves
// open whether it did.
func (s *Store) append(ctx context.Context, key engines.Key, epoch string, after uint64, entries [][]byte) (err error) {
	defer func() { s.note("append", err) }()
	defer recovered(&err)
	_, err = s.Log.Append(ctx, key, epoch, after, entries)
	return err
}

// ErrNoLog is of an engine that does not keep messages.
var ErrNoLog = errors.New("the engine keeps no messages: the option history needs one that does")

// readLog returns entries of the log of a room; see engines.Log.
func (s *Store) readLog(ctx context.Context, key engines.Key, epoch string, after uint64, n int) (entries [][]byte, first, last uint64, err error) {
	if s.Log == nil {
		return nil, 0, 0, ErrNoLog
	}
	defer func() { s.note("read", err) }()
	defer recovered(&err)
	if entries, first, last, err = s.Log.Read(ctx, key, epoch, after, n); err != nil {
		err = fmt.Errorf("reading messages: %w", err)
	}
	return entries, first, last, err
}

// trim removes the entries of a log up to a version.
func (s *Store) trim(ctx context.Context, key engines.Key, epoch string, upTo uint64) (err error) {
	defer func() { s.note("trim", err) }()
	defer recovered(&err)
	return s.Log.Trim(ctx, key, epoch, upTo)
}

// note tells of a call of the engine if it has failed.
func (s *Store) note(operation string, err error) {
	if err == nil || s.Failed == nil || errors.Is(err, engines.ErrNotFound) || errors.Is(err, engines.ErrConflict) || errors.Is(err, context.Canceled) {
		return
	}
	s.Failed(operation)
}

// shown returns an epoch as clients see it. What is stored does not depend on the mark.
func (s *Store) shown(epoch string) string {
	if s.Mark == "" {
		return epoch
	}
	sum := sha256.Sum256([]byte(epoch + s.Mark)) // epochs have one size
	return base32.StdEncoding.EncodeToString(sum[:8])[:epochSize]
}
