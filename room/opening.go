package room

import (
	"fmt"
	"runtime/debug"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/route"
)

// openRoom is a room as an app uses it without a connection: an [apps.OpenRoom]. What it
// does is done on behalf of a member that nobody sees.
type openRoom struct {
	member *Member
	config *route.Config // whose app has it
	closed chan struct{} // closed when the app has to leave the room
}

// Open tells the app of the room's route that the room has come into memory, if it wants to
// know and has not been told. It returns when the app knows. The room is loaded, and the
// caller has a reference.
func (r *Room) Open() {
	if _, ok := r.config().App.(apps.Opener); !ok {
		return
	}
	r.opening.Lock()
	if r.opened() != nil {
		r.opening.Unlock()
		return
	}
	r.openFor(r.config()) // as it is now: reopen may just have found the room not open
}

// reopen tells another instance of the app, of a configuration that has been reloaded, that
// it has the room now, and the one before that it has it no more. It is a part of a turn.
func (r *Room) reopen(config *route.Config) {
	r.opening.Lock()
	before := r.opened()
	if before == nil || before.config == config {
		r.opening.Unlock()
		return
	}
	before.close()
	r.openFor(config)
}

// openFor calls Open of the app, if it has one, and unlocks opening. What the app does
// meanwhile is carried out afterwards.
func (r *Room) openFor(config *route.Config) {
	o := &openRoom{member: newMember(r, r.Route(), Visitor{}), config: config, closed: make(chan struct{})}
	o.member.conn = nobody{member: o.member}
	r.mu.Lock()
	r.open = o
	r.mu.Unlock()
	o.member.handing.Store(true)
	r.callOpen(config.App, o)
	r.opening.Unlock()
	o.member.Flush()
}

func (r *Room) callOpen(app apps.App, o *openRoom) {
	defer func() {
		if p := recover(); p != nil {
			r.report(fmt.Errorf("panic on opening the room: %v\n%s", p, debug.Stack()))
		}
	}()
	if opener, ok := app.(apps.Opener); ok {
		opener.Open(o)
	}
}

func (r *Room) opened() *openRoom {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open
}

// close tells the app to leave the room. A nil room is not open.
func (o *openRoom) close() {
	if o != nil {
		close(o.closed)
	}
}

func (o *openRoom) isClosed() bool {
	select {
	case <-o.closed:
		return true
	default:
		return false
	}
}

// Closed is closed when the app has to leave the room.
func (o *openRoom) Closed() <-chan struct{} { return o.closed }

// Name is the room's name, as people write it.
func (o *openRoom) Name() string { return displayName(o.member.room.key.Room) }

// Len is the number of members.
func (o *openRoom) Len() int { return o.member.room.len() }

// Publish sends a message to the members.
func (o *openRoom) Publish(msg apps.Message, except ...apps.Conn) {
	if !o.isClosed() {
		o.member.room.publish(o.member, msg, except)
	}
}

// Apply queues an operation on the room's state.
func (o *openRoom) Apply(c apps.Conn, op []byte) {
	m := o.member
	if c != nil {
		m = m.room.memberOf(c)
	}
	if !o.isClosed() {
		m.room.apply(m, op)
	}
}

// nobody is the connection of a member that there is none of.
type nobody struct {
	silent
	member *Member
}

// Send does nothing.
func (nobody) Send([]byte, bool) {}

// Refuse notes why something is not done, for those who look for it.
func (n nobody) Refuse(err error, _ []byte) {
	n.member.Log().Debug("operation of the app was refused", zap.Error(err))
}

// Close does nothing.
func (nobody) Close(frames.CloseCode, string) {}

// Abort does nothing.
func (nobody) Abort() {}

// Hold does nothing.
func (nobody) Hold(int) {}

// Release does nothing.
func (nobody) Release(int) {}

// Interface guards
var (
	_ apps.OpenRoom = (*openRoom)(nil)
	_ Conn          = nobody{}
)
