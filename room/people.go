package room

import (
	"time"

	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/presence"
)

// people is who is in a room, as far as members have come by routes with the option presence.
// These members are told, but for those that are told texts only. The telling takes place
// beside the turns, so that nothing else in the room waits for it: on the goroutine of a
// timer, one at a time. What is told is encoded once for all.
//
// The room stays in memory as long as somebody is there, or may come back.
//
// All of it is guarded by Room.mu.
type people struct {
	roster    *presence.Roster
	newcomers []*Member // that are still to be told who is there
	timer     *time.Timer
	due       time.Time // what the timer is set for; zero: it is not set
	telling   bool      // tellPeople is under way
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
	if r.people == nil {
		r.people = &people{roster: presence.NewRoster()}
		r.Retain()
	}
	p := r.people
	m.presence = counted
	if who := m.person(); p.roster.Join(who) {
		r.noteComing(cameIn, who)
	}
	if m.hearsOfPeople() {
		p.newcomers = append(p.newcomers, m)
		p.roster.Greet()
	}
	r.remindOfPeople()
}

// part takes m out of the people, if it is one of them. mu is held. It reports whether the
// caller has to release the room.
func (r *Room) part(m *Member) (release bool) {
	if m.presence == uncounted || r.people == nil {
		return false
	}
	m.presence = uncounted
	if who := m.person(); r.people.roster.Leave(who, m.route.Config().Presence.Grace, time.Now()) {
		r.noteComing(wentOut, who)
	}
	return r.goOnWithPeople()
}

// goOnWithPeople sets the timer for what comes next. If nobody is there any more it ends, and
// reports that the caller has to release the room. mu is held.
func (r *Room) goOnWithPeople() (release bool) {
	if p := r.people; p.roster.Count() > 0 || p.telling {
		r.remindOfPeople()
		return false
	}
	r.endPeople()
	return true
}

// endPeople forgets who is there. mu is held.
func (r *Room) endPeople() {
	if timer := r.people.timer; timer != nil {
		timer.Stop()
	}
	r.people = nil
}

// ForgetPeople ends the option presence, now that everybody has to go.
func (r *Room) ForgetPeople() {
	r.mu.Lock()
	had := r.people != nil
	if had {
		r.endPeople()
	}
	r.mu.Unlock()
	if had {
		r.Release()
	}
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
	next := p.roster.Next()
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

// tellPeople does what is due.
func (r *Room) tellPeople(p *people) {
	r.mu.Lock()
	if r.people != p || p.telling {
		r.mu.Unlock()
		return
	}
	r.Retain()
	defer r.Release()
	p.telling, p.due = true, time.Time{}
	now := time.Now()
	for _, who := range p.roster.Expire(now) {
		r.noteComing(wentOut, who)
	}
	t := r.nextTidings(now)
	r.mu.Unlock()
	t.tell()
	r.mu.Lock()
	p.telling = false
	release := r.people == p && r.goOnWithPeople()
	r.mu.Unlock()
	if release {
		r.Release()
	}
}

// tidings is what is told of people at a time, and to whom.
type tidings struct {
	newcomers, others []*Member
	state, change     *message.Batch
}

// nextTidings takes what is to be told now, if there is anything. mu is held.
func (r *Room) nextTidings(now time.Time) (t tidings) {
	p := r.people
	tick, ok := p.roster.Tick(now)
	if !ok {
		return t
	}
	t.state = message.NewBatch(messageOf(tick.State))
	if t.change = t.state; tick.All {
		t.others = r.informedMembers()
		if tick.Change.Name() != tick.State.Name() {
			t.change = message.NewBatch(messageOf(tick.Change))
		}
	}
	for _, m := range p.newcomers {
		if m.presence == counted { // it has not left meanwhile
			m.presence = informed
			t.newcomers = append(t.newcomers, m)
		}
	}
	p.newcomers = nil
	return t
}

// informedMembers returns the members that have been told who is there. mu is held.
func (r *Room) informedMembers() (all []*Member) {
	for _, m := range r.members {
		if m.presence == informed {
			all = append(all, m)
		}
	}
	return all
}

// messageOf returns the message that tells news of people.
func messageOf(n presence.News) message.Message {
	return message.Message{Kind: message.Presence, Name: n.Name(), JSON: n.JSON()}
}

// tell tells the members.
func (t tidings) tell() {
	for _, m := range t.newcomers {
		m.conn.Present(t.state, t.state)
	}
	for _, m := range t.others {
		m.conn.Present(t.change, t.state)
	}
}

// People tells who is in the room now, as a message of the subprotocol json.
func (r *Room) People() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.people == nil {
		return Nobody()
	}
	return payloadOf(r.people.roster.State())
}

// Nobody is what People tells of an empty room.
func Nobody() []byte { return payloadOf(presence.NewRoster().State()) }

func payloadOf(n presence.News) []byte { return messageOf(n).Payload(message.JSON) }
