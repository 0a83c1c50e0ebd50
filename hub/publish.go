package hub

import (
	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/socket"
)

// outbox is the messages that wait to be sent to the members, encoded one after
// another: a member to whom all of them go gets them in one piece, which all
// such members share.
type outbox struct {
	run     []byte
	shared  *socket.Run // the same for everybody, once it is sent
	events  *socket.Run // and for event streams
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
	if r.retired {
		r.mu.Unlock()
		return
	}
	r.engage()
	start := len(r.outbox.run)
	r.outbox.run = frames.AppendMessage(r.outbox.run, op, msg.Data)
	for _, c := range excepts {
		if m, ok := c.(*Member); ok {
			r.outbox.excepts = append(r.outbox.excepts, except{m, start, len(r.outbox.run)})
		}
	}
	from.port.Hold(len(msg.Data))
	r.outbox.holds = append(r.outbox.holds, hold{from, len(msg.Data)})
	r.mu.Unlock()
	r.kickUnless(from)
}

// kickUnless lets the room act, unless a Flush for m is about to do so.
func (r *Room) kickUnless(m *Member) {
	if !m.handing.Load() {
		r.kick()
	}
}

// send sends the messages to the members and returns those that are behind.
func (b *outbox) send(members []*Member) (behind []*Member) {
	excepted := b.byMember()
	for _, m := range members {
		if b.sendTo(m, excepted[m]) {
			behind = append(behind, m)
		}
	}
	return behind
}

// sendTo sends m the messages, without those excepted for it, and reports whether
// it is behind.
func (b *outbox) sendTo(m *Member, excepted []except) (behind bool) {
	if len(excepted) == 0 {
		return m.port.Write(b.in(m.language))
	}
	return b.sendParts(m, excepted)
}

// size is how many bytes the messages are in a queue, at most.
func (b *outbox) size() int {
	if b.events == nil {
		return len(b.run)
	}
	return max(len(b.run), len(b.events.Bytes()))
}

// in returns the messages in a member's language.
func (b *outbox) in(l language) *socket.Run {
	shared := &b.shared
	if l == languageEvents {
		shared = &b.events
	}
	if *shared == nil {
		*shared = l.messages(b.run)
	}
	return *shared
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

// sendParts sends m the run without the messages excepted for it, and reports
// whether it is behind.
func (b *outbox) sendParts(m *Member, excepted []except) (behind bool) {
	m.port.Cork()
	defer m.port.Uncork()
	start := 0
	for _, e := range excepted {
		if e.start > start {
			behind = m.port.Write(m.language.messages(b.run[start:e.start]))
		}
		start = e.end
	}
	if start < len(b.run) {
		behind = m.port.Write(m.language.messages(b.run[start:]))
	}
	return behind
}
