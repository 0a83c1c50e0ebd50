package room

import (
	"context"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
)

// Touch has it stored that the room is used, if a route forgets unused rooms. It does not
// wait.
func (r *Room) Touch() {
	if !r.Stores() || r.config().Forget <= 0 {
		return
	}
	r.mu.Lock()
	if r.retired || r.last.epoch == "" {
		r.mu.Unlock()
		return
	}
	r.chores.touch = true
	r.engage()
	r.mu.Unlock()
	r.kick()
}

// touch is the turn of Touch. What the replica has found stored meanwhile is told, and
// what it could not find out is settled later.
func (r *Room) touch(ctx context.Context) {
	r.stored(r.replica.Touch(ctx, TouchStep(r.follows.Forget)))
}

// stored acts on what storing the state anew, without an operation, has shown.
func (r *Room) stored(seenAnother bool, err error) {
	if err != nil {
		r.report(err)
	}
	switch {
	case seenAnother:
		r.tellState()
	case r.shared.HasOthers(): // which may have told events outside
		r.handOut(r.snapshot(), nil)
	}
	r.settleLater()
}

// tellState tells all members the state, which is not by an operation that they have been
// told of.
func (r *Room) tellState() {
	if r.keeps {
		r.tellFresh()
		return
	}
	now := r.snapshot()
	a := r.newAnnouncement(r.show(now, nil), now, nil, nil, r.replica.Late())
	a.update, r.lastUpdate = apps.Body{}, apps.Body{} // the view is told instead
	a.throttled = r.throttle.holds(r)
	for _, m := range r.recipients {
		m.turn.missed = true
		a.tell(m)
	}
	r.handOut(now, a.happened)
}

// TouchStep is how exactly the last use of a room is stored that is forgotten after a
// time: a quarter of it, between a minute and an hour.
func TouchStep(forget time.Duration) time.Duration {
	return min(max(forget/4, time.Minute), time.Hour)
}
