package message

import (
	"encoding/json"
	"strconv"
)

// Fault is why something that a client has asked for is not done.
type Fault struct {
	Text   string // for people
	Code   string // for programs
	Retry  bool   // it may be sent again as it is
	ID     []byte // what the client has called its message, as JSON; nil if it has not
	Repeat bool   // this is the answer that the message had when it came first
}

// Payload returns the message that tells the client.
func (f Fault) Payload(format Format) []byte {
	if format != JSON {
		return []byte("error: " + f.Text)
	}
	p := append([]byte(`{"type":"error","error":`), quoted(f.Text)...)
	p = append(append(p, `,"code":`...), quoted(f.Code)...)
	p = strconv.AppendBool(append(p, `,"retry":`...), f.Retry)
	return append(appendRepeat(appendID(p, f.ID), f.Repeat), '}')
}

// quoted returns a text as JSON.
func quoted(text string) []byte {
	p, _ := json.Marshal(text) // a string always can be
	return p
}
