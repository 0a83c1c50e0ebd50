package room

import (
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/route"
)

// Member is one client in a room. Its connection tells it what the client does; an app
// sees it as an appConn.
type Member struct {
	// Immutable.
	room     *Room
	route    *route.Route
	number   uint64
	clientIP string
	identity *identity // nil for most
	conn     Conn
	format   message.Format

	handing atomic.Bool           // messages are being handed over: Flush will follow
	stamp   atomic.Pointer[stamp] // of the message that the app is being handed; see takeStamp

	// Owned by the room's turn.
	turn struct {
		version uint64 // of its last reply
		heard   int32  // how many of the turn's events it was sent
		taking  bool   // it has operations in this turn
		owed    bool   // it has operations for a later turn
		missed  bool   // it was not sent an update because of them
		outside bool   // it is not in the room yet, or not any more
	}

	// Guarded by room.mu.
	operations []operation // waiting for their turn
	unanswered int32       // operations waiting or in a turn
	place      int32       // index in room.members; -1 outside
	greets     bool        // it is still to be shown the state on joining
	arriving   bool        // it is still to be told what has happened before; see arrival.go

	mu sync.Mutex
	// Guarded by mu.
	ended  bool    // the connection has
	hungUp bool    // the client says nothing more
	extras *extras // nil until an app needs some

	patience *patience // guarded by backpressure.mu; nil until the member has been behind
}

// identity is what is known of a member beside its address.
type identity struct {
	user        string
	subprotocol string
	seen        Seen // what the client says it has seen already
	rights      Rights
}

// extras is what some apps need of their connections.
type extras struct {
	value   any
	inbox   inbox
	context *connContext // nil until an app asks for it
	claims  *claims      // nil until it has claimed a name
	past    *catchUp     // nil until it arrives in a room that keeps messages
	owed    owed         // until it has been told what came before
	missing missing      // nil until the first operation of a client is refused
}

// needExtras returns the extras, made if there are none. mu is held.
func (m *Member) needExtras() *extras {
	if m.extras == nil {
		m.extras = new(extras)
	}
	return m.extras
}

var members atomic.Uint64

func newMember(r *Room, rt *route.Route, v Visitor) *Member {
	m := &Member{
		room:     r,
		route:    rt,
		number:   members.Add(1),
		clientIP: v.ClientIP,
		format:   v.format(),
		place:    -1,
	}
	if b := (identity{v.User, v.Subprotocol, v.Seen, v.Rights}); b != (identity{}) {
		m.identity = &b
	}
	for _, name := range v.Claims {
		m.claim(name)
	}
	return m
}

// Room is the room of the member.
func (m *Member) Room() *Room { return m.room }

// Route is the one that the member came by.
func (m *Member) Route() *route.Route { return m.route }

// Format is how the member is told what the room says.
func (m *Member) Format() message.Format { return m.format }

// ClientIP is the client's address as Caddy sees it.
func (m *Member) ClientIP() string { return m.clientIP }

// Rights is what the client may do.
func (m *Member) Rights() Rights {
	if m.identity == nil {
		return Rights{}
	}
	return m.identity.rights
}

// speaksJSON reports whether what the client says is of the subprotocol json.
func (m *Member) speaksJSON() bool {
	return m.identity != nil && m.identity.subprotocol == message.Subprotocol
}

func (m *Member) readOnly() bool { return m.identity != nil && m.identity.rights.ReadOnly }

// Expires is until when the client may be here, or zero.
func (m *Member) Expires() time.Time { return m.Rights().Expires }

// Close sends the member away. It does not wait.
func (m *Member) Close(code frames.CloseCode, reason string) { m.conn.Close(code, reason) }

// Abort cuts the member's connection. It does not wait.
func (m *Member) Abort() { m.conn.Abort() }

// Rearm has the connection look at its settings, which may have been replaced.
func (m *Member) Rearm() { m.conn.Rearm() }

// Message takes one message of the client. Flush must follow, at the latest when no
// other message is at hand.
func (m *Member) Message(data []byte, binary bool) {
	m.room.trace(Received, m, data, binary)
	var s *stamp
	if m.format == message.JSON && !binary {
		var err error
		if s, err = m.stampOf(data); err != nil && !m.readOnly() {
			m.room.refuse(m, err, s)
			return
		}
	}
	m.take(apps.Message{Data: data, Binary: binary}, s)
}

// take hands a message to the app, now or when it comes to it, if the client may send any.
func (m *Member) take(msg apps.Message, s *stamp) {
	if m.readOnly() {
		m.room.refuse(m, ErrReadOnly, s)
		return
	}
	if !m.route.Inline {
		m.deposit(msg, s)
		return
	}
	m.handing.Store(true)
	m.receive(msg, s)
}

// Flush lets the room carry out what the messages before led to.
func (m *Member) Flush() {
	if m.handing.Swap(false) {
		m.room.kick()
	}
}

// Depart is for a member whose connection has ended: Leave of the app is called, after
// the messages that still wait, and the reference to the room is given back. Exit
// has been called before.
func (m *Member) Depart() {
	if m.end() {
		m.leave()
	}
}

// leave is the last that is heard of a member.
func (m *Member) leave() {
	defer m.room.Release()
	m.tellLeave()
}

// tellLeave tells the app that m is gone.
func (m *Member) tellLeave() {
	if err := m.callLeave(); err != nil {
		m.route.Tally.AppError()
		m.Log().Error("app failed on leaving", zap.Error(err))
	}
}
