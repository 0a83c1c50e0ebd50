package room

import (
	"sync"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/replica"
	"github.com/caddyws/caddy-websocket/tally"
)

// Answer is what came of a message that was sent by a plain request: a reply; why there
// is none; or, if all is zero, nothing.
type Answer struct {
	Data   []byte // the reply, not nil; or what is wrong, for people
	Binary bool
	Err    error            // the message was refused
	Code   frames.CloseCode // a connection would have been closed with it; 0 if not
}

// Exchange is the connection of a member that is there for one message. The first thing
// that it is told is the answer.
type Exchange struct {
	silent

	// Set by Begin.
	member *Member
	stamp  *stamp

	mu sync.Mutex
	// Guarded by mu.
	holds  int // while positive, an answer may still come
	said   bool
	answer Answer
	done   chan struct{} // closed once answer is final
}

// NewExchange returns one without a message yet.
func NewExchange() *Exchange { return &Exchange{done: make(chan struct{})} }

// OperationID names an operation that counts once, however often it is sent.
type OperationID struct {
	ID replica.ID
	At string // the point that the client had seen, "<epoch>-<version>"; or empty
}

// Begin hands the message to the app, on behalf of the member. once is what the
// request says beside the message, or nil; it goes before what the message says.
func (x *Exchange) Begin(m *Member, msg apps.Message, once *OperationID) {
	x.Hold(0)
	defer x.Release(0)
	m.room.trace(Received, m, msg.Data, msg.Binary)
	s, err := m.stampOfPost(msg, once)
	x.member, x.stamp = m, s
	if err != nil {
		m.room.refuse(m, err, s)
		return
	}
	m.take(msg, s)
	m.Flush()
}

// stampOfPost is the stamp of a message that came by a plain request: by its header, or
// else, if it is an operation on a state or of the subprotocol json, as over a WebSocket. In
// any other room the message is passed on as it is, and what is in it is not looked at.
func (m *Member) stampOfPost(msg apps.Message, once *OperationID) (s *stamp, err error) {
	if !msg.Binary && (m.room.stateful && m.route.JSON || m.speaksJSON()) {
		s, err = m.stampOf(msg.Data)
	}
	if once == nil {
		return s, err
	}
	if s == nil {
		s = new(stamp)
	}
	return s, m.countOnce(s, once.ID, once.At)
}

// GiveUp answers that the message may have had its effect, or may have it still. Begin
// has returned.
func (x *Exchange) GiveUp() {
	err := replica.ErrUnknown
	if x.stamp.count() != nil {
		err = replica.ErrUnknownID
	}
	x.member.tellFault(err, x.stamp, false)
}

// Done is closed once there is an answer.
func (x *Exchange) Done() <-chan struct{} { return x.done }

// Answer is what came of the message; Done is closed.
func (x *Exchange) Answer() Answer { return x.answer }

// say makes the first answer the final one.
func (x *Exchange) say(a Answer) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.said {
		x.said, x.answer = true, a
		close(x.done)
	}
}

// Send answers with a message.
func (x *Exchange) Send(data []byte, binary bool) {
	x.say(Answer{Data: append([]byte{}, data...), Binary: binary})
}

// Refuse answers with an error, encoded as payload.
func (x *Exchange) Refuse(err error, payload []byte) { x.say(Answer{Data: payload, Err: err}) }

// Close answers with what a connection would be closed with.
func (x *Exchange) Close(code frames.CloseCode, reason string) {
	x.say(Answer{Data: []byte(reason), Code: code})
}

// Abort answers that the server is going away. The engine of a room that keeps something
// may be at work on the message all the same.
func (x *Exchange) Abort() {
	if x.member.room.Stores() {
		x.GiveUp()
		return
	}
	x.Close(frames.GoingAway, "")
}

// Hold reports that an answer may come.
func (x *Exchange) Hold(int) {
	x.mu.Lock()
	x.holds++
	x.mu.Unlock()
}

// Release takes a Hold back. With the last one it is sure that none comes.
func (x *Exchange) Release(int) {
	x.mu.Lock()
	x.holds--
	none := x.holds == 0
	x.mu.Unlock()
	if none {
		x.say(Answer{})
	}
}

// silent is what a connection is that is not told what others do in the room.
type silent struct{}

func (silent) Write(*message.Batch) (behind bool)   { return false }
func (silent) Update(*message.Batch)                {}
func (silent) Present(change, whole *message.Batch) {}
func (silent) Cork()                                {}
func (silent) Uncork()                              {}
func (silent) Lag() (int64, time.Duration, bool)    { return 0, 0, false }
func (silent) Rearm()                               {}
func (silent) Stats() tally.Connection              { return tally.Connection{} }

// Interface guards
var _ Conn = (*Exchange)(nil)
