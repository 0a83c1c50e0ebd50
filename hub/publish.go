package hub

import (
	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/frames"
)

// outbox is the messages that wait to be sent to the members, encoded one after
// another: a member to whom all of them go gets them in one piece, which all
// such members share.
type outbox struct {
	run     []byte
	excepts []except
	holds   []hold
}

// except is a message in the run that some member is not sent.
type except struct {
	member     *Member
	start, end int
}

// hold is a message whose sender is not read on and on while it waits.
type hold struct {
	member *Member
	bytes  int
}

// publish queues a message for the members.
func (r *Room) publish(from *Member, msg apps.Message, excepts []apps.Conn) {
	op := frames.Text
	if msg.Binary {
		op = frames.Binary
	}
	r.mu.Lock()
	start := len(r.outbox.run)
	r.outbox.run = frames.AppendMessage(r.outbox.run, op, msg.Data)
	for _, c := range excepts {
		if m, ok := c.(*Member); ok {
			r.outbox.excepts = append(r.outbox.excepts, except{m, start, len(r.outbox.run)})
		}
	}
	if c := from.conn.Load(); c != nil {
		c.Hold(len(msg.Data))
		r.outbox.holds = append(r.outbox.holds, hold{from, len(msg.Data)})
	}
	r.mu.Unlock()
	r.kickUnless(from)
}

// kickUnless lets the room act, unless a Flush for m is about to do so.
func (r *Room) kickUnless(m *Member) {
	if !m.handing.Load() {
		r.kick()
	}
}

// send sends the messages to the members.
func (b *outbox) send(members []*Member) {
	excepted := b.byMember()
	for _, m := range members {
		if own, ok := excepted[m]; ok {
			b.sendParts(m, own)
			continue
		}
		m.conn.Load().Write(b.run)
	}
	for _, h := range b.holds {
		h.member.conn.Load().Release(h.bytes)
	}
}

func (b *outbox) byMember() map[*Member][]except {
	if len(b.excepts) == 0 {
		return nil
	}
	by := make(map[*Member][]except)
	for _, e := range b.excepts {
		by[e.member] = append(by[e.member], e)
	}
	return by
}

// sendParts sends m the run without the messages excepted for it.
func (b *outbox) sendParts(m *Member, excepted []except) {
	c := m.conn.Load()
	c.Cork()
	defer c.Uncork()
	start := 0
	for _, e := range excepted {
		if e.start > start {
			c.Write(b.run[start:e.start])
		}
		start = e.end
	}
	if start < len(b.run) {
		c.Write(b.run[start:])
	}
}
