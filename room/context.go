package room

import "context"

// connContext is the context of a connection, which exists once an app has asked for it.
type connContext struct {
	ctx context.Context
	end context.CancelFunc
}

// HungUp ends the context of a connection whose client says nothing more.
func (m *Member) HungUp() {
	m.mu.Lock()
	m.hungUp = true
	l := m.context
	m.mu.Unlock()
	if l != nil {
		l.end()
	}
}

// end notes that the connection has ended, ends its context, and reports whether
// Leave may be called right away: otherwise it is called after the last message.
func (m *Member) end() (caughtUp bool) {
	m.mu.Lock()
	m.ended = true
	l := m.context
	caughtUp = m.inbox == nil || !m.inbox.working
	m.mu.Unlock()
	if l != nil {
		l.end()
	}
	return caughtUp
}

// lifetime returns the context of the connection.
func (m *Member) lifetime() context.Context {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.context == nil {
		m.context = new(connContext)
		m.context.ctx, m.context.end = context.WithCancel(context.Background())
		if m.ended || m.hungUp {
			m.context.end()
		}
	}
	return m.context.ctx
}
