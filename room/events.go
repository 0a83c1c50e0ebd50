package room

import (
	"slices"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/replica"
)

// happening is an event that members are told.
type happening struct {
	replica.Event
	from    *Member // whose operation led to it; nil if that is not known, or nobody's
	foreign bool    // another process has committed it
}

// run is the events from start up to but not including end.
type run struct{ start, end int }

// event returns the message that tells an event.
func (s snapshot) event(e replica.Event) message.Message {
	m := s.said(message.Event, e.Version, e.Body)
	m.Name, m.Number = e.Name, e.Number
	return m
}

// standing returns the message that tells an event that goes on, as of a place.
func (s snapshot) standing(e apps.Event, at replica.Place) message.Message {
	return s.event(replica.Event{Event: e, Place: at})
}

// foreign returns the events since the commit before that no operation of this process has
// led to, as far as they are kept.
func foreign(before, now snapshot, own ...[]replica.Result) (others []replica.Event) {
	if now.epoch == before.epoch && now.events.Total == before.events.Total {
		return nil
	}
	shown := before.version
	if now.epoch != before.epoch {
		shown = 0
	}
	mine := make(map[uint64]bool)
	for _, results := range own {
		for i := range results {
			if res := &results[i]; res.Counts() && len(res.Outcome.Events) > 0 {
				mine[res.Version] = true
			}
		}
	}
	for _, e := range now.events.Kept {
		if e.Version > shown && !mine[e.Version] {
			others = append(others, e)
		}
	}
	return others
}

// happen adds an event.
func (a *announcement) happen(e happening) {
	n := len(a.happened)
	a.happened = append(a.happened, e)
	a.events.Add(a.now.event(e.Event))
	switch last := len(a.public) - 1; {
	case e.To != apps.Audience{}:
	case last >= 0 && a.public[last].end == n:
		a.public[last].end++
	default:
		a.public = append(a.public, run{n, n + 1})
	}
}

// allPublic reports whether all events are for everybody.
func (a *announcement) allPublic() bool {
	return len(a.happened) == 0 || len(a.public) == 1 && a.public[0] == run{0, len(a.happened)}
}

// tellEvents sends m the events of the first n operations that are for it, as far as it has
// not heard them.
func (a *announcement) tellEvents(m *Member, n int) {
	next := run{int(m.turn.heard), a.ends[n]}
	if next.start >= next.end {
		return
	}
	m.turn.heard = int32(next.end)
	if a.allPublic() && !m.turn.outside {
		a.write(m, next)
		return
	}
	a.tellSome(m, next)
}

// tellSome sends m those of the events that are for it.
func (a *announcement) tellSome(m *Member, among run) {
	names := m.claimed()
	if len(names) == 0 && !m.turn.taking { // nothing is for it alone
		for _, r := range a.public {
			a.write(m, run{max(r.start, among.start), min(r.end, among.end)})
		}
		return
	}
	start := among.start
	for i := among.start; i < among.end; i++ {
		if !a.isFor(m, names, &a.happened[i]) {
			a.write(m, run{start, i})
			start = i + 1
		}
	}
	a.write(m, run{start, among.end})
}

// isFor reports whether m, which has claimed names, is told an event. What a name that it
// has claimed only now stands for, it is told by tellStanding.
func (a *announcement) isFor(m *Member, names []string, e *happening) bool {
	switch claim := e.To.Claim(); {
	case e.To.Sender():
		return e.from == m
	case m.turn.outside:
		return false
	case claim != "":
		return slices.Contains(names, claim) && !slices.Contains(a.fresh[m], claim)
	}
	return true
}

// write sends m a run of events.
func (a *announcement) write(m *Member, r run) {
	if r.start < r.end && m.conn.Write(a.events.Slice(r.start, r.end)) {
		a.behind = append(a.behind, m)
	}
}

// tellStanding sends m what goes on for the names that it has claimed with this commit.
func (a *announcement) tellStanding(m *Member) {
	if len(a.fresh) == 0 || len(a.fresh[m]) == 0 {
		return
	}
	b := message.NewBatch()
	for _, e := range a.room.standing(a.fresh[m]) {
		b.Add(a.now.standing(e, replica.Place{Version: a.now.version}))
	}
	a.room.traceMessages(m, b)
	if b.Len() > 0 && m.conn.Write(b) {
		a.behind = append(a.behind, m)
	}
}

// standing returns the events that go on for some names.
func (r *Room) standing(names []string) (all []apps.Event) {
	for _, name := range names {
		for _, e := range r.replica.Standing(name) {
			if !e.Body.Empty() {
				all = append(all, e)
			}
		}
	}
	return all
}
