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
// The room stays in memory as long as somebody is there, or may come back. Where other
// processes have the room, too, each tells the others who is there by itself; see sharing.go of
// package presence.
//
// All of it is guarded by Room.mu.
type people struct {
	roster    *presence.Roster
	newcomers []*Member // that are still to be told who is there
	timer     *time.Timer
	due       time.Time // what the timer is set for; zero: it is not set
	telling   bool      // tellPeople is under way

	begun     time.Time // when other processes were asked
	lookUntil time.Time // until when somebody outside of the room wants to know
	failed    bool      // others could not be told last time; owned by tellPeople
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
		r.noteComing(cameIn, who)
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
		r.people = &people{roster: presence.NewRoster(), begun: time.Now()}
		if r.shared.Sharing {
			r.people.roster.Share(r.shared.Node)
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
		r.noteComing(wentOut, who)
	}
	return r.goOnWithPeople()
}

// goOnWithPeople sets the timer for what comes next. If nobody is there any more it ends, and
// reports that the caller has to release the room. mu is held.
func (r *Room) goOnWithPeople() (release bool) {
	if p := r.people; !p.roster.IsDone() || p.telling || p.lookUntil.After(time.Now()) {
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
	if r.people == nil {
		r.mu.Unlock()
		return
	}
	farewell := r.people.roster.Farewell()
	r.endPeople()
	r.mu.Unlock()
	if !r.shared.HasOthers() {
		r.Release()
		return
	}
	r.shared.Go(func() {
		defer r.Release()
		_ = r.publishPeople(farewell, speakPatience) // else they find out
	})
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
	if !p.lookUntil.IsZero() && (next.IsZero() || p.lookUntil.Before(next)) {
		return p.lookUntil
	}
	return next
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
	if !p.lookUntil.After(now) {
		p.lookUntil = time.Time{}
	}
	for _, who := range p.roster.Expire(now) {
		r.noteComing(wentOut, who)
	}
	t := r.nextTidings(now)
	list, others := p.roster.Publish(now)
	r.mu.Unlock()
	t.tell()
	if others {
		p.failed = r.publishPeople(list, p.patience()) != nil
	}
	r.mu.Lock()
	p.telling = false
	if others && p.failed {
		p.roster.Unheard(time.Now())
	}
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
		if m.presence == counted && m.route.Config().Presence.On { // it has not left meanwhile
			m.presence = informed
			t.newcomers = append(t.newcomers, m)
		}
	}
	p.newcomers = nil
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
	for i, m := range t.newcomers {
		rest(i)
		m.conn.Present(t.state, t.state)
	}
	for i, m := range t.others {
		rest(i)
		m.conn.Present(t.change, t.state)
	}
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
