package room

import (
	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/replica"
)

// Passage is one thing that passes in a room, as a trace shows it.
type Passage struct {
	Kind   PassageKind
	Room   *Room
	Member *Member // who says it, or is told; nil for everybody in the room
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
	Raised    PassageKind = "raised"    // an event of the app, for everybody
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

// traceEvents tells the tracer which events a batch leads to.
func (r *Room) traceEvents(results []replica.Result) {
	if r.shared.tracer.Load() == nil {
		return
	}
	for i := range results {
		if results[i].Err != nil || results[i].Repeat {
			continue
		}
		for _, event := range results[i].Outcome.Events {
			r.traceBody(Raised, event)
		}
	}
}

// traceBody is trace for what everybody is told in one of two formats.
func (r *Room) traceBody(kind PassageKind, b apps.Body) {
	data := b.Text
	if len(data) == 0 {
		data = b.JSON
	}
	r.trace(kind, nil, data, false)
}
