package room

import (
	"errors"

	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/route"
)

// Why a client cannot enter a room.
var (
	// ErrForbidden wraps what the app's Join returned.
	ErrForbidden = errors.New("app refused the connection")
	// ErrFailed wraps a panic of the app, with its stack.
	ErrFailed = errors.New("app failed")
	// ErrUnavailable wraps why the room's state could not be read.
	ErrUnavailable = errors.New("room is not available")
)

// Admit asks the app whether a visitor may enter and makes it a member, over the
// connection that connect returns. The others do not see it before Enter, and Depart
// must be called in the end. The caller's reference becomes the member's; an error,
// [ErrForbidden] or [ErrFailed], leaves it to the caller.
func (r *Room) Admit(rt *route.Route, v Visitor, connect func(*Member) Conn) (*Member, error) {
	m := newMember(r, rt, v)
	m.conn = connect(m)
	if err := m.callJoin(v.Handshake); err != nil {
		m.end()
		return nil, err
	}
	if err := m.callGreets(); err != nil {
		m.end()
		m.tellLeave() // as after every Join
		return nil, err
	}
	return m, nil
}

// Enter makes m a member that others see: what it is shown and its place in the order
// are one step, at once or, if it is to be told what came before, in the room's next turn.
func (m *Member) Enter() {
	r := m.room
	r.mu.Lock()
	m.place = int32(len(r.members))
	r.members = append(r.members, m)
	r.trace(Joined, m, nil, false)
	if m.arriving = r.keeps || r.stateful && m.asksForEvents(); !m.arriving {
		r.greet(m)
		r.mu.Unlock()
		return
	}
	r.arrivals = append(r.arrivals, m)
	r.engage()
	r.mu.Unlock()
	r.kick()
}

// greet shows the state to a joining member that is to see it, after the answers
// to what its app did in its name before, or versions would fall. mu is held.
func (r *Room) greet(m *Member) {
	if !m.greets || m.arriving || m.place < 0 || m.unanswered > 0 {
		return
	}
	m.greets = false
	if state := r.last.state(); !m.hasSeen(state) {
		r.trace(Sent, m, state.Text, false)
		m.conn.Write(message.NewBatch(state))
	}
}

// Exit takes m out of the members.
func (m *Member) Exit() {
	r := m.room
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.place < 0 {
		return
	}
	last := len(r.members) - 1
	r.members[m.place] = r.members[last]
	r.members[m.place].place = m.place
	r.members[last] = nil
	r.members = r.members[:last]
	m.place = -1
}
