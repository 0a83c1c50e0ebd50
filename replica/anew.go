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
// told of a gap. If another process begins it first, those that are left are not in it.
//
// Nobody deletes a room because of an answer from before. That the log ends where it seems to
// is certain once probes were appended there, and that the value is the newest one when it
// was deleted at its revision. The probes stay in the log and go beyond what is known of it:
// so nothing else is appended meanwhile, and whoever reads one knows that the log is torn, also
// after a crash.

// errTorn is of a log that does not fit to what is known of it.
var errTorn = errors.New("reading messages: some that should be kept are missing")

// tornAt is where a log seems to have lost messages: it ended at a position when probes were
// to be appended. Whether they were is not known. The zero value is of none.
type tornAt struct {
	rev  uint64
	last uint64
}

// isProbe reports whether an entry says that those which were at its place are lost. No
// operation has such an entry.
func (e *entry) isProbe() bool { return e.Silent && e.once == nil }

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
	left, err := r.leftOf(ctx, before, rev)
	if err != nil {
		return before, rev, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), waitLimit) // what has begun is not left half done
	defer cancel()
	defer r.store.Limit.Recount()
	if err := r.deleteTorn(ctx, rev); err != nil {
		return before, rev, uncertain(err)
	}
	r.torn = tornAt{}
	r.report(fmt.Errorf("the engine has lost messages of the room, which begins anew with %d of those that are left", len(left)))
	if err := r.putBack(ctx, before, left); err != nil {
		r.report(fmt.Errorf("storing the messages that are left: %w", err))
	}
	return r.readOnce(ctx)
}

// leftOf returns the newest messages of a log that has certainly lost others.
func (r *Replica) leftOf(ctx context.Context, value envelope, rev uint64) ([]entry, error) {
	if err := r.store.folders.enter(ctx); err != nil {
		return nil, err
	}
	defer r.store.folders.leave()
	if err := r.ascertain(ctx, value, rev); err != nil {
		return nil, err
	}
	return r.salvage(ctx, value.epoch)
}

// deleteTorn deletes the room at a revision. Without an error it certainly has.
func (r *Replica) deleteTorn(ctx context.Context, rev uint64) error {
	err := r.store.Engine.Delete(ctx, r.key, rev)
	if err == nil {
		return nil
	}
	r.store.note("delete", err)
	if errors.Is(err, engines.ErrNotFound) || errors.Is(err, engines.ErrConflict) { // another process was first
		return err
	}
	if _, now, failed := r.store.read(ctx, r.key); failed == nil && now == 0 {
		return nil
	}
	return err
}

// uncertain returns the error of a log that may be torn. It does not wrap what the engine said:
// a conflict is none with the caller.
func uncertain(err error) error { return fmt.Errorf("%w: %s", errTorn, err.Error()) }

// ascertain returns an error unless a log has certainly lost messages.
func (r *Replica) ascertain(ctx context.Context, value envelope, rev uint64) error {
	_, first, last, err := r.store.readLog(ctx, r.key, value.epoch, 0, 0)
	if err != nil {
		return err
	}
	known := value.version
	if value.epoch == r.stored.epoch {
		known = max(known, r.stored.version)
	}
	switch {
	case last < known:
		return r.probe(ctx, value, rev, last, known)
	case first > value.version+1:
		return nil
	}
	return r.findProbe(ctx, value, rev)
}

// probe appends probes to a log that seems to end before what is known.
func (r *Replica) probe(ctx context.Context, value envelope, rev, last, known uint64) error {
	if r.torn.rev != rev || last < r.torn.last {
		r.torn = tornAt{rev, last}
	}
	before, err := r.sizeUpTo(ctx, value.epoch, last)
	if err != nil {
		return err
	}
	var probes [][]byte
	for n := min(known+1-last, engines.MaxEntries); n > 0; n-- {
		e := entry{Kept: Kept{At: value.at, Silent: true, before: before}}
		p := e.encode()
		before += uint64(len(p))
		probes = append(probes, p)
	}
	if err := r.store.append(ctx, r.key, value.epoch, last, probes); err != nil {
		return uncertain(err)
	}
	return nil
}

// sizeUpTo returns the size of all entries that a log has had up to the last one.
func (r *Replica) sizeUpTo(ctx context.Context, epoch string, last uint64) (uint64, error) {
	if last == 0 {
		return 0, nil
	}
	entries, _, _, err := r.store.readLog(ctx, r.key, epoch, last-1, 1)
	if err != nil || len(entries) == 0 {
		return 0, err
	}
	e, err := parseEntry(last, entries[0])
	return e.before + uint64(e.size), err
}

// findProbe returns errTorn unless there is a probe behind the checkpoint, or where this
// process has wanted to append some.
func (r *Replica) findProbe(ctx context.Context, value envelope, rev uint64) error {
	after := value.version
	if r.torn.rev == rev {
		after = min(after, r.torn.last)
	}
	for {
		page, first, last, err := r.store.readLog(ctx, r.key, value.epoch, after, engines.MaxEntries)
		if err != nil {
			return err
		}
		after = max(after, first-1)
		for _, p := range page {
			after++
			if e, err := parseEntry(after, p); err == nil && e.isProbe() {
				return nil
			}
		}
		if len(page) == 0 || after >= last {
			r.torn = tornAt{} // what was appended there is something else
			return errTorn
		}
	}
}

// salvage returns the newest messages of a log, as many as the engine takes at once.
func (r *Replica) salvage(ctx context.Context, epoch string) (left []entry, err error) {
	_, _, last, err := r.store.readLog(ctx, r.key, epoch, 0, 0)
	size := 0
	for at := last - min(last, 2*engines.MaxEntries); at < last && err == nil; { // probes are among them
		var page [][]byte
		var first uint64
		if page, first, _, err = r.store.readLog(ctx, r.key, epoch, at, int(min(last-at, engines.MaxEntries))); len(page) == 0 {
			break
		}
		at = max(at, first-1)
		for _, p := range page {
			at++
			e, err := parseEntry(at, p)
			switch {
			case err != nil:
				return nil, err
			case !e.isProbe():
				left, size = append(left, e), size+e.size+maxEntryHeader
			}
		}
		for ; size > r.store.Engine.MaxState() || len(left) > engines.MaxEntries; left = left[1:] {
			size -= left[0].size + maxEntryHeader
		}
	}
	return left, err
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
	if err != nil && !r.isStored(ctx, next.epoch) {
		return err
	}
	return r.store.append(ctx, r.key, next.epoch, 0, renumber(left))
}

// isStored reports whether the room is stored, in a life.
func (r *Replica) isStored(ctx context.Context, epoch string) bool {
	now, rev, err := r.store.read(ctx, r.key)
	return err == nil && rev > 0 && now.epoch == epoch
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
