package room

import (
	"bytes"

	"github.com/caddyws/caddy-websocket/apps"
)

// inbox is the messages that wait for an app that may block. A goroutine works
// through them and lives while there are any; the connection is held for each,
// so that its reading stops at 64.
type inbox struct {
	messages []apps.Message
	working  bool
}

// deposit copies a message into the inbox.
func (m *Member) deposit(data []byte, binary bool) {
	m.conn.Hold(len(data))
	m.mu.Lock()
	defer m.mu.Unlock()
	in := &m.needExtras().inbox
	in.messages = append(in.messages, apps.Message{Data: bytes.Clone(data), Binary: binary})
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
			m.receive(msg)
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
func (m *Member) collect() (messages []apps.Message, last bool) {
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
