package room

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/replica"
	"github.com/caddyws/caddy-websocket/route"
)

// stamp is what a client calls a message: so that it can tell which answer is to
// which message, and so that what the message does counts once (package replica).
type stamp struct {
	id   []byte        // as JSON, for the answer; nil if there is none
	once *replica.Once // nil if the id is for the answer only
}

// maxStampID is the longest id of a message, in bytes of JSON.
const maxStampID = 256

// Why a message with an id is not handed to the app.
var (
	errLongID = replica.NewError(replica.CodeBadID, false, "the id of a message has at most 256 bytes")
	errNoIDs  = replica.NewError(replica.CodeBadID, false, "this room keeps nothing and cannot tell repeats: send no id of the form <client>:<n>, and no Idempotency-Key")
)

// stampOf returns the stamp of a message in the format JSON, or nil if it has none.
// The fields are "id" and "at".
func (m *Member) stampOf(data []byte, binary bool) (*stamp, error) {
	if m.format != message.JSON || binary || !bytes.Contains(data, []byte(`"id"`)) {
		return nil, nil
	}
	var object struct {
		ID json.RawMessage `json:"id"`
		At string          `json:"at"`
	}
	if json.Unmarshal(data, &object) != nil || object.ID == nil || string(object.ID) == "null" {
		return nil, nil
	}
	if len(object.ID) > maxStampID {
		return nil, errLongID
	}
	s := &stamp{id: object.ID}
	var text string
	if json.Unmarshal(object.ID, &text) != nil {
		return s, nil
	}
	id, err := replica.ParseID(text)
	if err != nil { // it is only for the answer
		return s, nil
	}
	return s, m.countOnce(s, id, object.At)
}

// countOnce has what the message does count once under an ID. at is the point that the
// client had seen before, or empty.
func (m *Member) countOnce(s *stamp, id replica.ID, at string) error {
	if !m.room.stateful {
		return errNoIDs
	}
	s.once = &replica.Once{ID: id, Network: route.Network(m.clientIP).String()}
	if m.identity != nil {
		s.once.User = m.identity.user
	}
	if at == "" {
		return nil
	}
	var err error
	s.once.At, err = replica.ParsePoint(at)
	return err
}

// takeStamp returns the stamp of the message that the app is being handed, for the
// first that it does because of it; nil if there is none.
func (m *Member) takeStamp() *stamp {
	if m.stamp.Load() == nil {
		return nil
	}
	return m.stamp.Swap(nil)
}

// count is what makes the message count once, or nil.
func (s *stamp) count() *replica.Once {
	if s == nil {
		return nil
	}
	return s.once
}

// answerID is the id for the answer, or nil.
func (s *stamp) answerID() []byte {
	if s == nil {
		return nil
	}
	return s.id
}

// fault is what a client is told of an error.
func (s *stamp) fault(err error, repeat bool) message.Fault {
	f := message.Fault{Text: err.Error(), Code: string(replica.CodeRefused), ID: s.answerID(), Repeat: repeat}
	if e, ok := errors.AsType[*replica.Error](err); ok {
		f.Code, f.Retry = string(e.Code), e.Retry
	}
	return f
}
