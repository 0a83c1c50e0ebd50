package room

import "github.com/caddyws/caddy-websocket/tally"

// Len is the number of members.
func (r *Room) Len() int { return r.len() }

// MemberView is a member as an operator is shown it.
type MemberView struct {
	ID       string
	User     string
	ClientIP string
	Rights
	tally.Connection
}

// View shows the member as it is now.
func (m *Member) View() MemberView {
	return MemberView{ID: connectionID(m.number), User: m.User(), ClientIP: m.clientIP, Rights: m.Rights(), Connection: m.conn.Stats()}
}

// Stats tells how the member's connection stands.
func (m *Member) Stats() tally.Connection { return m.conn.Stats() }

// Number counts the members of the process: one that came later has a higher number.
func (m *Member) Number() uint64 { return m.number }

// User is the authenticated user, or empty.
func (m *Member) User() string { return m.App().User() }

// ID names the member's connection.
func (m *Member) ID() string { return connectionID(m.number) }
