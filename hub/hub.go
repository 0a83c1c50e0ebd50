package hub

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/replica"
	"github.com/caddyws/caddy-websocket/socket"
)

// Why a client cannot enter a room.
var (
	// ErrForbidden wraps what the app's Join returned.
	ErrForbidden = errors.New("app refused the connection")
	// ErrFailed wraps a panic of the app, with its stack.
	ErrFailed = errors.New("app failed")
	// ErrUnavailable wraps why the room's state could not be read.
	ErrUnavailable = errors.New("room is not available")
	// ErrClosed: everybody is sent away.
	ErrClosed = errors.New("server is stopping, or the route is gone")
	// The limits of that name.
	ErrTooManyConnections = errors.New("max_connections is reached")
	ErrTooManyRooms       = errors.New("max_rooms is reached")
	ErrTooManyForClient   = errors.New("max_connections_per_ip is reached")
)

// Limits are the bounds of a hub. The zero value of a number means none.
type Limits struct {
	MaxConnections int // members over WebSockets and event streams
	MaxRooms       int // with members
	MaxStoredRooms int // whose state the engine keeps

	Drain time.Duration // over which the closing of members is spread
}

// Hub is all rooms over one engine. Its methods may be called concurrently,
// Adopt by one goroutine at a time.
type Hub struct {
	engine   engines.Engine
	volatile bool // the engine never waits
	log      func() *zap.Logger

	limits      atomic.Pointer[Limits]
	waiting     atomic.Int64 // bytes of operations waiting in all rooms
	connections connectionLimits
	roomLimit   roomLimit
	store       replica.Store
	warned      atomic.Int64 // of a full stock, last; Unix time

	mu sync.Mutex
	// Guarded by mu.
	rooms    map[engines.Key]*Room
	seated   int                           // rooms with members
	unloaded map[engines.Key]*unloadedRoom // stored rooms that are not in memory
	closed   *closeReason                  // to everybody; nil while the hub is open

	visitors sync.WaitGroup // members, and requests that look for a room
	work     sync.WaitGroup // goroutines of rooms and of blocking apps
	closing  chan struct{}  // closed when everybody has to go
	over     chan struct{}  // closed when it is time to cut those that are left
}

// New returns a hub over an engine, which it closes in the end. log is asked for
// a logger each time, since loggers change with the configuration.
func New(engine engines.Engine, limits Limits, log func() *zap.Logger) *Hub {
	_, volatile := engine.(engines.Volatile)
	h := &Hub{
		engine: engine, volatile: volatile, log: log,
		rooms:    make(map[engines.Key]*Room),
		unloaded: make(map[engines.Key]*unloadedRoom),
		closing:  make(chan struct{}),
		over:     make(chan struct{}),
	}
	h.store.Engine, h.store.Limit = engine, storedRooms{h}
	h.limits.Store(&limits)
	return h
}

// Join finds the room and asks the app whether the visitor may enter. The member is
// in the room when Join returns: what it is told is kept until its connection starts,
// so that a client misses nothing from its 101 on. Errors are [ErrForbidden],
// [ErrFailed], [ErrUnavailable], [ErrClosed] and those of limits.
func (h *Hub) Join(ctx context.Context, route *Route, v Visitor) (*Connection, error) {
	if err := h.connections.enter(route, v.ClientIP, h.limits.Load().MaxConnections); err != nil {
		return nil, err
	}
	c := new(Connection)
	var err error
	c.Member, err = h.admit(ctx, route, v, stays, func(m *Member) Conn {
		c.socket = socket.New(&route.Settings, m.format, m)
		return c.socket
	})
	if err != nil {
		h.connections.leave(route, v.ClientIP)
		return nil, err
	}
	c.Member.room.enter(c.Member)
	return c, nil
}

// admit lets a member in over any connection. The room does not see it yet.
func (h *Hub) admit(ctx context.Context, route *Route, v Visitor, s stay, connect func(*Member) Conn) (*Member, error) {
	room, err := h.find(ctx, route, v.Room, s)
	if err != nil {
		return nil, err
	}
	m := newMember(room, route, v)
	m.stay = s
	m.conn = connect(m)
	if err := m.callJoin(v.Handshake); err != nil {
		m.end()
		h.unseat(room, s)
		h.release(room)
		return nil, err
	}
	if err := m.callGreets(); err != nil {
		m.end()
		h.unseat(room, s)
		m.leave() // as after every Join
		return nil, err
	}
	return m, nil
}

// find returns the room with a reference taken and its state loaded.
func (h *Hub) find(ctx context.Context, route *Route, name string, s stay) (*Room, error) {
	if route.ended.Load() != nil {
		return nil, ErrClosed
	}
	room, err := h.acquire(engineKey(route, name), route, s)
	if err != nil {
		return nil, err
	}
	if err := room.load(ctx, route); err != nil {
		h.unseat(room, s)
		h.release(room)
		return nil, err
	}
	return room, nil
}

// acquire takes a reference to the room, which it makes if there is none: two
// rooms of one key never exist at the same time. release gives it back. A
// visitor that stays also takes a seat, which unseat gives back.
func (h *Hub) acquire(key engines.Key, route *Route, s stay) (*Room, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.acquireLocked(key, route, s)
}

// stay reports whether a visitor is a member. Others are gone when they have been
// answered, and no limit of rooms is about them.
type stay bool

const (
	stays  stay = true
	passes stay = false
)

func (h *Hub) acquireLocked(key engines.Key, route *Route, s stay) (*Room, error) {
	if h.closed != nil {
		return nil, ErrClosed
	}
	room, ok := h.rooms[key]
	if s == stays && (!ok || room.seats == 0) && h.fullLocked() {
		return nil, ErrTooManyRooms
	}
	if !ok {
		room = newRoom(h, key, route)
		h.rooms[key] = room
		room.unloaded = h.noteLoaded(key)
	}
	room.visited = true
	h.seatLocked(room, s)
	room.refs.Add(1)
	h.visitors.Add(1)
	return room, nil
}

// fullLocked reports whether no more rooms may have members.
func (h *Hub) fullLocked() bool {
	most := h.limits.Load().MaxRooms
	return most > 0 && h.seated >= most
}

// seatLocked counts one more member of the room.
func (h *Hub) seatLocked(room *Room, s stay) {
	if s == stays {
		if room.seats++; room.seats == 1 {
			h.seated++
		}
	}
}

// unseat takes back what acquire counted.
func (h *Hub) unseat(room *Room, s stay) {
	if s != stays {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if room.seats--; room.seats == 0 {
		h.seated--
	}
}

// release gives back what acquire gave.
func (h *Hub) release(room *Room) {
	h.dropReference(room)
	h.visitors.Done()
}

// dropReference gives a reference back. A room without one leaves memory: its state,
// if it has any, is stored. Only acquire can bring it back from none, under the
// lock.
func (h *Hub) dropReference(room *Room) {
	if room.refs.Add(-1) > 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rooms[room.key] == room && room.retire() {
		delete(h.rooms, room.key)
		h.noteUnloaded(room)
	}
}

// abortTimeout is how long members that were cut are waited for.
const abortTimeout = 250 * time.Millisecond

// ErrUnfinished reports that something goes on after Close, such as an app that does
// not return. The engine is closed after it.
var ErrUnfinished = errors.New("an app or the engine has not finished in time")

// Close lets nobody in any more and sends every member away with the code,
// spread over the time that the limits give. Once what they began is committed
// and they are gone it closes the engine. Those that are left after a time of
// grace, which begins when all have been told, are cut. The error is the
// engine's or [ErrUnfinished].
func (h *Hub) Close(grace time.Duration, code frames.CloseCode, reason string) error {
	all := closeReason{code, reason}
	h.close(all)
	for _, r := range h.all() {
		r.endPressure()
	}
	told, closed := make(chan struct{}), make(chan error, 1)
	go func() {
		h.drainAll(all)
		close(told)
		h.visitors.Wait()
		h.work.Wait()
		closed <- h.closeEngine()
	}()
	<-told
	select {
	case err := <-closed:
		return err
	case <-time.After(grace):
		return h.abort(closed)
	}
}

func (h *Hub) closeEngine() (err error) {
	defer recovered(&err)
	return h.engine.Close()
}

// close lets nobody in any more.
func (h *Hub) close(f closeReason) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = &f
	close(h.closing)
	for _, r := range h.unloaded {
		r.stop()
	}
}

// isClosing reports whether everybody has to go.
func (h *Hub) isClosing() bool {
	select {
	case <-h.closing:
		return true
	default:
		return false
	}
}

// drainAll dismisses everybody.
func (h *Hub) drainAll(f closeReason) {
	var all []leaving
	for _, m := range membersOf(h.all()) {
		all = append(all, leaving{m, f})
	}
	h.drain(all, nil)
}

// abort cuts the members that are left and waits for a moment.
func (h *Hub) abort(closed <-chan error) error {
	close(h.over)
	left := membersOf(h.all())
	if len(left) > 0 {
		h.log().Warn("clients did not finish the close handshake in time", zap.Int("connections", len(left)))
	}
	for _, m := range left {
		m.conn.Abort()
	}
	select {
	case err := <-closed:
		return err
	case <-time.After(abortTimeout):
		return ErrUnfinished
	}
}

// unwanted reports whether m has come too late, and what it is told then.
func (m *Member) unwanted() *closeReason {
	if f := m.route.closeReason(); f != nil {
		return f
	}
	h := m.room.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closed
}
