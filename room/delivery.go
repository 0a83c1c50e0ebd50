package room

import (
	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/replica"
)

// answer tells everybody what came of a batch: the senders their replies, then
// everybody the events and the final state. A sender is told the events before
// its reply before it: versions never fall.
func (r *Room) answer(batch []operation, results, unasked []replica.Result, before, now snapshot) *announcement {
	a := r.newAnnouncement(before, now, batch, results, unasked)
	r.lastUpdate = a.update
	a.fresh = r.takeClaims(batch, results)
	a.trace()
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
	if res.Panicked {
		return
	}
	if err := m.judge(res.Err, op.stamp); err != nil {
		m.tellFault(err, op.stamp, res.Repeat)
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
	room      *Room
	now       snapshot
	update    apps.Body // the last one, perhaps of an earlier commit
	updated   bool      // it is of this one
	throttled bool      // it is not to be told yet
	behind    []*Member // as events were sent to them

	happened []happening
	events   message.Batch        // that tells them
	public   []run                // of those for everybody
	ends     []int                // ends[i] is how many events the first i operations have
	fresh    map[*Member][]string // names that members have claimed by this commit

	updates *message.Batch // the update, once somebody is told it
}

// newAnnouncement is for what has happened since a commit before: by the operations of a
// batch, by others that nobody waits for, and in other processes.
func (r *Room) newAnnouncement(before, now snapshot, batch []operation, results, unasked []replica.Result) *announcement {
	a := &announcement{room: r, now: now, update: r.lastUpdate, ends: make([]int, 0, 1+len(results))}
	others := foreign(before, now, results, unasked)
	for i := range unasked {
		others = a.add(others, &unasked[i], nil)
	}
	a.ends = append(a.ends, len(a.happened))
	for i := range results {
		others = a.add(others, &results[i], batch[i].from)
		a.ends = append(a.ends, len(a.happened))
	}
	for _, e := range others {
		a.happen(happening{Event: e, foreign: true})
	}
	a.ends[len(results)] = len(a.happened)
	if !a.updated && isForeign(before, now, results, unasked) {
		a.update, a.updated = now.view, true
	}
	return a
}

// isForeign reports whether the state since the commit before has changed by something else
// than operations of this process: others have stored it, or the engine has lost some.
func isForeign(before, now snapshot, own ...[]replica.Result) bool {
	version := before.version
	for _, results := range own {
		for i := range results {
			if results[i].Counts() {
				version++
			}
		}
	}
	return now.epoch != before.epoch || now.version < before.version || now.version > version
}

// add adds what an operation leads to, behind those of the others that come before it. It
// returns the rest of them.
func (a *announcement) add(others []replica.Event, res *replica.Result, from *Member) []replica.Event {
	if !res.Counts() {
		return others
	}
	for ; len(others) > 0 && others[0].Version < res.Version; others = others[1:] {
		a.happen(happening{Event: others[0], foreign: true})
	}
	switch {
	case res.Outcome.Show:
		a.update, a.updated = a.now.view, true
	case !res.Outcome.Update.Empty():
		a.update, a.updated = res.Outcome.Update, true
	}
	for _, e := range res.Events() {
		a.happen(happening{Event: e, from: from})
	}
	return others
}

// tellUpdate sends m the update.
func (a *announcement) tellUpdate(m *Member) {
	if a.updates == nil {
		if a.update.Empty() { // nothing has been updated since the room was loaded
			a.update = a.now.view
		}
		a.updates = message.NewBatch(a.now.said(message.Update, a.now.version, a.update))
		m.room.traceBody(Updated, nil, a.update)
	}
	m.conn.Update(a.updates)
}

// tell sends m the events and the update. While an answer is owed to m the update
// waits for it, and then for a commit that brings the last such answer; it also
// waits while the room's throttle holds it. A sender that was told as much by its own
// reply needs none.
func (a *announcement) tell(m *Member) {
	a.tellEvents(m, len(a.ends)-1)
	a.tellStanding(m)
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
// senders, which may have missed an update while they waited. Senders that are not in the
// room are told what is for the sender alone.
func (r *Room) announce(a *announcement, senders []*Member) {
	audience := r.recipients
	if !a.updated && len(a.happened) == 0 {
		audience = senders
	}
	for _, m := range audience {
		a.tell(m)
	}
	for _, m := range senders {
		if m.turn.outside {
			a.tellEvents(m, len(a.ends)-1)
		}
	}
}
