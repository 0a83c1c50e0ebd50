package room

import "time"

// throttle bounds how often a room's updates are told (apps.Paced). Replies and
// events never wait. The last update is always told: a timer sees to it.
type throttle struct {
	// Owned by the turn.
	told   time.Time // when an update was last told
	armed  bool      // a timer will have the others told
	failed bool      // the app could not say how often, and that was reported
}

// holds reports whether updates have to wait.
func (t *throttle) holds(r *Room) bool {
	every, err := r.follows.Every()
	if err != nil && !t.failed {
		r.report(err)
	}
	t.failed = err != nil
	if every == 0 {
		return false
	}
	now := time.Now()
	wait := t.told.Add(every).Sub(now)
	if wait <= 0 {
		t.told = now
		return false
	}
	if !t.armed {
		t.armed = true
		time.AfterFunc(wait, r.wake)
	}
	return true
}

// wake has a turn taken in which the updates that waited are told.
func (r *Room) wake() {
	r.mu.Lock()
	if r.retired {
		r.mu.Unlock()
		return
	}
	r.chores.update = true
	r.engage()
	r.mu.Unlock()
	r.kick()
}

// catchUp tells the newest update to the members that were not told it.
func (r *Room) catchUp() {
	r.throttle.armed, r.throttle.told = false, time.Now()
	now := r.snapshot()
	a := r.newAnnouncement(r.show(now, nil), now, nil, nil, nil)
	for _, m := range r.recipients {
		a.tell(m)
	}
}
