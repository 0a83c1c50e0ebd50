package room

import (
	"bytes"
	"context"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/message"
)

// outbox is the messages that wait to be sent to the members.
type outbox struct {
	messages message.Batch
	excepts  []except
	holds    []hold
	relay    message.Relay // those of them that others are to be told
	heard    int           // bytes of those that others have published
}

// except is a message that some member is not sent.
type except struct {
	member *Member
	index  int // in outbox.messages
}

// hold is a message that waits: its sender is not read on without end.
type hold struct {
	member *Member
	bytes  int
}

// publish queues a message for the members.
func (r *Room) publish(from *Member, msg apps.Message, excepts []apps.Conn) {
	if r.keeps {
		r.keep(from, msg, excepts)
		return
	}
	said := message.Message{Text: bytes.Clone(msg.Data), Binary: msg.Binary, From: from, JSON: bytes.Clone(msg.JSON)}
	r.trace(Published, from, msg.Data, msg.Binary)
	r.mu.Lock()
	if r.retired {
		r.mu.Unlock()
		return
	}
	r.engage()
	for _, c := range excepts {
		if m, ok := c.(*appConn); ok {
			r.outbox.excepts = append(r.outbox.excepts, except{(*Member)(m), r.outbox.messages.Len()})
		}
	}
	r.relay(&said)
	r.outbox.messages.Add(said)
	from.conn.Hold(len(msg.Data))
	r.outbox.holds = append(r.outbox.holds, hold{from, len(msg.Data)})
	r.mu.Unlock()
	r.kickUnless(from)
}

// Say sends the members a message that none of them has published, and returns how many
// they are. Nobody is held up until it is taken; but where messages are kept Say returns when
// it is stored, or with the error of a commit, see package replica. The room is loaded, and
// the caller has a reference.
func (r *Room) Say(ctx context.Context, msg apps.Message) (members int, err error) {
	if r.keeps {
		return r.sayKept(ctx, msg)
	}
	said := message.Message{Text: bytes.Clone(msg.Data), Binary: msg.Binary, JSON: bytes.Clone(msg.JSON)}
	r.trace(Published, nil, msg.Data, msg.Binary)
	r.mu.Lock()
	r.engage()
	r.relay(&said)
	r.outbox.messages.Add(said)
	members = len(r.members)
	r.mu.Unlock()
	r.kick()
	return members, nil
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
		return m.conn.Write(&b.messages)
	}
	return b.sendParts(m, excepted)
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

// sendParts sends m the messages without those excepted for it, and reports whether
// it is behind.
func (b *outbox) sendParts(m *Member, excepted []except) (behind bool) {
	m.conn.Cork()
	defer m.conn.Uncork()
	start := 0
	for _, e := range excepted {
		if e.index > start {
			behind = m.conn.Write(b.messages.Slice(start, e.index))
		}
		start = e.index + 1
	}
	if start < b.messages.Len() {
		behind = m.conn.Write(b.messages.Slice(start, b.messages.Len()))
	}
	return behind
}
