package room

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/replica"
)

// A client that comes back says what it has seen, and is told the events since then that
// are for it, in their order and before the state. If some of them are not kept any more, or
// it has seen another life of the room, it is told that there is a gap, then what is kept.
//
// A client that says nothing is told no events of the past, but for the names that it
// claims: what the app says stands for them now (apps.Stander). After a gap it is told that
// too, as far as it is not among what is kept; and so it is, without a gap, for names that it
// has claimed by operations since it came, which it need not have had before.
//
// All of this takes place in a turn, between two commits. Until then the member is told
// nothing of commits: it would hear of them twice.

// asksForEvents reports whether m may have to be told events of the past. Room.mu is held.
func (m *Member) asksForEvents() bool {
	return m.seen().said && m.room.last.events.Total > 0 || len(m.claimed()) > 0
}

// welcomeLater is for a member that was not in the room when a commit was shown, and has
// claimed a name by it. If it has come in meanwhile it does not know what goes on for that.
func (r *Room) welcomeLater(m *Member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.place >= 0 && !m.arriving {
		m.arriving = true
		r.arrivals = append(r.arrivals, m)
	}
}

// welcome tells members that have just come what has happened before, and the state.
func (r *Room) welcome(arrivals []*Member) {
	for _, m := range arrivals {
		r.welcomeOne(m)
	}
}

func (r *Room) welcomeOne(m *Member) {
	now := r.current()
	b := message.NewBatch()
	for _, said := range r.past(m, now) {
		b.Add(said)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m.arriving = false
	if state := now.state(); m.greets && !m.hasSeen(state) {
		b.Add(state)
	}
	m.greets = false
	if m.place >= 0 && b.Len() > 0 {
		r.traceMessages(m, b)
		m.conn.Write(b)
	}
}

// past returns what m is told that has happened before it came.
func (r *Room) past(m *Member, now snapshot) (all []message.Message) {
	names := m.claimed()
	seen, fresh := m.seen(), m.takeFresh()
	if !seen.said {
		return r.standingAt(names, now, replica.Place{Version: now.version}, nil)
	}
	kept := now.events.After(seen.place)
	if seen.misses(now) {
		kept, fresh = now.events.Kept, nil
		r.tally.Gap()
		all = append(all, now.gap())
		all = append(all, r.standingAt(names, now, now.events.Dropped, kept)...)
	}
	for _, e := range kept {
		if e.To == (apps.Audience{}) || slices.Contains(names, e.To.Claim()) {
			all = append(all, now.event(e))
		}
	}
	return append(all, r.standingAt(fresh, now, replica.Place{Version: now.version}, kept)...)
}

// gap returns the message that says that events are missing, and from where on none is.
func (s snapshot) gap() message.Message {
	at := message.Point{Epoch: s.epoch, Version: s.events.Dropped.Version + 1}
	return message.Message{Kind: message.Gap, At: at, Text: fmt.Appendf(nil, "gap: what happened before %v is not known any more", at)}
}

// standingAt returns what goes on for some names, but for what is among some events.
func (r *Room) standingAt(names []string, now snapshot, at replica.Place, but []replica.Event) (all []message.Message) {
	for _, e := range r.standing(names) {
		if !slices.ContainsFunc(but, func(kept replica.Event) bool { return isSame(kept.Event, e) }) {
			all = append(all, now.standing(e, at))
		}
	}
	return all
}

// isSame reports whether two events say the same.
func isSame(a, b apps.Event) bool {
	return a.Name == b.Name && bytes.Equal(a.Body.Text, b.Body.Text) && bytes.Equal(a.Body.JSON, b.Body.JSON)
}
