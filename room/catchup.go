package room

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/replica"
	"github.com/caddyws/caddy-websocket/tally"
)

// Somebody who joins a room that keeps messages is first told where it stands: the version
// behind which messages follow, or that there is a gap before it. Then it is sent the
// messages from there on, and from the last of them on it is a member like any other: with
// no gap between and none twice.
//
// What is recent it is sent in a turn of the room. What is older is read from the engine
// beside the turns, as fast as the client takes it, until what is left is recent. A room
// whose messages come faster than that is caught up with in a turn, which holds them up.

// catchUp is a member that is still to be sent what came before. It belongs to the turn, or
// to the goroutine that the turn has left it to.
type catchUp struct {
	epoch string // of the room's life that next is of; empty: nothing is known yet
	next  uint64 // version of the next message that is to be sent
	anew  bool   // what the member was told is of another life, or lost: all that is kept comes behind a gap
	tries int    // how often what was left was not recent any more
	tally *tally.Part
}

// isOf reports whether c tells where the member stands in the room as of a commit.
func (c *catchUp) isOf(now snapshot) bool {
	if c.epoch == now.epoch && c.next <= now.version+1 {
		return true
	}
	c.anew = c.anew || c.epoch != ""
	return false
}

const (
	// maxTries is after how many of them the rest is read in a turn, and maxTurnReads how many
	// members are served so in one turn.
	maxTries     = 3
	maxTurnReads = 4

	// catchUpPage is how many messages are read at once.
	catchUpPage = 256

	// The pause before it is looked again whether a client has taken what it was sent.
	shortestLook = 5 * time.Millisecond
	longestLook  = 100 * time.Millisecond
)

// pastOf returns how m stands with what came before.
func (m *Member) pastOf() *catchUp {
	m.mu.Lock()
	defer m.mu.Unlock()
	x := m.needExtras()
	if x.past == nil {
		x.past = &catchUp{tally: m.room.tally}
	}
	return x.past
}

// welcomeKept makes those that arrive members like any other, or has them catch up first.
func (r *Room) welcomeKept(arrivals []*Member) {
	reads := maxTurnReads
	for _, m := range arrivals {
		if c := m.pastOf(); !r.bringIn(m, c, &reads) {
			r.Retain()
			r.shared.Go(func() { r.catchUpBeside(m, c) })
		}
	}
}

// catchUpBeside has a member catch up beside the turns.
func (r *Room) catchUpBeside(m *Member, c *catchUp) {
	defer r.Release()
	defer func() {
		if p := recover(); p != nil {
			r.reportPanic(p)
			m.abandon()
		}
	}()
	if m.catchUp(c) {
		r.arriveAgain(m)
	} else {
		m.tellOwed(true)
	}
}

// abandon closes a member of which nobody knows what it was told.
func (m *Member) abandon() {
	m.tellOwed(true)
	m.conn.Close(frames.InternalError, "internal error")
}

// leaveBehind has members catch up that would be sent too much at once of what other processes
// have stored, as when these were not heard for a while: those who published it cannot be held
// up. They are then told nothing of the commit under way. If messages were skipped, since there
// were too many, this holds for all members.
func (r *Room) leaveBehind(before, now snapshot, fresh []replica.Kept, own []replica.Result, skipped bool) {
	size := sizeOfOthers(fresh, own)
	if !skipped && size == 0 {
		return
	}
	r.recipients = slices.DeleteFunc(r.recipients, func(m *Member) bool {
		if !skipped && size <= m.route.Settings.Load().MaxQueue/2 {
			return false
		}
		r.catchUpFrom(m, before, now)
		return true
	})
}

// sizeOfOthers returns the bytes of the messages that are fresh and come before those of some
// results.
func sizeOfOthers(fresh []replica.Kept, own []replica.Result) (size int) {
	first := uint64(math.MaxUint64)
	for i := range own {
		if own[i].Counts() {
			first = min(first, own[i].Version)
		}
	}
	for i := range fresh {
		if fresh[i].Version >= first {
			break
		}
		size += sizeOf(&fresh[i])
	}
	return size
}

// catchUpFrom has m, which has been told all up to a commit, catch up from there.
func (r *Room) catchUpFrom(m *Member, before, now snapshot) {
	c := catchUp{epoch: before.epoch, next: before.version + 1, tally: r.tally}
	if before.version == 0 { // nothing was said in that life
		c.epoch = now.epoch
	}
	*m.pastOf() = c
	m.turn.outside = true
	r.mu.Lock()
	m.arriving = true
	r.arrivals = append(r.arrivals, m)
	r.engage()
	r.mu.Unlock()
}

// arriveAgain has m brought in by the next turn.
func (r *Room) arriveAgain(m *Member) {
	r.mu.Lock()
	if r.retired {
		r.mu.Unlock()
		m.tellOwed(true)
		return
	}
	r.arrivals = append(r.arrivals, m)
	r.engage()
	r.mu.Unlock()
	r.kick()
}

// bringIn tells m in a turn what is still missing, and reports whether that was possible. reads is
// for how many members the turn may still read from the engine.
func (r *Room) bringIn(m *Member, c *catchUp, reads *int) bool {
	now := r.current()
	b := message.NewBatch()
	if !c.isOf(now) {
		start, ok := r.startRecent(m, now)
		if !ok || c.anew {
			return false
		}
		c.begin(now, start, b)
	}
	left, ok, err := r.left(m, c, now, reads)
	if err != nil {
		r.failToCatchUp(m, err)
		return true
	}
	if ok {
		c.add(now, left, b)
		c.end(now, b)
	}
	r.mu.Lock()
	m.arriving = !ok
	if m.place >= 0 && b.Len() > 0 {
		r.traceMessages(m, b)
		m.conn.Write(b)
	}
	r.mu.Unlock()
	if ok {
		m.tellOwed(false)
	}
	return ok
}

// left returns the messages that m is still to be sent. ok reports whether they can be sent in
// a turn: they are known, and leave room in its queue. A client that takes them too slowly for that
// has to come near first, beside the turns.
func (r *Room) left(m *Member, c *catchUp, now snapshot, reads *int) (left []replica.Kept, ok bool, err error) {
	most := m.route.Settings.Load().MaxQueue / 2
	left, ok = r.recent.from(c.next, now.version)
	if !ok {
		if c.tries++; c.tries <= maxTries || *reads == 0 {
			return nil, false, nil
		}
		c.tries = 0
		*reads--
		if left, err = readAll(r.shared.Context, now.past.ForRoom(), c.next, most); errors.Is(err, replica.ErrMissing) {
			return nil, false, nil // it is looked for beside the turns
		}
		if err != nil { // others would wait as long
			*reads = 0
		}
	}
	return left, err == nil && fit(left, most), err
}

// fit reports whether messages have at most so many bytes, or are only one.
func fit(messages []replica.Kept, most int) bool {
	size := 0
	for i := range messages {
		size += sizeOf(&messages[i])
	}
	return size <= most || len(messages) == 1
}

// readAll reads the messages from a version on, until they do not fit any more.
func readAll(ctx context.Context, p replica.Past, next uint64, most int) (all []replica.Kept, err error) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	for next <= p.Last && fit(all, most) {
		page, err := p.Read(ctx, next-1, catchUpPage, 1<<20)
		if err != nil || len(page) == 0 {
			return all, err
		}
		all = append(all, page...)
		next = page[len(page)-1].Version + 1
	}
	return all, nil
}

// owed is the answers that wait until a member has been told what came before: its own
// messages among that. Guarded by Member.mu.
type owed struct {
	answers []func()
	over    bool // the member will not be told
}

// owe keeps an answer for m. The client is not read on without end meanwhile.
func (m *Member) owe(answer func()) {
	m.conn.Hold(0)
	m.mu.Lock()
	x := m.needExtras()
	over := x.owed.over
	if !over {
		x.owed.answers = append(x.owed.answers, answer)
	}
	m.mu.Unlock()
	if over {
		answer()
		m.conn.Release(0)
	}
}

// tellOwed gives the answers that have waited, and lets the client be read on.
func (m *Member) tellOwed(over bool) {
	m.mu.Lock()
	x := m.needExtras()
	answers := x.owed.answers
	x.owed = owed{over: over}
	m.mu.Unlock()
	for _, answer := range answers {
		answer()
		m.conn.Release(0)
	}
}

// isCatchingUp reports whether m is in the room and still to be told what came before.
func (m *Member) isCatchingUp() bool {
	m.room.mu.Lock()
	defer m.room.mu.Unlock()
	return m.arriving && m.place >= 0
}

// start is where the messages for a joiner begin.
type start struct {
	version uint64
	gap     bool // what it has asked for is not kept any more, or never was
}

// wanted returns the version from which on m is to be sent messages, if they are kept.
// known is false if it names none of this life of the room.
func (m *Member) wanted(now snapshot, replay int) (version uint64, known bool) {
	seen := m.seen()
	switch {
	case !seen.said:
		return now.version - min(now.version, uint64(replay)) + 1, true
	case seen.epoch == now.epoch && seen.place.Version <= now.version:
		return seen.place.Version + 1, true
	case seen.epoch != "" && seen.place.Version == 0 && now.version == 0: // a silent room has another epoch after a restart
		return 1, true
	}
	return 0, false
}

// startAt returns where the messages for m begin if a version is the oldest that is kept.
func (m *Member) startAt(now snapshot, oldest uint64) start {
	version, known := m.wanted(now, m.route.Config().History.Replay)
	switch {
	case !known:
		return start{oldest, true}
	case version >= oldest:
		return start{version, false}
	}
	return start{oldest, m.seen().said}
}

// startRecent is startAt if the recent messages are enough to tell.
func (r *Room) startRecent(m *Member, now snapshot) (s start, ok bool) {
	version, known := m.wanted(now, m.route.Config().History.Replay)
	if !known {
		return s, false
	}
	left, ok := r.recent.from(version, now.version)
	if !ok {
		return s, false
	}
	for len(left) > 0 && !now.past.Keeps(left[0]) {
		left = left[1:]
	}
	return m.startAt(now, now.version+1-uint64(len(left))), true
}

// begin notes where the messages begin, and adds what the member is told of that.
func (c *catchUp) begin(now snapshot, s start, b *message.Batch) {
	c.epoch, c.next, c.anew = now.epoch, s.version, false
	if s.gap {
		c.tellGap(now, s.version, b)
	}
	b.Add(now.said(message.State, s.version-1, emptyBody))
}

// add adds messages. Where some are missing the member is told of a gap.
func (c *catchUp) add(now snapshot, messages []replica.Kept, b *message.Batch) {
	if len(messages) > 0 && messages[0].Version > c.next {
		c.tellGap(now, messages[0].Version, b)
	}
	for _, k := range messages {
		if !k.Silent {
			b.Add(now.kept(k))
		}
		c.next = k.Version + 1
	}
}

// end is for a member that has been told all there is. If that was not all that there should
// be, since it has been removed meanwhile, it is told of a gap.
func (c *catchUp) end(now snapshot, b *message.Batch) {
	if c.next <= now.version {
		c.next = now.version + 1
		c.tellGap(now, c.next, b)
	}
}

// tellGap adds that what was before a version is not kept.
func (c *catchUp) tellGap(now snapshot, version uint64, b *message.Batch) {
	c.tally.Gap()
	b.Add(now.gapBefore(version))
}

// gapBefore returns the message that tells that what was before a version is not kept.
func (s snapshot) gapBefore(version uint64) message.Message {
	at := message.Point{Epoch: s.epoch, Version: version}
	return message.Message{Kind: message.Gap, At: at, Text: fmt.Appendf(nil, "gap: what happened before %v is not known any more", at)}
}

// catchUp sends m what came before until the rest may be recent, and reports whether it is to
// be brought in then.
func (m *Member) catchUp(c *catchUp) bool {
	ctx, cancel := context.WithCancel(m.lifetime())
	defer cancel()
	defer context.AfterFunc(m.room.shared.Context, cancel)()
	for {
		now := m.room.current()
		b, err := m.nextPage(ctx, now, c)
		switch {
		case ctx.Err() != nil, m.room.shared.isClosing():
			return false
		case errors.Is(err, replica.ErrMissing) && m.room.lookAgain(ctx, now):
			continue
		case err != nil:
			m.room.failToCatchUp(m, err)
			return false
		}
		if b.Len() > 0 && m.conn.Write(b) && !m.waitUntilTaken(ctx) {
			return false
		}
		if c.next > now.past.Last {
			return true
		}
	}
}

// startOf reads where the messages for m begin.
func (m *Member) startOf(ctx context.Context, now snapshot, c *catchUp) (start, error) {
	oldest, err := now.past.Oldest(ctx)
	if c.anew {
		return start{oldest, true}, err
	}
	return m.startAt(now, oldest), err
}

// nextPage reads what m is to be sent next. After an error c is as it was.
func (m *Member) nextPage(ctx context.Context, now snapshot, c *catchUp) (b *message.Batch, err error) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	b = message.NewBatch()
	begun, from := c.isOf(now), start{version: c.next}
	if !begun {
		if from, err = m.startOf(ctx, now, c); err != nil {
			return b, err
		}
	}
	page, err := now.past.Read(ctx, from.version-1, catchUpPage, m.route.Settings.Load().MaxQueue/4)
	if err != nil {
		return b, err
	}
	if !begun {
		c.begin(now, from, b)
	}
	if c.add(now, page, b); len(page) == 0 {
		c.end(now, b)
	}
	return b, nil
}

// waitUntilTaken waits until the client has taken what waits for it, and reports whether it
// is there still.
func (m *Member) waitUntilTaken(ctx context.Context) bool {
	for pause := shortestLook; ; pause = min(2*pause, longestLook) {
		if _, _, behind := m.conn.Lag(); !behind {
			return true
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-m.room.shared.Closing:
			timer.Stop()
			return false
		}
	}
}

// failToCatchUp closes a member whose messages cannot be read: it comes back later.
func (r *Room) failToCatchUp(m *Member, err error) {
	r.report(err)
	m.tellOwed(true)
	m.conn.Close(frames.TryAgainLater, "messages cannot be read now")
}
