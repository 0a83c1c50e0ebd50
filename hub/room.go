package hub

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/socket"
)

// Bounds of what may wait. Beyond them operations are refused as busy.
const (
	maxRoomOperations = 16384
	maxRoomBytes      = 16 << 20
	maxHubBytes       = 128 << 20
)

// inlineMembers is the largest room whose turns are taken by whoever has
// something to say; in a larger one that would hold up his connection too long.
const inlineMembers = 64

// Room is everybody on one URL and, for a stateful app, what they share.
type Room struct {
	// Immutable.
	hub  *Hub
	key  engines.Key
	refs atomic.Int64 // members, turns and finders; see Hub.release

	loading sync.Mutex // held while the state is read for the first time

	mu sync.Mutex
	// Guarded by mu.
	members   []*Member
	dismissed bool // everybody is sent away, also who is about to enter
	running   bool // somebody takes turns
	outbox    outbox
	waiting   []*Member // those with operations, in the order of their turns
	count     int       // operations waiting
	size      int       // their bytes
	shown     shown     // the last commit, as members see it

	// Owned by whoever set running; by the loader before that.
	machine machine
	crowd   []*Member // a copy of members; kept for its memory
}

// shown is the state of a room as of its last commit.
type shown struct {
	epoch   string
	version uint64
	view    apps.Body
}

func newRoom(h *Hub, key engines.Key, app apps.App) *Room {
	r := &Room{hub: h, key: key}
	if stateful, ok := app.(apps.Stateful); ok {
		r.machine.fresh = stateful.NewState
	}
	return r
}

// stateful tells whether the room has state.
func (r *Room) stateful() bool { return r.machine.fresh != nil }

// load reads the state when the first visitor comes.
func (r *Room) load(ctx context.Context) error {
	if !r.stateful() {
		return nil
	}
	r.loading.Lock()
	defer r.loading.Unlock()
	r.mu.Lock()
	loaded := r.shown.epoch != ""
	r.mu.Unlock()
	if loaded {
		return nil
	}
	if err := r.machine.load(ctx, r.hub.engine, r.key); err != nil {
		return err
	}
	r.show(r.machine.shown())
	return nil
}

func (r *Room) show(s shown) {
	r.mu.Lock()
	r.shown = s
	r.mu.Unlock()
}

func (r *Room) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.members)
}

// enter makes m a member: what it is shown and its place in the order are one
// step.
func (r *Room) enter(m *Member, c *socket.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.Cork()
	defer c.Uncork()
	m.conn.Store(c)
	for _, msg := range m.early {
		c.Send(msg.Data, msg.Binary)
	}
	m.early = nil
	if m.greeted() {
		c.Send(encode(kindState, m.json(), r.shown, r.shown.version, r.shown.view), false)
	}
	m.place = len(r.members)
	r.members = append(r.members, m)
	if r.dismissed {
		c.Close(frames.GoingAway, "server is going away")
	}
}

// greeted tells whether m is shown the state on joining.
func (m *Member) greeted() bool {
	if !m.room.stateful() {
		return false
	}
	if greeter, ok := m.route.App.(apps.Greeter); ok && greeter.Greets(m) {
		return true
	}
	return m.json()
}

// exit takes m out of the members.
func (r *Room) exit(m *Member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.place < 0 {
		return
	}
	last := len(r.members) - 1
	r.members[m.place] = r.members[last]
	r.members[m.place].place = m.place
	r.members[last] = nil
	r.members = r.members[:last]
	m.place = -1
}

// sendEarly keeps what is sent to a member that has no connection yet.
func (r *Room) sendEarly(m *Member, msg apps.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := m.conn.Load(); c != nil {
		c.Send(msg.Data, msg.Binary)
		return
	}
	msg.Data = bytes.Clone(msg.Data)
	m.early = append(m.early, msg)
}

// dismiss closes every member, now and in future.
func (r *Room) dismiss(code frames.CloseCode, reason string) {
	r.mu.Lock()
	r.dismissed = true
	members := append([]*Member(nil), r.members...)
	r.mu.Unlock()
	for _, m := range members {
		m.conn.Load().Close(code, reason)
	}
}
