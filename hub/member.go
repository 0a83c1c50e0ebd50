package hub

import (
	"sync"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/socket"
)

// Member is one client in a room, and the [socket.Handler] of its connection. An app
// sees it as an appConn.
type Member struct {
	// Immutable.
	room     *Room
	route    *Route
	number   uint64
	clientIP string
	identity *identity // nil for most
	conn     Conn
	format   message.Format
	stay     stay

	handing atomic.Bool // messages are being handed over: Flush will follow

	// Owned by the room's turn.
	turn struct {
		version uint64 // of its last reply
		heard   int32  // how many of the turn's events it was sent
		taking  bool   // it has operations in this turn
		owed    bool   // it has operations for a later turn
		missed  bool   // it was not sent an update because of them
	}

	// Guarded by room.mu.
	operations []operation // waiting for their turn
	unanswered int32       // operations waiting or in a turn
	place      int32       // index in room.members; -1 outside
	greets     bool        // it is still to be shown the state on joining

	mu sync.Mutex
	// Guarded by mu.
	ended   bool // the connection has
	hungUp  bool // the client says nothing more
	value   any
	inbox   *inbox       // nil until an app that may block is sent a message
	context *connContext // nil until an app asks for it

	patience *patience // guarded by backpressure.mu; nil until the member has been behind
}

// JSON is the subprotocol whose messages from the server are JSON objects.
const JSON = "json"

// identity is what is known of a member beside its address.
type identity struct {
	user        string
	subprotocol string
	lastSeen    string // the state that an event stream has seen already
}

var members atomic.Uint64

func newMember(room *Room, route *Route, v Visitor) *Member {
	m := &Member{
		room:     room,
		route:    route,
		number:   members.Add(1),
		clientIP: v.ClientIP,
		place:    -1,
	}
	if b := (identity{v.User, v.Subprotocol, v.LastEventID}); b != (identity{}) {
		m.identity = &b
	}
	switch {
	case v.Events:
		m.format = message.Events
	case v.Subprotocol == JSON:
		m.format = message.JSON
	}
	return m
}

// Message takes one message of the client.
func (m *Member) Message(data []byte, binary bool) {
	if !m.route.inline {
		m.deposit(data, binary)
		return
	}
	m.handing.Store(true)
	m.receive(apps.Message{Data: data, Binary: binary})
}

// Flush lets the room carry out what the messages before led to.
func (m *Member) Flush() {
	if m.handing.Swap(false) {
		m.room.kick()
	}
}

// Closed ends the membership. What may take its time, which is what the app says
// to it and the line in the log, has a goroutine of its own.
func (m *Member) Closed(end socket.End) {
	m.room.exit(m)
	line := m.room.hub.log().Check(zap.InfoLevel, "connection ended")
	if _, leaver := m.route.app().(apps.Leaver); leaver || line != nil {
		go m.part(line, end)
		return
	}
	m.part(nil, end)
}

// part is the last step. What apps do wrong has been caught closer by; anything
// else must not end Caddy.
func (m *Member) part(line *zapcore.CheckedEntry, end socket.End) {
	defer func() {
		if p := recover(); p != nil {
			m.log().Error("ending connection", zap.Any("panic", p), zap.Stack("stack"))
		}
	}()
	defer m.depart()
	if line != nil {
		line.Write(m.endFields(end)...)
	}
}

// depart lets Leave be called, after the messages that still wait.
func (m *Member) depart() {
	if m.stay == stays {
		m.room.hub.connections.leave(m.route, m.clientIP)
	}
	m.room.hub.unseat(m.room, m.stay)
	if m.end() {
		m.leave()
	}
}

// leave is the last that is heard of a member.
func (m *Member) leave() {
	defer m.room.hub.release(m.room)
	if leaver, ok := m.route.app().(apps.Leaver); ok {
		if err := m.callLeave(leaver); err != nil {
			m.log().Error("app failed on leaving", zap.Error(err))
		}
	}
}

// Interface guards
var _ socket.Handler = (*Member)(nil)
