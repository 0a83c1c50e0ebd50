package room

import (
	"bytes"

	"github.com/caddyws/caddy-websocket/apps"
)

// inbox is the messages that wait for an app that may block. A goroutine works
// through them and lives while there are any; the connection is held for each,
// so that its reading stops at 64.
type inbox struct {
	messages []stamped
	working  bool
}

// stamped is a message with its stamp, which may be nil.
type stamped struct {
	apps.Message
	stamp *stamp
}

// deposit copies a message into the inbox.
func (m *Member) deposit(msg apps.Message, s *stamp) {
	m.conn.Hold(len(msg.Data))
	msg.Data = bytes.Clone(msg.Data)
	m.mu.Lock()
	defer m.mu.Unlock()
	in := &m.needExtras().inbox
	in.messages = append(in.messages, stamped{msg, s})
	if !in.working {
		in.working = true
		m.room.shared.Go(m.workThrough)
	}
}

// workThrough hands the messages to the app until none is left.
func (m *Member) workThrough() {
	for {
		messages, last := m.collect()
		for _, msg := range messages {
			m.receive(msg.Message, msg.stamp)
			m.conn.Release(len(msg.Data))
		}
		if last {
			m.leave()
		}
		if len(messages) == 0 {
			return
		}
	}
}

// collect takes all messages; without any, the work is over, and last tells
// that it is so for good.
func (m *Member) collect() (messages []stamped, last bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	in := &m.extras.inbox
	messages, in.messages = in.messages, nil
	if len(messages) > 0 {
		return messages, false
	}
	in.working = false
	return nil, m.ended
}
