package room

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// longestHold bounds how long one message holds up its publisher.
	longestHold = 2 * time.Second
	// maxExcused bounds what may wait for a member beyond its queue because the
	// publishers are held up.
	maxExcused = 16 << 20
)

// backpressure holds up the publishers of a room while members are behind that
// read. What they published is sent, but stays unsettled, so that soon no more is
// read from their connections, and does not count against the members' queues.
// It ends when the members have caught up, have left or have no patience any more
// (see patience). No turn waits for it.
type backpressure struct {
	room    *Room
	excused atomic.Int64 // bytes of what is held

	mu sync.Mutex
	// Guarded by mu.
	held   []heldTurn // oldest first
	behind []*Member  // that are waited for; none while nothing is held
	timer  *time.Timer
}

// heldTurn is the messages that were sent in one turn.
type heldTurn struct {
	holds []hold
	bytes int // in the queue of a member
	until time.Time
}

// letGo releases what was sent in a turn, later if there are members behind. bytes
// is how much it is in a queue.
func (r *Room) letGo(holds []hold, bytes int, behind []*Member) {
	if len(behind) == 0 {
		releaseAll(holds)
		return
	}
	p := r.pressure.Load()
	if p == nil {
		p = &backpressure{room: r}
		r.pressure.Store(p)
	}
	p.hold(heldTurn{holds: holds, bytes: bytes}, behind)
}

func releaseAll(holds []hold) {
	for _, h := range holds {
		h.member.conn.Release(h.bytes)
	}
}

// hold holds what was sent in a turn until the members behind have caught up.
func (p *backpressure) hold(t heldTurn, behind []*Member) {
	now := time.Now()
	t.until = now.Add(longestHold)
	p.mu.Lock()
	p.held = append(p.held, t)
	p.excused.Add(int64(t.bytes))
	asked := p.enlist(behind, now)
	p.mu.Unlock()
	for _, m := range asked {
		p.look(m, now)
	}
	p.goOn()
}

// enlist adds members that are not waited for yet to those that are, and returns
// them: they are still to be looked at.
func (p *backpressure) enlist(behind []*Member, now time.Time) (added []*Member) {
	for _, m := range behind {
		if m.patience == nil {
			m.patience = new(patience)
		}
		if !m.patience.waited {
			m.patience.begin(len(p.behind), now)
			p.behind = append(p.behind, m)
			added = append(added, m)
		}
	}
	return added
}

// look asks a member's connection how things stand. The member is in the list
// before, so that it cannot catch up unnoticed.
func (p *backpressure) look(m *Member, now time.Time) {
	taken, blocked, behind := m.conn.Lag()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !m.patience.waited {
		return
	}
	m.patience.look(taken, blocked, now)
	if !behind || m.patience.exhausted() {
		p.drop(m, now)
	}
}

// drop takes a member out of those that are waited for.
func (p *backpressure) drop(m *Member, now time.Time) {
	m.patience.end(now)
	last := len(p.behind) - 1
	p.behind[m.patience.place] = p.behind[last]
	p.behind[last].patience.place = m.patience.place
	p.behind[last] = nil
	p.behind = p.behind[:last]
}

// caughtUp is told by a member's connection, which must not be called.
func (p *backpressure) caughtUp(m *Member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m.patience == nil || !m.patience.waited {
		return
	}
	if p.drop(m, time.Now()); len(p.behind) == 0 {
		p.room.shared.Go(p.goOn)
	}
}

// goOn releases what need not be held any more.
func (p *backpressure) goOn() {
	p.mu.Lock()
	done := p.settle(time.Now())
	p.mu.Unlock()
	for _, t := range done {
		releaseAll(t.holds)
	}
}

// settle returns what need not be held any more, and sets the timer for the rest.
func (p *backpressure) settle(now time.Time) (done []heldTurn) {
	if p.room.shared.isClosing() {
		p.dropAll(now)
	}
	n := 0
	for n < len(p.held) && (len(p.behind) == 0 || !p.held[n].until.After(now)) {
		p.excused.Add(-int64(p.held[n].bytes))
		n++
	}
	done = slices.Clone(p.held[:n])
	p.held = slices.Delete(p.held, 0, n)
	if len(p.held) == 0 {
		p.dropAll(now)
	}
	p.setTimer(now)
	return done
}

func (p *backpressure) dropAll(now time.Time) {
	for len(p.behind) > 0 {
		p.drop(p.behind[len(p.behind)-1], now)
	}
}

// setTimer has tick called when the first hold or the first patience ends.
func (p *backpressure) setTimer(now time.Time) {
	if len(p.held) == 0 {
		if p.timer != nil {
			p.timer.Stop()
		}
		return
	}
	next := p.held[0].until
	for _, m := range p.behind {
		if until := m.patience.until(); until.Before(next) {
			next = until
		}
	}
	if p.timer == nil {
		p.timer = time.AfterFunc(next.Sub(now), p.tick)
		return
	}
	p.timer.Reset(next.Sub(now))
}

// tick looks at the members again: those that have gone on reading are waited for
// a while longer.
func (p *backpressure) tick() {
	p.mu.Lock()
	behind := slices.Clone(p.behind)
	p.mu.Unlock()
	now := time.Now()
	for _, m := range behind {
		p.look(m, now)
	}
	p.goOn()
}

// CaughtUp notes that the member has taken what it was behind with, or leaves.
func (m *Member) CaughtUp() {
	if p := m.room.pressure.Load(); p != nil {
		p.caughtUp(m)
	}
}

// Excused is how many bytes may wait for the member beyond its queue.
func (m *Member) Excused() int {
	if p := m.room.pressure.Load(); p != nil {
		return int(min(p.excused.Load(), maxExcused))
	}
	return 0
}
