//go:build linux && !nopoll

package socket

import (
	"testing"
	"time"

	"github.com/caddyws/caddy-websocket/frames"
)

// A silent TLS connection has no goroutine; it has one again with the next
// message, also when two records came at once and when it turned cold before.
func TestSecureTurnsColdAndWakes(t *testing.T) {
	server, client := tlsPair(t)
	s := newSession(t, onLoop{server}, client)
	s.start()
	for range 2 {
		s.becomesCold()
		s.say(clientText("one"))
		s.say(clientText("two"), clientText("three"))
		for _, text := range []string{"one", "two", "three"} {
			s.expect(frames.Text, text)
		}
	}
	s.becomesCold()
	s.Close(frames.GoingAway, "")
	s.expectClose(frames.GoingAway)
}

// becomesCold waits until no goroutine reads; nothing announces that.
func (s *session) becomesCold() {
	s.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		s.mu.Lock()
		cold := s.link.(*secure).cold
		s.mu.Unlock()
		if cold {
			return
		}
		time.Sleep(time.Millisecond)
	}
	s.t.Fatal("the connection stays hot")
}
