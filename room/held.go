package room

import (
	"math/rand/v2"
	"slices"
	"time"
)

// heldEvents is events that another process has committed, and which are told outside here
// only if that one does not: it may have ended. How many are told is stored as one number,
// which waits for that process, and grows no more without it. Room.mu guards them.
type heldEvents struct {
	patience time.Duration // how long the other process is waited for
	grown    time.Time     // when the stored number of told events was last seen to grow
	watching bool          // tellHeldLater is under way
	events   []untold
}

// heldPatience is how long it is waited for that another process tells an event outside, and
// stores that: at least so long, and at most twice, so that one of those that wait is first.
const heldPatience = 5 * time.Second

func newHeldEvents() heldEvents {
	return heldEvents{patience: heldPatience + rand.N(heldPatience)} //nolint:gosec // not a secret
}

func (h *heldEvents) add(u untold) {
	u.until = time.Now().Add(h.patience)
	h.events = append(h.events, u)
}

// heldUntil returns when the first of the events that are held back is told here, unless the
// stored number grows before.
func (o *outside) heldUntil() time.Time {
	now, h := time.Now(), &o.held
	if o.told > o.stored { // the other process may wait for this one
		return now.Add(h.patience)
	}
	if until := h.grown.Add(h.patience); until.After(h.events[0].until) {
		return until
	}
	return h.events[0].until
}

// noteStored is for what is stored now of how many events are told: those need not be told
// here.
func (o *outside) noteStored(s *Shared, told uint64) {
	if told > o.stored {
		o.held.grown = time.Now()
	}
	o.stored, o.noted = max(o.stored, told), max(o.noted, told)
	o.held.events = slices.DeleteFunc(o.held.events, func(u untold) bool {
		gone := u.epoch == o.epoch && u.count <= told
		if gone {
			s.untold.Add(-u.size())
		}
		return gone
	})
}

// watchHeld sees to it that what is held back is told when it is time. Until then the room
// stays in memory. What is due already is mostly told by the one that HasNews was called for: it
// is looked at again a little later. mu is held.
func (r *Room) watchHeld() {
	o := r.outside
	if len(o.held.events) == 0 || o.held.watching {
		return
	}
	wait := time.Until(o.heldUntil())
	if wait <= 0 {
		wait = time.Second
	}
	o.held.watching = true
	r.Retain()
	r.shared.Go(func() { r.tellHeldLater(wait) })
}

// tellHeldLater has a turn taken in which what is held back is told. When everybody has to go
// that is left to the next process.
func (r *Room) tellHeldLater(wait time.Duration) {
	defer r.Release()
	if r.shared.sleep(wait); !r.shared.isClosing() {
		r.take(func(c *chores) { c.held = true })
	}
}

// tellHeld tells what was held back for long enough, and is not told as far as is known.
func (r *Room) tellHeld() {
	r.mu.Lock()
	r.outside.held.watching = false
	r.mu.Unlock()
	r.handOut(r.snapshot(), nil)
}
