package room

import (
	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/replica"
)

// snapshot is the state of a room as of its last commit.
type snapshot struct {
	epoch   string
	version uint64
	view    apps.Body
	events  replica.Events
	past    replica.Past // of a room that keeps messages
}

// emptyBody says nothing.
var emptyBody apps.Body

// said returns what an app says about the state at a version.
func (s snapshot) said(kind message.Kind, version uint64, b apps.Body) message.Message {
	return message.Message{Kind: kind, At: message.Point{Epoch: s.epoch, Version: version}, Text: b.Text, JSON: b.JSON}
}

// state returns the message that shows the state.
func (s snapshot) state() message.Message { return s.said(message.State, s.version, s.view) }

// snapshot is the state as the replica has stored it.
func (r *Room) snapshot() snapshot {
	if r.replica == nil {
		return snapshot{}
	}
	s := r.replica.Snapshot()
	now := snapshot{epoch: s.Epoch, version: s.Version, view: s.View, events: s.Events}
	if r.keeps {
		now.past = r.replica.Past()
	}
	return now
}

// current is the state as of the last commit.
func (r *Room) current() snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

func (r *Room) setLast(s snapshot) {
	r.mu.Lock()
	r.last = s
	r.mu.Unlock()
}

// View is the state of a room as of its last commit.
type View struct {
	Epoch   string // of the room, the same for everybody that looks at it; it changes when the room begins anew
	Version uint64 // operations applied since
	Text    []byte
	JSON    []byte // the message "state" of the subprotocol json
}

// ID names the state: epoch and version.
func (v View) ID() string { return message.Point{Epoch: v.Epoch, Version: v.Version}.String() }

// View shows the state of the room, which is loaded.
func (r *Room) View() View {
	s := r.current()
	return View{Epoch: s.epoch, Version: s.version, Text: s.view.Text, JSON: s.state().Payload(message.JSON)}
}
