package hub

import (
	"context"
	"sync"

	"github.com/caddyws/caddy-websocket/apps"
)

// What apps that go on after Receive need: apps.Worker.

// connContext is the context of a connection, which exists once an app has asked for it.
type connContext struct {
	ctx context.Context
	end context.CancelFunc
}

// Context ends with the connection, or with the client's side of it.
func (m *Member) Context() context.Context {
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

// end notes that the connection has ended, ends its context, and tells whether
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

// Hold keeps a message unsettled until release is called.
func (m *Member) Hold(n int) (release func()) {
	m.conn.Hold(n)
	return sync.OnceFunc(func() { m.conn.Release(n) })
}

// Go runs f on a goroutine that the hub waits for; the room stays as long.
func (m *Member) Go(f func()) {
	m.room.refs.Add(1)
	m.room.hub.visitors.Add(1)
	go func() {
		defer m.room.hub.release(m.room)
		m.Fail(m.try(f))
	}()
}

func (m *Member) try(f func()) (err error) {
	defer m.recovered(&err)
	f()
	return nil
}

// Fail acts on err as if Receive had returned it.
func (m *Member) Fail(err error) {
	if err != nil {
		m.failed(err)
	}
}

// Interface guards
var _ apps.Worker = (*Member)(nil)
