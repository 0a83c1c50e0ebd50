package room

import (
	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/replica"
)

// answer tells everybody what came of a batch: the senders their replies, then
// everybody the events and the final state. A sender is told the events before
// its reply before it: versions never fall.
func (r *Room) answer(batch []operation, results, late []replica.Result, now snapshot) *announcement {
	a := newAnnouncement(results, late, now, r.lastUpdate)
	r.lastUpdate = a.update
	r.traceEvents(results)
	a.throttled = a.updated && r.throttle.holds(r)
	senders := gather(batch)
	defer letGo(senders)
	for i, op := range batch {
		a.tellEvents(op.from, i)
		op.reply(results[i], now)
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
		m.conn.Cork()
	}
	return senders
}

// letGo sends what was collected since gather.
func letGo(senders []*Member) {
	for _, m := range senders {
		m.turn.taking = false
		m.conn.Uncork()
	}
}

// reply tells the sender of an operation its result.
func (op operation) reply(res replica.Result, now snapshot) {
	m := op.from
	switch {
	case res.Panicked:
		return
	case res.Err != nil:
		m.tellFault(res.Err, op.stamp, res.Repeat)
		return
	}
	m.turn.version = res.Version
	if res.Repeat && res.Version < now.version {
		m.turn.missed = true // the answer is of the past: the present state follows
	}
	reply := now.said(message.Reply, res.Version, res.Outcome.Reply)
	reply.ID, reply.Repeat = op.stamp.answerID(), res.Repeat
	if res.Outcome.Reply.Empty() && reply.ID == nil {
		return
	}
	if p := reply.Payload(m.format); len(p) > 0 {
		m.room.trace(Sent, m, p, false)
		m.conn.Send(p, false)
	}
}

// announcement is what everybody is told of a commit.
type announcement struct {
	now       snapshot
	update    apps.Body // the last one, perhaps of an earlier commit
	updated   bool      // it is of this one
	throttled bool      // it is not to be told yet
	behind    []*Member // as events were sent to them

	events  message.Batch
	ends    []int          // ends[i] is how many events the first i operations have
	updates *message.Batch // the update, once somebody is told it
}

// newAnnouncement is for the results of a batch, and of earlier operations that have been
// found stored late.
func newAnnouncement(results, late []replica.Result, now snapshot, lastUpdate apps.Body) *announcement {
	a := &announcement{now: now, update: lastUpdate, ends: make([]int, 0, 1+len(results))}
	for i := range late {
		a.add(&late[i])
	}
	a.ends = append(a.ends, a.events.Len())
	for i := range results {
		if results[i].Err == nil && !results[i].Repeat {
			a.add(&results[i])
		}
		a.ends = append(a.ends, a.events.Len())
	}
	return a
}

// add adds what an operation leads to.
func (a *announcement) add(res *replica.Result) {
	if !res.Outcome.Update.Empty() {
		a.update, a.updated = res.Outcome.Update, true
	}
	for i, event := range res.Outcome.Events {
		if event.Empty() {
			continue
		}
		m := a.now.said(message.Event, res.Version, event)
		m.Number = i + 1
		a.events.Add(m)
	}
}

// tellEvents sends m the events of the first n operations, as far as it has not
// heard them.
func (a *announcement) tellEvents(m *Member, n int) {
	heard, end := int(m.turn.heard), a.ends[n]
	if heard >= end {
		return
	}
	if m.conn.Write(a.events.Slice(heard, end)) {
		a.behind = append(a.behind, m)
	}
	m.turn.heard = int32(end)
}

// tellUpdate sends m the update.
func (a *announcement) tellUpdate(m *Member) {
	if a.updates == nil {
		if a.update.Empty() { // nothing has been updated since the room was loaded
			a.update = a.now.view
		}
		a.updates = message.NewBatch(a.now.said(message.Update, a.now.version, a.update))
		m.room.traceBody(Updated, a.update)
	}
	m.conn.Update(a.updates)
}

// tell sends m the events and the update. While an answer is owed to m the update
// waits for it, and then for a commit that brings the last such answer; it also
// waits while the room's throttle holds it. A sender that was told as much by its own
// reply needs none.
func (a *announcement) tell(m *Member) {
	a.tellEvents(m, len(a.ends)-1)
	m.turn.heard = 0
	switch {
	case !a.updated && !m.turn.missed:
		return
	case m.turn.taking && m.turn.version == a.now.version:
		m.turn.missed = false
		return
	case m.turn.owed || a.throttled:
		m.turn.missed = true
		return
	}
	m.turn.missed = false
	a.tellUpdate(m)
}

// announce tells the members that show has chosen; without any news only the
// senders, which may have missed an update while they waited.
func (r *Room) announce(a *announcement, senders []*Member) {
	audience := r.recipients
	if !a.updated && a.events.Len() == 0 {
		audience = senders
	}
	for _, m := range audience {
		a.tell(m)
	}
}
