package caddyws

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
)

// Bounds of a trace's stream.
const (
	tracePing  = 15 * time.Second // of silence, after which a comment is sent
	tracePause = 10 * time.Second // in which a client takes nothing
	traceTold  = time.Second      // after which it is told that something is left out, when nothing else passes
)

// shownPassage is one thing that has passed, as the admin API shows it.
type shownPassage struct {
	Time    time.Time        `json:"time"`
	Kind    string           `json:"kind"`
	App     string           `json:"app,omitempty"`
	Room    string           `json:"room,omitempty"`
	ID      string           `json:"id,omitempty"` // of the connection
	User    string           `json:"user,omitempty"`
	Data    *string          `json:"data,omitempty"`   // the beginning of a text
	Binary  []byte           `json:"binary,omitempty"` // in base64; the beginning of what is no text
	Size    int              `json:"size,omitempty"`   // of all of it, if that is more than is shown
	Code    frames.CloseCode `json:"code,omitempty"`
	LeftOut int64            `json:"left_out,omitempty"` // how many have passed before and are not shown
}

// endedEarly is told in place of a passage when a trace is ended by the server.
const endedEarly = "event: end\ndata: {\"reason\":\"the configuration is replaced, or Caddy stops\"}\n\n"

func showPassage(t hub.Traced) shownPassage {
	shown := shownPassage{
		Time: t.Time.UTC().Truncate(time.Millisecond), Kind: string(t.Kind), App: t.Key.App, Room: t.Key.Room, ID: t.ID, User: t.User, Code: t.Code,
	}
	data := t.Data
	if len(data) < t.Size {
		shown.Size = t.Size
		data = wholeRunes(data)
	}
	switch {
	case t.Binary || !utf8.Valid(data):
		shown.Binary = t.Data
	case t.Size > 0:
		text := string(data)
		shown.Data = &text
	}
	return shown
}

// wholeRunes returns the beginning of a text without the part of a rune that it may end
// with.
func wholeRunes(p []byte) []byte {
	for cut := range min(utf8.UTFMax, len(p)+1) {
		if r, size := utf8.DecodeLastRune(p[:len(p)-cut]); r != utf8.RuneError || size != 1 {
			return p[:len(p)-cut]
		}
	}
	return p
}

// getTrace streams what passes, as Server-Sent Events, until the client leaves or a
// configuration stops.
func getTrace(a *App, w http.ResponseWriter, r *http.Request) error {
	p := readParameters(r, "id", "room", "user")
	filter := p.members()
	if filter == (hub.Filter{}) {
		p.fault("nothing says what to trace, expected one of id, room, user")
	}
	if err := p.check(); err != nil {
		return err
	}
	trace, err := a.hub.Trace(filter)
	if errors.Is(err, hub.ErrTooManyTraces) {
		return apiError(http.StatusTooManyRequests, err)
	}
	defer a.hub.EndTrace(trace)
	ctx, end := context.WithCancel(r.Context())
	defer end()
	defer adminTraces.enter(end)()
	w.Header().Set("Content-Type", string(typeEvents))
	w.Header().Set("Cache-Control", "no-store")
	s := &traceStream{trace: trace, w: w, control: http.NewResponseController(w)}
	s.run(ctx)
	if r.Context().Err() == nil {
		_ = s.write([]byte(endedEarly))
	}
	return s.control.SetWriteDeadline(time.Time{}) // the connection may serve other requests
}

// traceStream writes a trace to a client.
type traceStream struct {
	trace   *hub.Trace
	w       http.ResponseWriter
	control *http.ResponseController
}

// run writes until the context ends or the client takes nothing any more.
func (s *traceStream) run(ctx context.Context) {
	err := s.write([]byte(":\n\n")) // so that the header leaves
	told, ping := time.NewTicker(traceTold), time.NewTicker(tracePing)
	defer told.Stop()
	defer ping.Stop()
	for err == nil {
		select {
		case <-ctx.Done():
			return
		case t := <-s.trace.Passed():
			shown := showPassage(t)
			shown.LeftOut = s.trace.LeftOut()
			err = s.show(shown)
		case now := <-told.C:
			if n := s.trace.LeftOut(); n > 0 {
				err = s.show(shownPassage{Time: now.UTC().Truncate(time.Millisecond), Kind: "left out", LeftOut: n})
			}
		case <-ping.C:
			err = s.write([]byte(":\n\n"))
		}
	}
}

// show writes what has passed.
func (s *traceStream) show(p shownPassage) error {
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return s.write(append(append([]byte("data: "), data...), "\n\n"...))
}

func (s *traceStream) write(p []byte) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(tracePause)); err != nil {
		return err
	}
	if _, err := s.w.Write(p); err != nil {
		return err
	}
	return s.control.Flush()
}
