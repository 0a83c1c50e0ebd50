package room

import (
	"context"
	"time"

	"github.com/caddyws/caddy-websocket/presence"
)

const (
	// askPatience is how long others are waited for that were asked who is there.
	askPatience = 500 * time.Millisecond
	// lookTime is how long others are heard after somebody outside of the room has asked.
	lookTime = 2 * time.Second
)

// PeopleEverywhere is People for a room that other processes may have, too: those are asked
// first, unless they have been heard already. The caller has a reference.
func (r *Room) PeopleEverywhere(ctx context.Context) []byte {
	p, wait := r.lookAtPeople()
	defer r.lookAway(p)
	ctx, cancel := r.shared.bound(ctx, wait)
	defer cancel()
	<-ctx.Done()
	return r.People()
}

// lookAtPeople has others heard for a while, and returns how long they are to be waited for.
func (r *Room) lookAtPeople() (p *people, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.shared.isClosing() {
		return nil, 0
	}
	p = r.needPeople()
	p.looking++
	p.lookUntil = time.Now().Add(lookTime)
	r.remindOfPeople()
	return p, time.Until(p.begun.Add(askPatience))
}

// lookAway ends what lookAtPeople has begun.
func (r *Room) lookAway(p *people) {
	if p != nil && r.endLook(p) {
		r.Release()
	}
}

// endLook reports whether the caller has to release the room.
func (r *Room) endLook(p *people) (release bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.looking--
	return r.people == p && r.goOnWithPeople()
}

// hearPeople takes what another process tells of people. It is of no use where nobody wants to
// know.
func (r *Room) hearPeople(told []byte) {
	l, err := presence.ParseList(told)
	if err != nil {
		r.shared.warn("what another process says is not understood", r.key, err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.people != nil {
		r.people.roster.Hear(l, time.Now())
		r.remindOfPeople()
	}
}

// askForPeople tells others, and asks them, at once: what was told lately may be lost.
func (r *Room) askForPeople() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.people != nil {
		r.people.roster.Ask()
		r.remindOfPeople()
	}
}

// publishPeople tells other processes who is here.
func (r *Room) publishPeople(ctx context.Context, l presence.List) error {
	o := r.shared.others.Load()
	if o == nil {
		return errDeaf
	}
	err := r.shared.publish(ctx, r.key, l.Bytes(o.most))
	if err != nil && r.shared.Store.Failed != nil {
		r.shared.Store.Failed("publish")
	}
	return err
}

// patience is how long an engine is waited for: while it cannot be reached not at all.
func (p *people) patience() time.Duration {
	if p.failed {
		return 0
	}
	return speakPatience
}
