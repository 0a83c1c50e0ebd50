package replica

import (
	"context"
	"fmt"
	"sync"
)

// Messages that a process has missed may be many, in many rooms at once, as when the engine was
// away. So what is held of them in memory is bounded: those of a room in all its reads by
// maxFresh, and how many rooms and visitors read at once.

const (
	// maxFresh is how many bytes of messages that other processes have stored are returned by
	// Fresh. If there are more, Fresh returns none, and members read them from Past.
	maxFresh = 1 << 20

	// maxReaders is how many goroutines may read messages of rooms for visitors at once, as
	// many for rooms themselves, and as many to remove old ones, each a MiB or two.
	maxReaders = 64
)

// readers admits goroutines that read messages. Its zero value has admitted none.
type readers struct {
	once   sync.Once
	places chan struct{}
}

// enter waits until there is a place, unless ctx ends before. After it leave must be called.
func (r *readers) enter(ctx context.Context) error {
	r.once.Do(func() { r.places = make(chan struct{}, maxReaders) })
	select {
	case r.places <- struct{}{}:
		return nil
	default:
	}
	select {
	case r.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("reading messages: waiting for others that read: %w", ctx.Err())
	}
}

func (r *readers) leave() { <-r.places }

// memory is about how many bytes an entry takes.
func (e *entry) memory() int { return maxEntryHeader + e.Said.size() }

// shorten leaves of a tail what the state and the ids need. It is for a tail with more messages
// than are handed out. What is not behind the checkpoint goes, and so does what was said.
func (e *envelope) shorten() {
	left := e.tail[:0]
	for i := range e.tail {
		if t := &e.tail[i]; t.Version > e.checkpoint && t.once != nil {
			left = append(left, t.short())
		}
	}
	clear(e.tail[len(left):])
	e.tail = left
}

// short returns what is remembered of an entry: not what was said, but for a refusal.
func (e *entry) short() entry {
	s := entry{Kept: Kept{Version: e.Version, Silent: e.Silent}, once: e.once}
	if e.Silent {
		s.Text = e.Text
	}
	return s
}

// noteFresh notes the messages of a tail that come behind a version.
func (r *Replica) noteFresh(found *envelope, after uint64) {
	if found.skipped {
		r.skip()
		return
	}
	for i := range found.tail {
		if t := &found.tail[i]; t.Version > after {
			r.freshSize += t.memory()
			r.fresh = append(r.fresh, t.Kept)
		}
	}
	if r.freshSize > maxFresh {
		r.skip()
	}
}

// skip has none of the messages returned that are fresh.
func (r *Replica) skip() { r.fresh, r.freshSize, r.skipped = nil, 0, true }

// Fresh returns the messages that have been stored since it was last called, in their order, by
// this process or others. After the first Load it returns the newest of those that there are,
// none of which anybody has been told. A version that is missing between them and the last
// snapshot is of a message that is not kept any more. If skipped is true it is of one that was
// left out, since there were too many: [Past] has it, if it is still kept.
func (r *Replica) Fresh() (fresh []Kept, skipped bool) {
	fresh, skipped = r.fresh, r.skipped
	r.fresh, r.freshSize, r.skipped = nil, 0, false
	return fresh, skipped
}
