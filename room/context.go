package room

import "context"

// connContext is the context of a connection, which exists once an app has asked for it.
type connContext struct {
	ctx context.Context
	end context.CancelFunc
}

func newConnContext() *connContext {
	ctx, end := context.WithCancel(context.Background())
	return &connContext{ctx, end}
}

// HungUp ends the context of a connection whose client says nothing more.
func (m *Member) HungUp() {
	m.mu.Lock()
	m.hungUp = true
	m.unlockAndEndContext()
}

// end notes that the connection has ended, ends its context, and reports whether
// Leave may be called right away: otherwise it is called after the last message.
func (m *Member) end() (caughtUp bool) {
	m.mu.Lock()
	m.ended = true
	defer m.unlockAndEndContext()
	return m.extras == nil || !m.extras.inbox.working
}

// unlockAndEndContext unlocks mu and ends the context, if there is one.
func (m *Member) unlockAndEndContext() {
	var c *connContext
	if m.extras != nil {
		c = m.extras.context
	}
	m.mu.Unlock()
	if c != nil {
		c.end()
	}
}

// lifetime returns the context of the connection.
func (m *Member) lifetime() context.Context {
	m.mu.Lock()
	defer m.mu.Unlock()
	x := m.needExtras()
	if x.context == nil {
		x.context = newConnContext()
		if m.ended || m.hungUp {
			x.context.end()
		}
	}
	return x.context.ctx
}
