package room

import (
	"context"
	"time"

	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/presence"
)

// people is who is in a room, as far as members have come by routes with the option presence.
// These members are told, but for those that are told texts only. The telling takes place
// beside the turns, so that nothing else in the room waits for it: on the goroutine of a
// timer, one at a time. What is told is encoded once for all.
//
// The room stays in memory as long as somebody is there, or may come back, unless the hub has
// too many rooms (LetGo). Where other processes have the room, too, each tells the others who
// is there by itself; see sharing.go of package presence.
//
// All of it is guarded by Room.mu.
type people struct {
	roster    *presence.Roster
	newcomers []*Member // that are still to be told who is there
	timer     *time.Timer
	due       time.Time // what the timer is set for; zero: it is not set
	shown     *shown    // what People has told last; nil: nothing
	telling   bool      // tellPeople is under way

	pausedUntil time.Time // nothing is done before that, after a panic

	begun     time.Time // when other processes were asked
	lookUntil time.Time // until when somebody outside of the room wants to know
	looking   int       // how many of them wait for their answers
	failed    bool      // others could not be told last time; owned by tellPeople

	ending bool // everybody has to go; see people_end.go
	parted bool // others have been told the last
}

// presenceOf is what a member has to do with the people in the room.
type presenceOf uint8

const (
	uncounted presenceOf = iota // it is none of them
	counted                     // it is one of them
	informed                    // and has been told who is there
)

// person is who the member is.
func (m *Member) person() presence.Person {
	if user := m.User(); user != "" {
		return presence.Person{User: user}
	}
	return presence.Person{ID: connectionID(m.number)}
}

// hearsOfPeople reports whether the member has a format in which it can be told who is there.
func (m *Member) hearsOfPeople() bool { return m.format != message.Text }

// meet counts m among the people. mu is held.
func (r *Room) meet(m *Member) {
	if r.shared.isClosing() {
		return
	}
	p := r.needPeople()
	m.presence = counted
	if who := m.person(); p.roster.Join(who) {
		r.noteComing(cameIn, who, p.roster.Count())
	}
	if m.hearsOfPeople() {
		p.newcomers = append(p.newcomers, m)
		p.roster.Greet()
	}
	r.remindOfPeople()
}

// needPeople returns the people, as those of an empty room if there are none. mu is held.
func (r *Room) needPeople() *people {
	if r.people == nil {
		now := time.Now()
		r.people = &people{roster: presence.NewRoster(), begun: now}
		if r.shared.Sharing {
			r.people.roster.Share(r.shared.Node, now)
		}
		r.Retain()
	}
	return r.people
}

// part takes m out of the people, if it is one of them. mu is held. It reports whether the
// caller has to release the room.
func (r *Room) part(m *Member) (release bool) {
	if m.presence == uncounted || r.people == nil {
		return false
	}
	m.presence = uncounted
	if who := m.person(); r.people.roster.Leave(who, m.route.Config().Presence.Grace, time.Now()) {
		r.noteComing(wentOut, who, r.people.roster.Count())
	}
	return r.goOnWithPeople()
}

// goOnWithPeople sets the timer for what comes next. If nobody is there any more it ends, and
// reports that the caller has to release the room. mu is held.
func (r *Room) goOnWithPeople() (release bool) {
	if !r.people.isDone() {
		r.remindOfPeople()
		return false
	}
	r.endPeople()
	return true
}

// isDone reports whether there is nothing more to tell, and nobody who wants to know.
func (p *people) isDone() bool {
	switch {
	case p.telling:
		return false
	case p.ending:
		return p.parted
	}
	return p.roster.IsDone(time.Now()) && p.looking == 0 && !p.lookUntil.After(time.Now())
}

// endPeople forgets who is there. mu is held.
func (r *Room) endPeople() {
	if timer := r.people.timer; timer != nil {
		timer.Stop()
	}
	r.people = nil
}

// HasPeople reports whether people keep the room in memory: they are there, may come back, or
// somebody has asked for them lately.
func (r *Room) HasPeople() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.people != nil
}

// LetGo has people keep the room in memory no longer, if nobody is in it: whoever may come
// back has left.
func (r *Room) LetGo() {
	defer r.catch()
	if r.endGrace() {
		r.Release()
	}
}

// endGrace reports whether the caller has to release the room.
func (r *Room) endGrace() (release bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.people
	if p == nil || len(r.members) > 0 {
		return false
	}
	p.lookUntil = time.Time{}
	r.noteLeft(p.roster.EndGrace())
	return r.goOnWithPeople()
}

// reviewPresence follows the option presence of the member's route, which may have changed.
func (m *Member) reviewPresence() {
	r := m.room
	on := m.route.Config().Presence.On
	r.mu.Lock()
	var release bool
	switch {
	case m.place < 0: // it has left
	case on && m.presence == uncounted:
		r.meet(m)
	case !on:
		release = r.part(m)
	}
	r.mu.Unlock()
	if release {
		r.Release()
	}
}

// remindOfPeople sets the timer for what comes next. mu is held.
func (r *Room) remindOfPeople() {
	p := r.people
	next := p.next()
	if p.telling || next.IsZero() || !p.due.IsZero() && !p.due.After(next) {
		return
	}
	p.due = next
	wait := max(0, time.Until(next))
	if p.timer == nil {
		p.timer = time.AfterFunc(wait, func() { r.tellPeople(p) })
		return
	}
	p.timer.Reset(wait)
}

// next returns when there is something to do; zero if never.
func (p *people) next() time.Time {
	next := p.roster.Next()
	if p.ending && !p.roster.Connected() {
		next = time.Now()
	}
	if !p.lookUntil.IsZero() && (next.IsZero() || p.lookUntil.Before(next)) {
		next = p.lookUntil
	}
	if !next.IsZero() && next.Before(p.pausedUntil) {
		return p.pausedUntil
	}
	return next
}

// panicPause is how long nothing is told after a panic: it may be there again.
const panicPause = time.Second

// tellPeople does what is due. A panic ends neither Caddy nor the telling: after it all are
// told a state.
func (r *Room) tellPeople(p *people) {
	if !r.beginTelling(p) {
		return
	}
	defer r.Release()
	defer r.catch()
	panicked := true
	defer func() { r.endTelling(p, panicked) }()
	t := r.takeTidings(p)
	t.tell()
	switch {
	case t.last:
		r.sayFarewell(p, t.list)
	case t.publishes:
		r.tellOthers(p, t.list)
	}
	panicked = false
}

// tellOthers tells other processes who is here, and notes whether they could be told.
func (r *Room) tellOthers(p *people, l presence.List) {
	ctx, cancel := context.WithTimeout(r.shared.Context, p.patience())
	defer cancel()
	if p.failed = r.publishPeople(ctx, l) != nil; !p.failed {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p.roster.Unheard(time.Now())
}

// beginTelling reports whether the caller is to do what is due. Then it has a reference.
func (r *Room) beginTelling(p *people) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.people != p || p.telling {
		return false
	}
	r.Retain()
	p.telling, p.due = true, time.Time{}
	return true
}

// takeTidings takes what is to be told now.
func (r *Room) takeTidings(p *people) (t tidings) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if !p.lookUntil.After(now) {
		p.lookUntil = time.Time{}
	}
	r.noteLeft(p.roster.Expire(now))
	t = r.nextTidings(p, now)
	t.list, t.publishes = p.roster.Publish(now)
	if p.ending {
		t.newcomers, t.others = nil, nil
		if !p.roster.Connected() {
			t.list, t.publishes, t.last = p.roster.Farewell(), true, true
		}
	}
	return t
}

// endTelling goes on with what comes next.
func (r *Room) endTelling(p *people, panicked bool) {
	if r.concludeTelling(p, panicked) {
		r.Release()
	}
}

// concludeTelling reports whether the caller has to release the room.
func (r *Room) concludeTelling(p *people, panicked bool) (release bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.telling = false
	if panicked {
		r.tellAnew(p)
	}
	return r.people == p && r.goOnWithPeople()
}

// tellAnew has all told a state later: some may have missed something. mu is held.
func (r *Room) tellAnew(p *people) {
	p.pausedUntil = time.Now().Add(panicPause)
	p.roster.Restate()
	p.newcomers = nil
	for _, m := range r.members {
		if m.presence != uncounted && m.hearsOfPeople() {
			m.presence = counted
			p.newcomers = append(p.newcomers, m)
		}
	}
}

// tidings is what is told of people at a time, and to whom.
type tidings struct {
	presence.Tick
	newcomers, others []*Member

	list      presence.List // for other processes
	publishes bool          // they are told
	last      bool          // and nothing more
}

// nextTidings takes what is to be told now, if there is anything. mu is held.
func (r *Room) nextTidings(p *people, now time.Time) (t tidings) {
	tick, ok := p.roster.Tick(now)
	if !ok {
		return t
	}
	if t.Tick = tick; tick.All {
		t.others = r.informedMembers()
	}
	newcomers := p.newcomers
	p.newcomers = nil
	for _, m := range newcomers {
		if m.presence == counted && m.route.Config().Presence.On { // it has not left meanwhile
			m.presence = informed
			t.newcomers = append(t.newcomers, m)
		}
	}
	return t
}

// informedMembers returns the members that have been told who is there, and are still to be:
// a reload switches that off for one after the other. mu is held.
func (r *Room) informedMembers() (all []*Member) {
	for _, m := range r.members {
		if m.presence == informed && m.route.Config().Presence.On {
			all = append(all, m)
		}
	}
	return all
}

// messageOf returns the message that tells news of people.
func messageOf(n presence.News) message.Message {
	return message.Message{Kind: message.Presence, Name: n.Name(), JSON: n.JSON()}
}

// tell tells the members. Many are told in bursts, so that their number holds up nobody else.
func (t tidings) tell() {
	if len(t.newcomers)+len(t.others) == 0 {
		return
	}
	state := message.NewBatch(messageOf(t.State))
	change := state
	if t.All && t.Change.Name() != t.State.Name() {
		change = message.NewBatch(messageOf(t.Change))
	}
	for i, m := range t.newcomers {
		rest(i)
		m.present(state, state)
	}
	for i, m := range t.others {
		rest(i)
		m.present(change, state)
	}
}

// present tells m of people. After a panic nobody knows what it was told: it is closed.
func (m *Member) present(change, whole *message.Batch) {
	defer func() {
		if p := recover(); p != nil {
			m.room.reportPanic(p)
			m.conn.Close(frames.InternalError, "internal error")
		}
	}()
	m.conn.Present(change, whole)
}

const (
	burst     = 256 // members that are told in a row
	burstRest = time.Millisecond
)

// rest rests behind a burst, of members that are counted from 0.
func rest(i int) {
	if i > 0 && i%burst == 0 {
		time.Sleep(burstRest)
	}
}
