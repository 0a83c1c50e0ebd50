package room

import (
	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/message"
)

// Passage is one thing that passes in a room, as a trace shows it.
type Passage struct {
	Kind   PassageKind
	Room   *Room
	Member *Member // the one that says it or is told; nil for everybody in the room
	Data   []byte  // valid during the call of the Tracer
	Binary bool
	Code   frames.CloseCode // of a Left
}

// PassageKind is what a passage is about.
type PassageKind string

// The kinds.
const (
	Joined    PassageKind = "joined"    // a member has come in
	Left      PassageKind = "left"      // and has gone
	Received  PassageKind = "received"  // a client has sent a message
	Sent      PassageKind = "sent"      // one client is told something: a reply, a refusal, the state
	Published PassageKind = "published" // a message for everybody
	Updated   PassageKind = "updated"   // the new state, for everybody who is not told it by a reply
	Raised    PassageKind = "raised"    // an event of the app
)

// Tracer is told what passes in all rooms. It is called with locks of rooms held, by many
// goroutines, and must neither block nor call a room or member.
type Tracer func(Passage)

// SetTracer has what passes traced from now on, or, with nil, not any more.
func (s *Shared) SetTracer(t Tracer) {
	if t == nil {
		s.tracer.Store(nil)
		return
	}
	s.tracer.Store(&t)
}

// trace tells the tracer, if there is one, what passes.
func (r *Room) trace(kind PassageKind, m *Member, data []byte, binary bool) {
	if t := r.shared.tracer.Load(); t != nil {
		(*t)(Passage{Kind: kind, Room: r, Member: m, Data: data, Binary: binary})
	}
}

// TraceEnd tells the tracer that the member's connection has ended.
func (m *Member) TraceEnd(code frames.CloseCode, reason string) {
	if t := m.room.shared.tracer.Load(); t != nil {
		(*t)(Passage{Kind: Left, Room: m.room, Member: m, Data: []byte(reason), Code: code})
	}
}

// trace tells the tracer which events have happened, and to whom.
func (a *announcement) trace() {
	if a.room.shared.tracer.Load() == nil {
		return
	}
	for _, e := range a.happened {
		to := (*Member)(nil)
		if e.To.Sender() {
			to = e.from
		}
		a.room.traceBody(Raised, to, e.Body)
	}
}

// traceMessages tells the tracer what one member is told.
func (r *Room) traceMessages(m *Member, b *message.Batch) {
	if r.shared.tracer.Load() == nil {
		return
	}
	for said := range b.All() {
		r.traceBody(Sent, m, apps.Body{Text: said.Text, JSON: said.JSON})
	}
}

// traceBody is trace for what is told in one of two formats.
func (r *Room) traceBody(kind PassageKind, m *Member, b apps.Body) {
	data := b.Text
	if len(data) == 0 {
		data = b.JSON
	}
	r.trace(kind, m, data, false)
}
