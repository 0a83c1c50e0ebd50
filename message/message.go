package message

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"time"
)

// Kind is what a message is about. Every kind carries the point in the room's order that
// it belongs to, but for Published in a room that keeps no messages.
type Kind uint8

// The kinds, with the value of the field type that they have in JSON.
const (
	Published Kind = iota // "message": what a member has said to the room
	State                 // "state": the state on joining
	Reply                 // "reply": the answer to an operation
	Update                // "update": the state after somebody else's operation
	Event                 // "event": something that has happened
	Gap                   // "gap": events or messages that the client has asked for are not kept any more
)

var kindNames = [...]string{Published: "message", State: "state", Reply: "reply", Update: "update", Event: "event", Gap: "gap"}

// Point is a place in the order of a room: the version of its state, within the
// life of that state.
type Point struct {
	Epoch   string // names this life of the state
	Version uint64 // operations applied since
}

// String returns the point as clients are shown it: epoch, "-", version.
func (p Point) String() string { return p.Epoch + "-" + strconv.FormatUint(p.Version, 10) }

// Sender is who has said something.
type Sender interface {
	ID() string   // of the connection; empty if there is none
	User() string // the authenticated user, or empty
}

// Known returns the Sender of whom that is known.
func Known(id, user string) Sender { return &known{id, user} }

type known struct{ id, user string }

func (k *known) ID() string   { return k.id }
func (k *known) User() string { return k.user }

// Message is one thing that a room says. Its bytes are never changed.
type Message struct {
	Kind   Kind
	Binary bool      // only for Published; anything else is text
	At     Point     // zero if it is of none; of a Gap, from which on nothing is missing
	From   Sender    // only for Published; nil if it is nobody
	Sent   time.Time // only for Published; zero: when it is encoded
	Name   string    // of an Event: what has happened, in letters that JSON need not escape
	Number int       // of an Event, from 1, among those of its operation; 0 if it is of no single one
	Text   []byte    // for the formats Text and Events
	JSON   []byte    // an object, for the formats JSON and JSONEvents; nil of Published: its Text says all
	ID     []byte    // what the client has called its message, as JSON; only for Reply
	Repeat bool      // the operation had counted before; only for Reply
}

// Payload returns the message in a format. It is empty if there is nothing to say
// in that format.
func (m Message) Payload(f Format) []byte {
	switch {
	case !f.isJSON():
		return m.Text
	case m.Kind == Published:
		return m.published()
	}
	p := make([]byte, 0, 64+len(m.JSON))
	p = append(p, `{"type":"`...)
	p = append(p, kindNames[m.Kind]...)
	p = m.appendPlace(appendName(p, m.Name))
	p = appendFields(p, m.JSON)
	p = appendID(p, m.ID)
	return append(appendRepeat(p, m.Repeat), '}')
}

// published returns what a member has said as an object.
func (m Message) published() []byte {
	p := append(make([]byte, 0, 160+len(m.Text)+len(m.JSON)), `{"type":"message`...)
	if m.At.Epoch == "" {
		p = append(p, '"')
	} else {
		p = m.appendPlace(p)
	}
	p = appendSender(p, m.From)
	sent := m.Sent
	if sent.IsZero() {
		sent = time.Now()
	}
	p = append(sent.UTC().AppendFormat(append(p, `,"time":"`...), timeFormat), '"')
	switch {
	case m.JSON != nil:
		p = appendFields(p, m.JSON)
	case m.Binary:
		p = append(base64.StdEncoding.AppendEncode(append(p, `,"binary":"`...), m.Text), '"')
	default:
		p = append(append(p, `,"data":`...), quoted(string(m.Text))...)
	}
	return append(p, '}')
}

// timeFormat is RFC 3339 with milliseconds.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

// appendSender appends the field from after others, if there is anybody.
func appendSender(dst []byte, from Sender) []byte {
	if from == nil {
		return dst
	}
	id, user := from.ID(), from.User()
	if id == "" && user == "" {
		return dst
	}
	dst = append(append(dst, `,"from":{"id":`...), quoted(id)...)
	if user != "" {
		dst = append(append(dst, `,"user":`...), quoted(user)...)
	}
	return append(dst, '}')
}

// appendName appends the field event within the quotes of others, if there is a name.
func appendName(dst []byte, name string) []byte {
	if name == "" {
		return dst
	}
	return append(append(dst, `","event":"`...), name...)
}

// appendPlace appends the fields of the point that m belongs to.
func (m Message) appendPlace(dst []byte) []byte {
	dst = append(dst, `","epoch":"`...)
	dst = append(dst, m.At.Epoch...)
	if m.Kind == Gap {
		dst = append(dst, `","oldest":`...)
	} else {
		dst = append(dst, `","version":`...)
	}
	dst = strconv.AppendUint(dst, m.At.Version, 10)
	if m.Number > 0 {
		dst = strconv.AppendInt(append(dst, `,"number":`...), int64(m.Number), 10)
	}
	return dst
}

// appendFields appends the fields of a JSON object after others.
func appendFields(dst, object []byte) []byte {
	fields := bytes.TrimSpace(object)
	fields = bytes.TrimPrefix(fields, []byte("{"))
	fields = bytes.TrimSpace(bytes.TrimSuffix(fields, []byte("}")))
	if len(fields) == 0 {
		return dst
	}
	return append(append(dst, ','), fields...)
}

// appendID appends the field id after others, if there is one.
func appendID(dst, id []byte) []byte {
	if len(id) == 0 {
		return dst
	}
	return append(append(dst, `,"id":`...), id...)
}

// appendRepeat appends the field repeat after others, if it is true.
func appendRepeat(dst []byte, repeat bool) []byte {
	if !repeat {
		return dst
	}
	return append(dst, `,"repeat":true`...)
}
