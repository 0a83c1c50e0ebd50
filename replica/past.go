package replica

import (
	"context"
	"errors"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
)

// Past is the messages of a room as of a commit. Its methods may be called concurrently,
// also with those of the replica. The zero value has none. Oldest, Newest and Read are for
// visitors: each call has one place among these as long as it reads, however often.
type Past struct {
	Last uint64 // the newest version; 0: there is none

	store   *Store
	key     engines.Key
	epoch   string // as stored
	total   uint64 // size of all entries there have been
	journal Journal
	ago     time.Duration // how long the commit is over
	ofRoom  bool          // see ForRoom
}

// ForRoom returns the same messages for the room itself: visitors do not keep it from reading.
func (p Past) ForRoom() Past {
	p.ofRoom = true
	return p
}

// readers are those among whom the caller has its place.
func (p Past) readers() *readers {
	if p.ofRoom {
		return &p.store.folders
	}
	return &p.store.visitors
}

// Past returns the messages as of the last commit, also while it is not known what is stored
// since.
func (r *Replica) Past() Past {
	var state journalState
	j, ok := r.journal()
	if !ok || r.stored.version > 0 && state.UnmarshalBinary(r.stored.app) != nil {
		return Past{}
	}
	return Past{Last: r.stored.version, store: r.store, key: r.key, epoch: r.stored.epoch, total: state.total, journal: j}
}

// ErrMissing is of messages that are known and not there: the room was deleted by another
// process, or the engine has lost them. A [Replica.Reread] tells what is stored now.
var ErrMissing = errors.New("reading messages: some that are known are missing")

// log returns entries as they are stored, and the position of the oldest one.
func (p Past) log(ctx context.Context, after uint64, n int) (entries [][]byte, first uint64, err error) {
	entries, first, last, err := p.store.readLog(ctx, p.key, p.epoch, after, n)
	if err == nil && last < p.Last {
		err = ErrMissing
	}
	return entries, first, err
}

// Oldest returns the version of the oldest message that is kept now, by number, age and
// size; Last+1 if none is.
func (p Past) Oldest(ctx context.Context) (uint64, error) {
	if p.Last == 0 {
		return 1, nil
	}
	if err := p.readers().enter(ctx); err != nil {
		return 0, err
	}
	defer p.readers().leave()
	return p.oldest(ctx)
}

// oldest is Oldest for whoever has a place.
func (p Past) oldest(ctx context.Context) (uint64, error) {
	if p.Last == 0 {
		return 1, nil
	}
	_, first, err := p.log(ctx, p.Last, 0)
	if err != nil {
		return 0, err
	}
	low := max(first, p.Last-min(p.Last, uint64(p.journal.Messages))+1)
	if p.journal.Age == 0 && p.total <= maxKeptMessages {
		return low, nil
	}
	return p.search(ctx, low, p.keeps)
}

// Newest returns the version from which on the newest messages are at most so many, and have
// at most so many bytes as they are stored, but are at least one if there is any. None of them
// is older than the oldest that is kept, which the caller knows.
func (p Past) Newest(ctx context.Context, oldest uint64, n, bytes int) (uint64, error) {
	if p.Last == 0 {
		return 1, nil
	}
	if err := p.readers().enter(ctx); err != nil {
		return 0, err
	}
	defer p.readers().leave()
	low := max(oldest, p.Last-min(p.Last, uint64(n))+1)
	found, err := p.search(ctx, low, func(k Kept) bool { return p.total-k.before <= uint64(bytes) })
	return max(min(found, p.Last), low), err
}

// search returns the first version from low on of whose message something is true, which
// then is so of all behind it; Last+1 if it is of none.
func (p Past) search(ctx context.Context, low uint64, is func(Kept) bool) (uint64, error) {
	high := p.Last + 1
	for probe := low; low < high; probe = low + (high-low)/2 {
		found, err := p.isAt(ctx, probe, is)
		switch {
		case err != nil:
			return 0, err
		case found:
			high = probe
		default:
			low = probe + 1
		}
	}
	return low, nil
}

// isAt reports whether something is true of a message.
func (p Past) isAt(ctx context.Context, version uint64, is func(Kept) bool) (bool, error) {
	entries, first, err := p.log(ctx, version-1, 1)
	if err != nil || len(entries) == 0 || first > version { // it has been trimmed meanwhile
		return false, err
	}
	e, err := parseEntry(version, entries[0])
	if err != nil {
		return false, err
	}
	return is(e.Kept), nil
}

// keeps reports whether a message is kept by age and size.
func (p Past) keeps(k Kept) bool {
	return (p.journal.Age == 0 || p.store.Clock().Sub(k.At)-p.ago <= p.journal.Age) && p.total-k.before <= maxKeptMessages
}

// Keeps reports whether a message is kept now, by number, age and size. Then so are all
// behind it.
func (p Past) Keeps(k Kept) bool { return p.Last-k.Version < uint64(p.journal.Messages) && p.keeps(k) }

// shortEntry is the size of a short message as it is stored, in bytes: no more messages are
// read than there may be in as many bytes as are wanted, if they are not shorter.
const shortEntry = 64

// Read returns the messages behind a version, at most so many and about so many bytes of
// them, but at least one if there is one. If the first is not the next version, those
// between are not kept any more. It knows no messages behind Last.
func (p Past) Read(ctx context.Context, after uint64, n, bytes int) (all []Kept, err error) {
	if after >= p.Last {
		return nil, nil
	}
	n = min(n, 1+bytes/shortEntry, int(min(p.Last-after, 1<<20)))
	if err := p.readers().enter(ctx); err != nil {
		return nil, err
	}
	defer p.readers().leave()
	entries, first, err := p.log(ctx, after, n)
	if err != nil {
		return nil, err
	}
	version := max(after+1, first)
	for _, stored := range entries {
		if bytes <= 0 || version > p.Last {
			break
		}
		e, err := parseEntry(version, stored)
		if err != nil {
			return nil, err
		}
		all = append(all, e.Kept)
		bytes -= e.size
		version++
	}
	return all, nil
}
