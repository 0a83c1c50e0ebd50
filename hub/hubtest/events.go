package hubtest

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// Stream is the client's end of an event stream.
type Stream struct {
	Member *room.Member

	t      testing.TB
	body   *bufio.Reader
	cancel context.CancelFunc
}

// Follow opens an event stream in the room "room" for a client that has seen
// the event with the given ID, or none. It ends with the test.
func (w *World) Follow(route *route.Route, lastID string) *Stream {
	w.t.Helper()
	v := room.Visitor{Room: "room"}
	if lastID != "" {
		v.Seen, _ = room.ParseSeen(lastID)
	}
	return w.FollowAs(route, v)
}

// FollowAs is Follow for a visitor.
func (w *World) FollowAs(route *route.Route, v room.Visitor) *Stream {
	w.t.Helper()
	v.Events = true
	m, err := w.Hub.Join(context.Background(), route, v)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	reader, writer := io.Pipe()
	go func() {
		m.ServeEvents(&streamWriter{writer}, (&http.Request{}).WithContext(ctx))
		writer.Close()
	}()
	w.t.Cleanup(func() {
		cancel()
		_, _ = io.Copy(io.Discard, reader)
	})
	return &Stream{Member: m.Member, t: w.t, body: bufio.NewReader(reader), cancel: cancel}
}

// Cut ends the stream, as a connection does that is lost.
func (s *Stream) Cut() { s.cancel() }

// Expect reads events and compares them, comments left out: their lines, with
// a "|" between two of them.
func (s *Stream) Expect(events ...string) {
	s.t.Helper()
	for _, want := range events {
		if got := s.next(); got != want {
			s.t.Fatalf("read %q, want %q", got, want)
		}
	}
}

func (s *Stream) next() string {
	s.t.Helper()
	var lines []string
	for {
		line, err := s.body.ReadString('\n')
		if err != nil {
			s.t.Fatalf("after %q the stream ended: %v", lines, err)
		}
		switch line = strings.TrimSuffix(line, "\n"); {
		case line == "" && len(lines) > 0:
			return strings.Join(lines, "|")
		case line != "" && line != ":":
			lines = append(lines, line)
		}
	}
}

// streamWriter is the response that a stream is written to.
type streamWriter struct{ *io.PipeWriter }

func (*streamWriter) Header() http.Header { return make(http.Header) }
func (*streamWriter) WriteHeader(int)     {}
func (*streamWriter) FlushError() error   { return nil }
