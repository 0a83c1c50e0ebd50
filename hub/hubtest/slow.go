package hubtest

import (
	"sync"
	"sync/atomic"

	"github.com/caddyws/caddy-websocket/apps"
)

// SlowApp blocks on the message "wait" until it is let go, and notes all calls.
type SlowApp struct {
	Pass  chan struct{}
	Calls atomic.Int64 // of Receive
	Left  atomic.Bool  // Leave has been called

	mu   sync.Mutex
	said map[string][]string // by connection
}

// NewSlowApp returns one that waits for Pass.
func NewSlowApp() *SlowApp {
	return &SlowApp{Pass: make(chan struct{}), said: make(map[string][]string)}
}

func (a *SlowApp) note(c apps.Conn, text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.said[c.ID()] = append(a.said[c.ID()], text)
}

// Said returns what a client has led to.
func (a *SlowApp) Said(c *Client) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.said[c.Member.App().ID()]...)
}

// Receive answers with what it was sent.
func (a *SlowApp) Receive(c apps.Conn, m apps.Message) error {
	a.Calls.Add(1)
	text := string(m.Data)
	if text == "wait" {
		<-a.Pass
	}
	a.note(c, text)
	if text == "panic" {
		panic(text)
	}
	c.Send(apps.Text(text))
	return nil
}

// Leave notes the end.
func (a *SlowApp) Leave(c apps.Conn) { a.note(c, "leave"); a.Left.Store(true) }
