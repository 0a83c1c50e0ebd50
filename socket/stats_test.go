package socket

import (
	"testing"

	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/tally"
)

// What has passed, and what waits, is told before the start, while the connection goes
// on, and in the end.
func TestStats(t *testing.T) {
	overLinks(t, func(t *testing.T, s *session) {
		for _, text := range []string{"1", "2", "3"} {
			s.Update(message.NewBatch(message.Message{Kind: message.Update, Text: []byte(text)}))
		}
		if got, want := s.Stats(), (tally.Connection{Traffic: tally.Traffic{MessagesOut: 3}, Replaced: 2, Queued: 3}); got != want {
			t.Errorf("before the start: %+v, want %+v", got, want)
		}
		s.start()
		s.expect(frames.Text, "3")
		s.say(clientText("hello"), clientText("world"), clientFrame(true, frames.Ping, ""))
		s.expect(frames.Text, "hello")
		s.expect(frames.Text, "world")
		s.expect(frames.Pong, "")
		s.until("all of it to be counted", func() bool { return s.out.owed() == 0 })
		got := s.Stats()
		if got.Age <= 0 {
			t.Errorf("it is %v old", got.Age)
		}
		got.Age = 0
		if want := (tally.Connection{Traffic: tally.Traffic{MessagesIn: 2, MessagesOut: 5, BytesIn: 28, BytesOut: 19}, Replaced: 2}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		s.say(clientText("last"), closeFrame(frames.NormalClosure, ""))
		s.expect(frames.Text, "last")
		s.expect(frames.Close, "\x03\xe8")
		if e := s.expectEnd(); e.MessagesIn != 3 || e.MessagesOut != 6 || e.Replaced != 2 {
			t.Errorf("ended with %+v", e)
		}
	})
}
