package replica

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
)

// An engine keeps values and logs apart, and may lose of one what it still has of the other:
// its servers are restored, or end before they have written to their disks. A log then ends
// before what is known of it, and would give positions a second time; or it begins behind the
// checkpoint, and the ids of what is between are not known. In both cases the room begins a
// new life, with the newest of the messages that are left: whoever has seen the old one is
// told of a gap.
//
// Nobody deletes a room because of an answer from before. That the log ends where it seems to
// is certain once an entry was appended there, and that the value is the newest one when it
// was deleted at its revision.

// errTorn is of a log that does not fit to what is known of it.
var errTorn = errors.New("reading messages: some that should be kept are missing")

// beginAnew deletes a room whose log has lost messages, and returns the new life that it
// begins. If it is not certain that some are lost, the error is errTorn.
func (r *Replica) beginAnew(ctx context.Context) (found envelope, rev uint64, err error) {
	before, rev, err := r.store.read(ctx, r.key)
	if err != nil {
		return before, rev, err
	}
	if rev == 0 { // somebody else has deleted it
		return before, 0, nil
	}
	last, err := r.isTorn(ctx, before, rev)
	if err != nil {
		return before, rev, err
	}
	left, err := r.salvage(ctx, before.epoch, last)
	if err != nil {
		return before, rev, err
	}
	if err := r.store.Engine.Delete(ctx, r.key, rev); err != nil {
		r.store.note("delete", err)
		return before, rev, uncertain(err)
	}
	r.torn = tornAt{}
	r.report(fmt.Errorf("the engine has lost messages of the room, which begins anew with %d of those that are left", len(left)))
	if err := r.putBack(ctx, before, left); err != nil {
		r.report(fmt.Errorf("storing the messages that are left: %w", err))
	}
	r.store.Limit.Recount()
	return r.readOnce(ctx)
}

// uncertain returns the error of a log that may be torn. It does not wrap what the engine said:
// a conflict is none with the caller.
func uncertain(err error) error { return fmt.Errorf("%w: %s", errTorn, err.Error()) }

// tornAt is where a log was found to have lost messages. The zero value is of none.
type tornAt struct {
	rev  uint64
	last uint64
}

// isTorn returns the last position of a log that has certainly lost messages; else the error
// is not nil.
func (r *Replica) isTorn(ctx context.Context, value envelope, rev uint64) (last uint64, err error) {
	if r.torn.rev == rev { // it was found out before
		return r.torn.last, nil
	}
	_, first, last, err := r.store.readLog(ctx, r.key, value.epoch, 0, 0)
	if err != nil {
		return 0, err
	}
	known := value.version
	if value.epoch == r.stored.epoch {
		known = max(known, r.stored.version)
	}
	switch {
	case last < known:
		probe := entry{Kept: Kept{At: value.at, Silent: true}}
		if err := r.store.append(ctx, r.key, value.epoch, last, [][]byte{probe.encode()}); err != nil {
			return 0, uncertain(err)
		}
	case first <= value.version+1:
		return 0, errTorn
	}
	r.torn = tornAt{rev, last}
	return last, nil
}

// salvage returns the newest messages of a log up to a position, as many as the engine takes
// at once.
func (r *Replica) salvage(ctx context.Context, epoch string, last uint64) (left []entry, err error) {
	if err := r.store.readers.enter(ctx); err != nil {
		return nil, err
	}
	defer r.store.readers.leave()
	size := 0
	for at := last - min(last, engines.MaxEntries); at < last; {
		page, first, _, err := r.store.readLog(ctx, r.key, epoch, at, int(last-at))
		if err != nil {
			return nil, err
		}
		if at = max(at, first-1); len(page) == 0 {
			break
		}
		for _, p := range page {
			at++
			e, err := parseEntry(at, p)
			if err != nil {
				return nil, err
			}
			left, size = append(left, e), size+e.size+maxEntryHeader
		}
		for ; size > r.store.Engine.MaxState(); left = left[1:] {
			size -= left[0].size + maxEntryHeader
		}
	}
	return left, nil
}

// putBack stores a room again that was deleted, in a new life that begins with some messages.
func (r *Replica) putBack(ctx context.Context, before envelope, left []entry) error {
	if len(left) == 0 {
		return nil
	}
	var state journalState
	app, err := state.MarshalBinary()
	if err != nil {
		return err
	}
	next := envelope{epoch: r.store.epochs.of(r.key), at: before.at, lag: before.lag, used: before.used, route: before.route, app: app}
	v := engines.Value{State: next.encode(nil, r.store.process.next(), new(ids)), Used: time.Unix(before.used, 0), Epoch: next.epoch}
	_, err = r.store.swap(ctx, r.key, 0, v)
	r.store.epochs.spend(r.key)
	if err != nil {
		return err
	}
	return r.store.append(ctx, r.key, next.epoch, 0, renumber(left))
}

// renumber returns the entries with which a log begins anew.
func renumber(left []entry) (entries [][]byte) {
	total := uint64(0)
	for i := range left {
		left[i].before, left[i].writer = total, nil
		p := left[i].encode()
		total += uint64(len(p))
		entries = append(entries, p)
	}
	return entries
}
