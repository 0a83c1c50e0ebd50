package room

import (
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/message"
)

// Visitor is a client at the door.
type Visitor struct {
	Room        string // its name, which begins with what names it
	ClientIP    string
	User        string
	Subprotocol string   // [message.Subprotocol], or one that only the app knows
	Events      bool     // it only listens, to Server-Sent Events
	AnswerJSON  bool     // it is there for one message, and is answered as by the subprotocol json
	Seen        Seen     // what it says it has seen already
	Claims      []string // names that it claims; see CheckClaims
	Handshake   apps.Handshake
	Rights
}

// Rights is what a client may do in a room.
type Rights struct {
	ReadOnly bool      // it may send no messages
	Expires  time.Time // until when it may be here; zero: as long as it likes
}

// format is how the visitor is told what the room says.
func (v Visitor) format() message.Format {
	switch {
	case v.Events && v.Subprotocol == message.Subprotocol:
		return message.JSONEvents
	case v.Events:
		return message.Events
	case v.Subprotocol == message.Subprotocol, v.AnswerJSON:
		return message.JSON
	}
	return message.Text
}
