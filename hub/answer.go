package hub

import (
	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/replica"
	"github.com/caddyws/caddy-websocket/socket"
)

// answer tells everybody what came of a batch: the senders their replies, then
// everybody the events and the final state. A sender is told the events before
// its reply before it: versions never fall.
func (r *Room) answer(batch []operation, results []replica.Result, now shown) *announcement {
	a := newAnnouncement(results, now, r.news)
	r.news = a.update
	a.held = a.updated && r.pace.holds(r)
	senders := gather(batch)
	defer letGo(senders)
	for i, op := range batch {
		a.tellEvents(op.from, i)
		op.from.reply(results[i], now)
	}
	r.announce(a, senders)
	return a
}

// gather returns the senders of a batch, each once, and starts to collect what
// they are told.
func gather(batch []operation) []*Member {
	var senders []*Member
	for _, op := range batch {
		m := op.from
		if m.turn.taking {
			continue
		}
		m.turn.taking, m.turn.version, m.turn.heard = true, 0, 0
		senders = append(senders, m)
		m.port.Cork()
	}
	return senders
}

// letGo sends what was collected since gather.
func letGo(senders []*Member) {
	for _, m := range senders {
		m.turn.taking = false
		m.port.Uncork()
	}
}

// reply tells m the result of one of its operations.
func (m *Member) reply(res replica.Result, now shown) {
	switch {
	case res.Panicked:
		return
	case res.Err != nil:
		m.sendError(res.Err)
		return
	}
	m.turn.version = res.Version
	if res.Outcome.Reply.Empty() {
		return
	}
	if p := encode(kindReply, m.language, now, res.Version, res.Outcome.Reply); len(p) > 0 {
		m.Send(apps.Message{Data: p})
	}
}

// announcement is what everybody is told of a commit, encoded once in each
// language that somebody speaks.
type announcement struct {
	now     shown
	results []replica.Result
	update  apps.Body // the last one, perhaps of an earlier commit
	updated bool      // it is of this one
	held    bool      // it is not to be told yet
	events  bool      // there are some
	behind  []*Member // as events were sent to them

	said [languages]struct {
		update *socket.Run
		events []byte // encoded
		ends   []int  // where the events of the first n operations end
	}
}

func newAnnouncement(results []replica.Result, now shown, news apps.Body) *announcement {
	a := &announcement{now: now, results: results, update: news}
	for i := range results {
		if out := &results[i].Outcome; results[i].Err == nil {
			if !out.Update.Empty() {
				a.update, a.updated = out.Update, true
			}
			a.events = a.events || len(out.Events) > 0
		}
	}
	return a
}

// updateIn returns the update in a language.
func (a *announcement) updateIn(l language) *socket.Run {
	s := &a.said[l]
	if s.update == nil {
		s.update = socket.NewRun(l.run(kindUpdate, a.now, a.now.version, 0, a.update))
	}
	return s.update
}

// eventsIn returns the events in a language, and where those of the first n
// operations end.
func (a *announcement) eventsIn(l language) (events []byte, ends []int) {
	s := &a.said[l]
	if s.ends != nil {
		return s.events, s.ends
	}
	s.ends = make([]int, 1, 1+len(a.results))
	for _, res := range a.results {
		for i, event := range res.Outcome.Events {
			if !event.Empty() {
				s.events = append(s.events, l.run(kindEvent, a.now, res.Version, i+1, event)...)
			}
		}
		s.ends = append(s.ends, len(s.events))
	}
	return s.events, s.ends
}

// tellEvents sends m the events of the first n operations, as far as it has not
// heard them.
func (a *announcement) tellEvents(m *Member, n int) {
	if !a.events {
		return
	}
	events, ends := a.eventsIn(m.language)
	if heard := int(m.turn.heard); heard < ends[n] {
		if m.port.Write(socket.NewRun(events[heard:ends[n]])) {
			a.behind = append(a.behind, m)
		}
		m.turn.heard = int32(ends[n])
	}
}

// size is how many bytes the events are in a queue, at most.
func (a *announcement) size() (most int) {
	for i := range a.said {
		most = max(most, len(a.said[i].events))
	}
	return most
}

// tell sends m the events and the update. While an answer is owed to m the update
// waits for it, and then for a commit that brings the last such answer; it also
// waits while the room's pace holds it. Who was told as much by its own reply
// needs none.
func (a *announcement) tell(m *Member) {
	a.tellEvents(m, len(a.results))
	m.turn.heard = 0
	switch {
	case !a.updated && !m.turn.missed:
		return
	case m.turn.taking && m.turn.version == a.now.version:
		m.turn.missed = false
		return
	case m.turn.owed || a.held:
		m.turn.missed = true
		return
	}
	m.turn.missed = false
	if update := a.updateIn(m.language); len(update.Bytes()) > 0 {
		m.port.Update(update)
	}
}

// announce tells the members that settle chose; without any news only the
// senders, who may have missed an update while they waited.
func (r *Room) announce(a *announcement, senders []*Member) {
	audience := r.crowd
	if !a.updated && !a.events {
		audience = senders
	}
	for _, m := range audience {
		a.tell(m)
	}
}
