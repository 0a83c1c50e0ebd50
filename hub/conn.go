package hub

import (
	"net/http"
	"sync"

	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/replica"
	"github.com/caddyws/caddy-websocket/socket"
)

// Conn is a member's connection as its room uses it: a [socket.Conn], over a
// WebSocket or an event stream, or the answer to a POST. Its methods do not block.
type Conn interface {
	Send(data []byte, binary bool)
	Write(b *message.Batch) (behind bool)
	Update(b *message.Batch)
	Refuse(err error, payload []byte) // tells why something is not done
	Close(code frames.CloseCode, reason string)
	Abort()
	Cork()
	Uncork()
	Hold(n int)
	Release(n int)
	Lag() (taken int64, behind bool)
	Rearm() // settings may have been replaced
}

// Answer is what came of a message that was sent by a plain request.
type Answer struct {
	Status int // 200, 204 without a reply, or the error's
	Data   []byte
	Binary bool
}

// answer is the connection of a member that is there for one message. The first thing
// it is told is the answer.
type answer struct {
	mu sync.Mutex
	// Guarded by mu.
	holds int // while positive, an answer may still come
	said  bool
	value Answer
	done  chan struct{} // closed once value is final
}

func newAnswer() *answer {
	return &answer{value: Answer{Status: http.StatusNoContent}, done: make(chan struct{})}
}

// say makes the first answer the final one.
func (a *answer) say(v Answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.said {
		a.said, a.value = true, v
		close(a.done)
	}
}

// Send answers with a message.
func (a *answer) Send(data []byte, binary bool) {
	a.say(Answer{Status: http.StatusOK, Data: append([]byte(nil), data...), Binary: binary})
}

// Refuse answers with an error, encoded as payload.
func (a *answer) Refuse(err error, payload []byte) {
	a.say(Answer{Status: statusOf(err), Data: payload})
}

// Close answers with the status that means what the close code does.
func (a *answer) Close(code frames.CloseCode, reason string) {
	a.say(Answer{Status: statusOfCode(code), Data: []byte(reason)})
}

// Abort answers that the server is going away.
func (a *answer) Abort() { a.Close(frames.GoingAway, "") }

// Hold reports that an answer may come.
func (a *answer) Hold(int) {
	a.mu.Lock()
	a.holds++
	a.mu.Unlock()
}

// Release takes a Hold back. With the last one it is sure that none comes.
func (a *answer) Release(int) {
	a.mu.Lock()
	a.holds--
	none := a.holds == 0
	a.mu.Unlock()
	if none {
		a.say(Answer{Status: http.StatusNoContent})
	}
}

// What others do in the room is not told.
func (*answer) Write(*message.Batch) (behind bool) { return false }
func (*answer) Update(*message.Batch)              {}
func (*answer) Cork()                              {}
func (*answer) Uncork()                            {}
func (*answer) Lag() (taken int64, behind bool)    { return 0, false }
func (*answer) Rearm()                             {}

// statusOf is the status for what an operation was refused for.
func statusOf(err error) int {
	switch err {
	case errBusy, replica.ErrUnavailable:
		return http.StatusServiceUnavailable
	case replica.ErrUnknown:
		return http.StatusGatewayTimeout
	case replica.ErrTooBig, replica.ErrTooManyRooms:
		return http.StatusInsufficientStorage
	}
	return http.StatusBadRequest
}

// statusOfCode is the status for what a connection would be closed with.
func statusOfCode(code frames.CloseCode) int {
	switch code {
	case frames.NormalClosure:
		return http.StatusNoContent
	case frames.UnsupportedData:
		return http.StatusUnsupportedMediaType
	case frames.PolicyViolation:
		return http.StatusForbidden
	case frames.MessageTooBig:
		return http.StatusRequestEntityTooLarge
	case frames.InternalError:
		return http.StatusInternalServerError
	case frames.GoingAway, frames.ServiceRestart, frames.TryAgainLater:
		return http.StatusServiceUnavailable
	}
	return http.StatusBadRequest
}

// Interface guards
var (
	_ Conn = (*answer)(nil)
	_ Conn = (*socket.Conn)(nil)
)
