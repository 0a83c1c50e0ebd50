package message

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// Kind is what a message is about. Kinds other than Published and Error carry the
// point in the room's order that they belong to.
type Kind uint8

// The kinds, with the value of the field type that they have in JSON.
const (
	Published Kind = iota // what a member has said to the room; sent as it is
	State                 // "state": the state on joining
	Reply                 // "reply": the answer to an operation
	Update                // "update": the state after somebody else's operation
	Event                 // "event": an alert
)

var kindNames = [...]string{State: "state", Reply: "reply", Update: "update", Event: "event"}

// Point is a place in the order of a room: the version of its state, within the
// life of that state.
type Point struct {
	Epoch   string // random, made with the room
	Version uint64 // operations applied since
}

// String returns the point as clients are shown it: epoch, "-", version.
func (p Point) String() string { return p.Epoch + "-" + strconv.FormatUint(p.Version, 10) }

// Message is one thing that a room says. Its bytes are never changed.
type Message struct {
	Kind   Kind
	Binary bool   // only for Published; anything else is text
	At     Point  // not for Published
	Number int    // of an Event, from 1, among those of its operation
	Text   []byte // for the formats Text and Events
	JSON   []byte // an object, for the format JSON; Published has only Text
}

// Payload returns the message in a format. It is empty if there is nothing to say
// in that format.
func (m Message) Payload(f Format) []byte {
	if f != JSON || m.Kind == Published {
		return m.Text
	}
	p := make([]byte, 0, 64+len(m.JSON))
	p = append(p, `{"type":"`...)
	p = append(p, kindNames[m.Kind]...)
	p = append(p, `","epoch":"`...)
	p = append(p, m.At.Epoch...)
	p = append(p, `","version":`...)
	p = strconv.AppendUint(p, m.At.Version, 10)
	return appendFields(p, m.JSON)
}

// appendFields goes on with the fields of a JSON object, and closes it.
func appendFields(dst, object []byte) []byte {
	fields := bytes.TrimSpace(object)
	fields = bytes.TrimSpace(bytes.TrimPrefix(fields, []byte("{")))
	if len(fields) <= 1 {
		return append(dst, '}')
	}
	return append(append(dst, ','), fields...)
}

// Error returns the payload that tells a client why something is not done.
func Error(f Format, text string) []byte {
	if f != JSON {
		return []byte("error: " + text)
	}
	quoted, _ := json.Marshal(text) // a string always can be
	return append(append([]byte(`{"type":"error","error":`), quoted...), '}')
}
