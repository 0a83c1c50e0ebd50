package hub

import (
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/socket"
)

// Member is one client in a room: an [apps.Conn] to its app and the
// [socket.Handler] of its connection.
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
		heard   int32  // bytes of the turn's events that it was sent
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

// callJoin asks the app whether m may enter.
func (m *Member) callJoin(h apps.Handshake) (err error) {
	defer m.recovered(&err)
	if joiner, ok := m.route.app().(apps.Joiner); ok {
		if err := joiner.Join(m, h); err != nil {
			return fmt.Errorf("%w: %w", ErrForbidden, err)
		}
	}
	return nil
}

// callGreets asks the app whether m is shown the state on joining.
func (m *Member) callGreets() (err error) {
	defer m.recovered(&err)
	m.greets = m.room.stateful && (m.format != message.Text || m.appGreets())
	return nil
}

func (m *Member) appGreets() bool {
	greeter, ok := m.route.app().(apps.Greeter)
	return ok && greeter.Greets(m)
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

func (m *Member) callLeave(l apps.Leaver) (err error) {
	defer m.recovered(&err)
	l.Leave(m)
	return nil
}

// receive hands a message to the app and acts on what it returns.
func (m *Member) receive(msg apps.Message) {
	if err := m.callReceive(msg); err != nil {
		m.failed(err)
	}
}

func (m *Member) callReceive(msg apps.Message) (err error) {
	defer m.recovered(&err)
	if err = m.route.app().Receive(m, msg); err != nil {
		_ = err.Error() // that of a nil pointer panics: here it does no harm
	}
	return err
}

// recovered turns a panic of the app into an error with its stack.
func (m *Member) recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: panic in app %s: %v\n%s", ErrFailed, m.route.AppName, p, debug.Stack())
	}
}

// endFields tell how a connection ended. They are built only for a line that is
// written: every connection ends.
func (m *Member) endFields(end socket.End) []zap.Field {
	fields := append(m.fields(),
		zap.Duration("duration", end.Duration),
		zap.Uint16("code", uint16(end.Code)),
		zap.String("reason", printable(end.Reason)),
		zap.Bool("by_client", end.ByPeer),
		zap.Uint64("messages_in", end.MessagesIn),
		zap.Uint64("messages_out", end.MessagesOut),
		zap.Uint64("bytes_in", end.BytesIn),
		zap.Uint64("bytes_out", end.BytesOut),
	)
	if end.Err != nil {
		fields = append(fields, zap.Error(end.Err))
	}
	return fields
}

// printable replaces the control characters that encoders of logs do not escape:
// DEL, and those beyond ASCII, which some terminals obey.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= unicode.MaxASCII && unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// log returns a logger that names the connection.
func (m *Member) log() *zap.Logger { return m.room.hub.log().With(m.fields()...) }

// fields name the connection in logs. Names that clients choose are fields,
// which encoders escape, never part of the text.
func (m *Member) fields() []zap.Field {
	return []zap.Field{
		zap.String("route", m.route.Name),
		zap.String("room", title(m.room.key.Room)),
		zap.String("client_ip", m.clientIP),
		zap.String("id", m.ID()),
	}
}

// The rest of apps.Conn.

// Send queues a message for this client.
func (m *Member) Send(msg apps.Message) { m.conn.Send(msg.Data, msg.Binary) }

// sendError tells m why what it asked for is not done.
func (m *Member) sendError(err error) { m.conn.Refuse(err, message.Error(m.format, err.Error())) }

// Close ends the connection.
func (m *Member) Close(code int, reason string) { m.conn.Close(closeCode(code), reason) }

func closeCode(code int) frames.CloseCode {
	if code < 0 || code > 4999 {
		return frames.InternalError
	}
	return frames.CloseCode(code)
}

// Room returns the room as the app knows it.
func (m *Member) Room() apps.Room { return (*memberRoom)(m) }

// ID names the connection.
func (m *Member) ID() string { return connectionID(m.number) }

// ClientIP is the client's address as Caddy sees it.
func (m *Member) ClientIP() string { return m.clientIP }

// User is the authenticated user, or empty.
func (m *Member) User() string {
	if m.identity == nil {
		return ""
	}
	return m.identity.user
}

// Subprotocol is the agreed subprotocol, or empty.
func (m *Member) Subprotocol() string {
	if m.identity == nil {
		return ""
	}
	return m.identity.subprotocol
}

// Value returns the app's own value.
func (m *Member) Value() any {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.value
}

// SetValue stores the app's own value.
func (m *Member) SetValue(v any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.value = v
}

// memberRoom is the room as one member's app calls know it: what is done
// through it is done on behalf of that member.
type memberRoom Member

// Name is the room's name, as people write it.
func (r *memberRoom) Name() string { return title(r.room.key.Room) }

// Len is the number of members.
func (r *memberRoom) Len() int { return r.room.len() }

// Publish sends a message to the members.
func (r *memberRoom) Publish(msg apps.Message, except ...apps.Conn) {
	r.room.publish((*Member)(r), msg, except)
}

// Apply queues an operation on the room's state.
func (r *memberRoom) Apply(c apps.Conn, op []byte) {
	m, ok := c.(*Member)
	if !ok || m.room != r.room {
		panic("applying an operation for a connection of another room")
	}
	m.room.apply(m, op)
}

// Interface guards
var (
	_ apps.Conn      = (*Member)(nil)
	_ apps.Room      = (*memberRoom)(nil)
	_ socket.Handler = (*Member)(nil)
)
