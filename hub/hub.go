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
	"github.com/caddyws/caddy-websocket/socket"
)

// Why a client cannot enter a room.
var (
	// ErrForbidden wraps what the app's Join returned.
	ErrForbidden = errors.New("app refused the connection")
	// ErrUnavailable wraps why the room's state could not be read.
	ErrUnavailable = errors.New("room is not available")
	// ErrClosed: the hub is closing.
	ErrClosed = errors.New("hub is closed")
)

// Hub is all rooms over one engine. Its methods may be called concurrently.
type Hub struct {
	engine   engines.Engine
	volatile bool // the engine never waits
	log      func() *zap.Logger

	waiting atomic.Int64 // bytes of operations waiting in all rooms

	mu     sync.Mutex
	rooms  map[engines.Key]*Room // guarded by mu
	closed bool                  // guarded by mu

	visitors sync.WaitGroup // members, and who looks for a room
	work     sync.WaitGroup // goroutines of rooms and of blocking apps
}

// New returns a hub over an engine, which it closes in the end. log is asked for
// a logger each time, since loggers change with the configuration.
func New(engine engines.Engine, log func() *zap.Logger) *Hub {
	_, volatile := engine.(engines.Volatile)
	return &Hub{engine: engine, volatile: volatile, log: log, rooms: make(map[engines.Key]*Room)}
}

// Join finds the room and asks the app whether the visitor may enter. The
// returned member is in the room: what it is told is kept until it has a
// connection, so that a client misses nothing from its 101 on. Exactly one of
// Start, Serve and Abandon must be called. Errors are [ErrForbidden], [ErrUnavailable],
// [ErrClosed] and, with its stack, a panic of the app.
func (h *Hub) Join(ctx context.Context, route *Route, v Visitor) (*Member, error) {
	m, err := h.admit(ctx, route, v, func(m *Member) port { return socket.New(&route.Settings, m) })
	if err == nil {
		m.room.enter(m)
	}
	return m, err
}

// admit is Join for a member over any port.
func (h *Hub) admit(ctx context.Context, route *Route, v Visitor, newPort func(*Member) port) (*Member, error) {
	room, err := h.find(ctx, route, v.Room)
	if err != nil {
		return nil, err
	}
	m := newMember(room, route, v)
	m.port = newPort(m)
	if err := m.join(v.Handshake); err != nil {
		m.endLife()
		h.giveUp(room)
		return nil, err
	}
	return m, nil
}

// find returns the room with a reference taken and its state loaded.
func (h *Hub) find(ctx context.Context, route *Route, name string) (*Room, error) {
	room, err := h.refer(engineKey(route, name), route)
	if err != nil {
		return nil, err
	}
	if err := room.load(ctx); err != nil {
		h.giveUp(room)
		return nil, err
	}
	return room, nil
}

// refer takes a reference to the room, which it makes if there is none: two
// rooms of one key never exist at the same time. giveUp gives it back.
func (h *Hub) refer(key engines.Key, route *Route) (*Room, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrClosed
	}
	room, ok := h.rooms[key]
	if !ok {
		room = newRoom(h, key, route)
		h.rooms[key] = room
	}
	room.refs.Add(1)
	h.visitors.Add(1)
	return room, nil
}

// giveUp gives back what refer gave.
func (h *Hub) giveUp(room *Room) {
	h.release(room)
	h.visitors.Done()
}

// release gives a reference back. A room without one leaves memory: its state,
// if it has any, is stored. Only refer can bring it back from none, under the
// lock.
func (h *Hub) release(room *Room) {
	if room.refs.Add(-1) > 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rooms[room.key] == room && room.retire() {
		delete(h.rooms, room.key)
	}
}

// Close sends every member away with 1001 and, once what they began is
// committed and they are gone or the context has ended, closes the engine.
func (h *Hub) Close(ctx context.Context) error {
	for _, room := range h.close() {
		room.dismiss(frames.GoingAway, "server is going away")
	}
	gone := make(chan struct{})
	go func() {
		h.visitors.Wait()
		h.work.Wait()
		close(gone)
	}()
	select {
	case <-gone:
		return h.engine.Close()
	case <-ctx.Done():
		return errors.Join(ctx.Err(), h.engine.Close())
	}
}

// close lets nobody in any more and returns the rooms there are.
func (h *Hub) close() []*Room {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	rooms := make([]*Room, 0, len(h.rooms))
	for _, room := range h.rooms {
		rooms = append(rooms, room)
	}
	return rooms
}

// commitTimeout bounds how long a turn waits for the engine.
const commitTimeout = 10 * time.Second
