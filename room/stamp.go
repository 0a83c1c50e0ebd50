package room

import (
	"bytes"
	"encoding/json"
	"errors"
	"sync/atomic"

	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/replica"
	"github.com/caddyws/caddy-websocket/route"
)

// stamp is what a client calls a message: so that it can tell which answer is to
// which message, and so that what the message does counts once (package replica).
type stamp struct {
	id   []byte        // as JSON, for the answer; nil if there is none
	once *replica.Once // nil if the id is for the answer only
	used atomic.Bool   // the app has done something because of the message
}

// maxStampID is the longest id of a message, in bytes of JSON.
const maxStampID = 256

// Why a message with an id is not handed to the app.
var (
	errAt     = replica.NewError(replica.CodeBadID, false, `the field "at" of a message with an id is no text`)
	errSecond = replica.NewError(replica.CodeBadID, false, "a message with an id can have one operation only")
	errLongID = replica.NewError(replica.CodeBadID, false, "the id of a message has at most 256 bytes")
	errNoIDs  = replica.NewError(CodeStateless, false, "this room keeps nothing and cannot tell repeats: send no id of the form <client>:<n>, and no Idempotency-Key")
)

// stampOf returns the stamp of a message of a client that speaks JSON, or nil if it has
// none. The fields are "id" and "at".
func (m *Member) stampOf(data []byte) (*stamp, error) {
	raw, at := stampFields(data)
	if raw == nil {
		return nil, nil
	}
	if len(raw) > maxStampID {
		return nil, errLongID
	}
	s := &stamp{id: raw}
	id, ok := operationID(raw)
	if !ok {
		return s, nil
	}
	var seen string
	if at != nil && json.Unmarshal(at, &seen) != nil {
		return s, errAt
	}
	return s, m.countOnce(s, id, seen)
}

// stampFields returns the fields id and at of a message, as JSON. They are nil if it is no
// object with an id.
func stampFields(data []byte) (id, at json.RawMessage) {
	if !bytes.Contains(data, []byte(`"id"`)) {
		return nil, nil
	}
	var fields map[string]json.RawMessage // and not a struct, which would take "ID" for "id"
	if err := json.Unmarshal(data, &fields); err != nil || string(fields["id"]) == "null" {
		return nil, nil
	}
	return fields["id"], fields["at"]
}

// operationID returns the ID that a field is, if it is one and not only for the answer.
func operationID(field []byte) (id replica.ID, ok bool) {
	var text string
	if err := json.Unmarshal(field, &text); err != nil {
		return id, false
	}
	id, err := replica.ParseID(text)
	return id, err == nil
}

// countOnce has what the message does count once under an ID. at is the point that the
// client had seen before, or empty.
func (m *Member) countOnce(s *stamp, id replica.ID, at string) error {
	if !m.room.Stores() {
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

// takeStamp returns the stamp of the message that the app is being handed, or nil, for the
// first that the app does because of it. There must be nothing else if the message is to
// count once: what comes second would count again each time.
func (m *Member) takeStamp() (s *stamp, err error) {
	s = m.stamp.Load()
	switch {
	case s == nil:
		return nil, nil
	case !s.used.Swap(true):
		return s, nil
	case s.once != nil:
		return nil, errSecond
	}
	return nil, nil
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
