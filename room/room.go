package room

import (
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/replica"
	"github.com/caddyws/caddy-websocket/route"
	"github.com/caddyws/caddy-websocket/tally"
)

// Room is everybody on one URL and, for a stateful app, what they share. Its exported
// methods may be called concurrently.
type Room struct {
	// Immutable.
	shared   *Shared
	key      engines.Key
	stateful bool // the app has state
	keeps    bool // messages are kept
	tally    *tally.Part

	refs       atomic.Int64 // members, turns and finders; see Release
	refreshing atomic.Bool  // refreshLater is under way
	trimming   atomic.Bool  // messages are being removed
	listens    atomic.Bool  // it hears of other processes, or will when they can be reached

	pressure atomic.Pointer[backpressure] // nil until a member has been behind; made by the turn

	loading chan struct{} // has room for the one that reads what is stored for the first time, or deletes it; nil if nothing is

	mu sync.Mutex
	// Guarded by mu.
	route      *route.Route // whose app the state is of
	members    []*Member
	running    bool // somebody takes turns
	engaged    bool // a reference is taken for what waits or is carried out
	retired    bool // the room has left memory: nothing is done in it any more
	chores     chores
	outbox     outbox
	arrivals   []*Member // that are still to be told what has happened before they came
	operations operationQueue
	last       snapshot      // the last commit, as members see it
	outside    *outside      // nil until there is something to be told outside
	open       *openRoom     // nil unless an app acts in the room by itself
	heard      engines.Event // the newest that others have stored, as far as was told; without a message
	unread     error         // why reread has failed the last time; nil if it has not
	ignore     func()        // has the engine tell nothing any more; nil: it tells nothing
	people     *people       // nil without the option presence, or if nobody is there

	// Owned by whoever set running; by the loader before that.
	replica    *replica.Replica // nil if nothing is stored
	follows    *route.Config    // whose app the replica has
	recipients []*Member        // a copy of members; kept for its memory
	lastUpdate apps.Body        // the last update
	throttle   throttle
	alarm      alarm
	settling   bool // settleLater is under way
	faults     faults
	recent     recent

	opening   sync.Mutex // held while the app is told that the room is open
	listening sync.Mutex // held while the first member waits to hear of other processes
}

// New returns the room of a key, for visitors of a route, without any reference. It
// must be loaded before anybody enters.
func New(key engines.Key, rt *route.Route, shared *Shared) *Room {
	r := &Room{shared: shared, key: key, route: rt, keeps: rt.Keeps, tally: shared.Tally.App(key.App).Part()}
	if _, r.stateful = rt.App().(apps.Stateful); r.stateful || r.keeps {
		r.replica = replica.New(key, shared.Store, r.report)
		r.loading = make(chan struct{}, 1)
	}
	return r
}

// Stores reports whether the room keeps something: a state, or messages.
func (r *Room) Stores() bool { return r.replica != nil }

// Key names the room for the engine.
func (r *Room) Key() engines.Key { return r.key }

// DisplayName is the room's name as people write it.
func (r *Room) DisplayName() string { return displayName(r.key.Room) }

// Report logs what has gone wrong in the room.
func (r *Room) Report(err error) { r.report(err) }

func (r *Room) report(err error) {
	r.shared.Log().Error("room failed", zap.String("app", r.key.App), zap.String("room", displayName(r.key.Room)), zap.Error(err))
}

func (r *Room) reportPanic(p any) {
	r.report(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
}

// catch is deferred where a panic would end Caddy: it is logged, and that is all.
func (r *Room) catch() {
	if p := recover(); p != nil {
		r.reportPanic(p)
	}
}

// Retain takes a reference: the room stays in memory until it is given back by
// Release. Whoever calls Retain has one already, or keeps Retire from being called.
func (r *Room) Retain() { r.refs.Add(1) }

// Release gives a reference back. With the last one the room is idle.
func (r *Room) Release() {
	if r.refs.Add(-1) == 0 {
		r.shared.Idle(r)
	}
}

// engage takes a reference to the room for what is about to wait in it. The turn that
// finds nothing left to do gives it back. mu is held.
func (r *Room) engage() {
	if !r.engaged {
		r.engaged = true
		r.Retain()
	}
}

// Retire reports whether the room may leave memory, which then is so for good: an
// operation that comes late is lost.
func (r *Room) Retire() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.retired = r.refs.Load() == 0; r.retired {
		r.alarm.stop()
		r.forgetRecent()
		r.ignoreOthers()
		r.open.close()
	}
	return r.retired
}

// Members returns the members there are.
func (r *Room) Members() []*Member {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*Member(nil), r.members...)
}

func (r *Room) isRetired() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.retired
}

func (r *Room) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.members)
}

// LetPublishersGo ends the waiting of publishers for members, now that everybody has
// to go.
func (r *Room) LetPublishersGo() {
	if p := r.pressure.Load(); p != nil {
		p.goOn()
	}
}
