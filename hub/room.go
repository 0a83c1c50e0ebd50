package hub

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/replica"
)

// inlineMembers is the largest room whose turns are taken by whoever has
// something to say; in a larger one that would hold up its connection too long.
const inlineMembers = 64

// Room is everybody on one URL and, for a stateful app, what they share.
type Room struct {
	// Immutable.
	hub      *Hub
	key      engines.Key
	stateful bool
	refs     atomic.Int64 // members, turns and finders; see Hub.dropReference

	// Guarded by Hub.mu.
	unloaded *unloadedRoom // what the room was before it came into memory; nil if it was not stored
	visited  bool          // by anybody but forget
	seats    int           // members, and visitors that are about to become one

	pressure atomic.Pointer[backpressure] // nil until a member has been behind; made by the turn

	loading sync.Mutex // held while the state is read for the first time

	mu sync.Mutex
	// Guarded by mu.
	route      *Route // whose app the state is of
	members    []*Member
	running    bool // somebody takes turns
	due        bool // updates have waited long enough
	stale      bool // the route's configuration may have changed
	engaged    bool // a reference is taken for what waits or is carried out
	retired    bool // the room has left memory: nothing is done in it any more
	outbox     outbox
	operations operationQueue
	last       snapshot // the last commit, as members see it

	// Owned by whoever set running; by the loader before that.
	replica    *replica.Replica // nil without state
	follows    *Config          // whose app the replica has
	recipients []*Member        // a copy of members; kept for its memory
	lastUpdate apps.Body        // the last update
	throttle   throttle
}

// snapshot is the state of a room as of its last commit.
type snapshot struct {
	epoch   string
	version uint64
	view    apps.Body
}

// said returns what an app says about the state at a version.
func (s snapshot) said(kind message.Kind, version uint64, b apps.Body) message.Message {
	return message.Message{Kind: kind, At: message.Point{Epoch: s.epoch, Version: version}, Text: b.Text, JSON: b.JSON}
}

// state returns the message that shows the state.
func (s snapshot) state() message.Message { return s.said(message.State, s.version, s.view) }

func newRoom(h *Hub, key engines.Key, route *Route) *Room {
	r := &Room{hub: h, key: key, route: route}
	if _, r.stateful = route.config.Load().App.(apps.Stateful); r.stateful {
		r.replica = replica.New(key, &h.store, r.report)
	}
	return r
}

func (r *Room) report(err error) {
	r.hub.log().Error("room failed", zap.String("app", r.key.App), zap.String("room", title(r.key.Room)), zap.Error(err))
}

// load reads the state when the first visitor comes.
func (r *Room) load(ctx context.Context, visited *Route) error {
	if r.replaceRoute(visited) {
		r.renew()
	}
	if !r.stateful {
		return nil
	}
	r.loading.Lock()
	defer r.loading.Unlock()
	if r.current().epoch != "" {
		return nil
	}
	config := r.config()
	r.follows = config
	if err := r.replica.Load(ctx, config.App.(apps.Stateful)); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	r.setLast(r.snapshot())
	if r.config() != config { // a reload has not seen that the room is loaded
		r.renew()
	}
	return nil
}

// follow has the replica go on with the app of a configuration.
func (r *Room) follow(c *Config) {
	if r.follows == c {
		return
	}
	r.follows = c
	r.replica.Follow(c.App.(apps.Stateful))
}

// snapshot is the state as the replica has stored it.
func (r *Room) snapshot() snapshot {
	if r.replica == nil {
		return snapshot{}
	}
	s := r.replica.Snapshot()
	return snapshot{epoch: s.Epoch, version: s.Version, view: s.View}
}

// stored reports whether something is stored of the room.
func (r *Room) stored() bool { return r.replica != nil && r.replica.IsStored() }

// replaceRoute makes another route that leads here the room's if its own is
// gone.
func (r *Room) replaceRoute(by *Route) (replaced bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if replaced = r.route.ended.Load() != nil; replaced {
		r.route = by
	}
	return replaced
}

// renew has a turn taken in which the state follows its route's configuration.
// Before a room is loaded the loader does.
func (r *Room) renew() {
	r.mu.Lock()
	loaded := r.last.epoch != "" && !r.retired
	if loaded {
		r.stale = true
		r.engage()
	}
	r.mu.Unlock()
	if loaded {
		r.kick()
	}
}

// config is what the room's route is configured to be now.
func (r *Room) config() *Config { return r.currentRoute().config.Load() }

func (r *Room) currentRoute() *Route {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.route
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

// engage takes a reference to the room for what is about to wait in it. The turn that
// finds nothing left to do gives it back.
func (r *Room) engage() {
	if !r.engaged {
		r.engaged = true
		r.refs.Add(1)
	}
}

// retire reports whether the room may leave memory, which then is so for good.
func (r *Room) retire() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.retired = r.refs.Load() == 0
	return r.retired
}

func (r *Room) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.members)
}

// enter makes m a member: what it is shown and its place in the order are one
// step.
func (r *Room) enter(m *Member) {
	r.add(m)
	if f := m.unwanted(); f != nil {
		m.conn.Close(f.code, f.reason)
	}
}

func (r *Room) add(m *Member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.place = int32(len(r.members))
	r.members = append(r.members, m)
	r.greet(m)
}

// greet shows the state to a joining member that is to see it, after the answers
// to what its app did in its name before, or versions would fall.
func (r *Room) greet(m *Member) {
	if !m.greets || m.place < 0 || m.unanswered > 0 {
		return
	}
	m.greets = false
	state := r.last.state()
	if m.identity == nil || m.identity.lastSeen != state.At.String() {
		m.conn.Write(message.NewBatch(state))
	}
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
