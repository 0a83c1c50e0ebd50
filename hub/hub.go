package hub

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/replica"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
	"github.com/caddyws/caddy-websocket/socket"
	"github.com/caddyws/caddy-websocket/tally"
)

// Why a client cannot enter a room, beside what package room reports.
var (
	// ErrClosed: everybody is sent away.
	ErrClosed = errors.New("server is stopping, or the route is gone")
	// The limits of that name.
	ErrTooManyConnections = errors.New("max_connections is reached")
	ErrTooManyRooms       = errors.New("max_rooms is reached")
	ErrTooManyForClient   = errors.New("max_connections_per_ip is reached")
	// ErrSwitched: the room is still as it was before the option history was switched on or
	// off, until the last of those is gone that are in it.
	ErrSwitched = errors.New("the room is about to begin to keep messages, or to end that")
)

// Limits are the bounds of a hub. The zero value of a number means none.
type Limits struct {
	MaxConnections int // members over WebSockets and event streams
	MaxRooms       int // rooms with members. Rooms that only people keep count, too, but give way
	MaxStoredRooms int // whose state the engine keeps

	Drain time.Duration // over which the closing of members is spread
}

// Hub is all rooms over one engine. Its methods may be called concurrently,
// Adopt by one goroutine at a time.
type Hub struct {
	log func() *zap.Logger

	engine lazyEngine

	limits      atomic.Pointer[Limits]
	routes      atomic.Pointer[[]*route.Route] // of the configuration that is running
	connections connectionLimit
	forgetter   forgetter
	waker       waker
	teller      teller
	roomLimit   roomLimit
	store       replica.Store
	shared      room.Shared
	traces      traces

	mu sync.Mutex
	// Guarded by mu.
	rooms  directory
	closed *route.CloseReason // to everybody; nil while the hub is open

	work    sync.WaitGroup  // goroutines of rooms and of blocking apps
	closing chan struct{}   // closed when everybody has to go
	empty   chan struct{}   // closed when the hub is closed and no room is in memory
	over    context.Context // ends when it is time to cut those that are left
	giveUp  context.CancelFunc
}

// New returns a hub over an engine, which it opens when something is to be kept, and
// closes in the end. log is asked for a logger each time, since loggers
// change with the configuration.
func New(opener engines.Opener, limits Limits, log func() *zap.Logger) *Hub {
	h := &Hub{
		log:     log,
		rooms:   newDirectory(),
		closing: make(chan struct{}),
		empty:   make(chan struct{}),
	}
	h.over, h.giveUp = context.WithCancel(context.Background())
	h.forgetter = forgetter{hub: h, unloaded: make(map[engines.Key]*unloadedRoom), changed: make(chan struct{}, 1)}
	h.waker = waker{hub: h, changed: make(chan struct{}, 1)}
	h.teller = teller{hub: h}
	h.roomLimit = newRoomLimit()
	h.limits.Store(&limits)
	h.routes.Store(new([]*route.Route))
	h.engine.opener = opener
	h.store.Limit = storedRooms{h}
	h.shared = room.Shared{
		Store: &h.store, Log: log, Go: h.work.Go, Idle: h.idle, HasNews: h.teller.add, Tally: tally.NewSet(),
		Closing: h.closing, Context: h.over,
	}
	if sharing, ok := opener.(engines.Sharing); ok {
		h.shared.Sharing, h.shared.Node = sharing.IsShared(), rand.Text()
	}
	h.traces.shared = &h.shared
	return h
}

// CountIn has what rooms and the engine, which has a name, do counted in a set. It is called
// before there are any.
func (h *Hub) CountIn(set *tally.Set, engine string) {
	h.shared.Tally = set
	set.Engine(engine)
	h.store.Failed = func(operation string) { set.EngineError(tally.EngineCall{Engine: engine, Operation: operation}) }
}

// Join finds the room and asks the app whether the visitor may enter. The member is
// in the room when Join returns: what it is told is kept until its connection starts,
// so that a client misses nothing from its 101 on. Errors are those of limits,
// [ErrClosed], and of package room: ErrForbidden, ErrFailed, ErrUnavailable.
func (h *Hub) Join(ctx context.Context, rt *route.Route, v room.Visitor) (*Connection, error) {
	if err := h.enter(rt, v.ClientIP); err != nil {
		return nil, err
	}
	c := &Connection{hub: h}
	var err error
	c.Member, err = h.admit(ctx, rt, v, stays, func(m *room.Member) room.Conn {
		c.socket = socket.New(&rt.Settings, m.Format(), c)
		return c.socket
	})
	if err != nil {
		h.leave(rt, v.ClientIP)
		return nil, err
	}
	rt.Tally.Enter(v.Events)
	c.Enter()
	if why := h.unwanted(rt); why != nil {
		c.Close(why.Code, why.Reason)
	}
	return c, nil
}

// unwanted reports whether a member of the route has come too late, and what it is
// told then.
func (h *Hub) unwanted(rt *route.Route) *route.CloseReason {
	if why := rt.CloseReason(); why != nil {
		return why
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closed
}

// admit lets a member in over any connection. The room does not show it yet.
func (h *Hub) admit(ctx context.Context, rt *route.Route, v room.Visitor, s stay, connect func(*room.Member) room.Conn) (*room.Member, error) {
	r, err := h.find(ctx, rt, v.Room, s)
	if err != nil {
		return nil, err
	}
	var m *room.Member
	if err = r.CatchUpWith(ctx, v.Seen); err == nil {
		m, err = r.Admit(rt, v, connect)
	}
	if err != nil {
		if errors.Is(err, room.ErrFailed) {
			rt.Tally.AppError()
		}
		h.unseat(r, s)
		r.Release()
		return nil, err
	}
	return m, nil
}

// find returns the room with a reference taken and its state loaded.
func (h *Hub) find(ctx context.Context, rt *route.Route, name string, s stay) (*room.Room, error) {
	if rt.HasEnded() {
		return nil, ErrClosed
	}
	if err := h.openFor(ctx, rt); err != nil {
		return nil, fmt.Errorf("%w: opening engine: %w", room.ErrUnavailable, err)
	}
	r, first, err := h.acquire(engines.Key{App: rt.AppName, Room: name}, rt, s)
	if err != nil {
		return nil, err
	}
	if err := r.Load(ctx, rt); err != nil {
		h.unseat(r, s)
		r.Release()
		return nil, err
	}
	if s == stays {
		r.Listen(ctx)
	}
	r.Open()
	if first {
		r.Touch()
	}
	return r, nil
}
