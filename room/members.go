package room

import (
	"math"

	"github.com/caddyws/caddy-websocket/tally"
)

// membersAtOnce is how many members are looked at while the room is locked.
const membersAtOnce = 512

// EachMember calls f for the members there are. The room is locked only for moments, and
// not during a call. A member that is there all the time is passed at least once, and
// twice if others leave meanwhile; one that enters meanwhile may be missed.
func (r *Room) EachMember(f func(*Member)) {
	some := make([]*Member, 0, membersAtOnce)
	for end := math.MaxInt; end > 0; {
		some, end = r.membersBefore(end, some[:0])
		for _, m := range some {
			f(m)
		}
	}
}

// membersBefore appends some members that stand before end, and returns where the first
// of them does. Exit moves a member only to an earlier place: who goes through the places
// from the last to the first misses nobody.
func (r *Room) membersBefore(end int, some []*Member) (_ []*Member, start int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	end = min(end, len(r.members))
	start = max(0, end-membersAtOnce)
	return append(some, r.members[start:end]...), start
}

// Len is the number of members.
func (r *Room) Len() int { return r.len() }

// MemberView is a member as an operator is shown it.
type MemberView struct {
	ID       string
	User     string
	ClientIP string
	tally.Connection
}

// View shows the member as it is now.
func (m *Member) View() MemberView {
	return MemberView{ID: connectionID(m.number), User: m.User(), ClientIP: m.clientIP, Connection: m.conn.Stats()}
}

// Stats tells how the member's connection stands.
func (m *Member) Stats() tally.Connection { return m.conn.Stats() }

// Number counts the members of the process: one that came later has a higher number.
func (m *Member) Number() uint64 { return m.number }

// User is the authenticated user, or empty.
func (m *Member) User() string { return m.App().User() }
