package apps

import (
	"net/http"
	"net/url"
)

// Message is one WebSocket message, whole: fragments are put together and
// masking is undone before an app sees it. Text is valid UTF-8.
type Message struct {
	Data   []byte
	Binary bool
	// JSON is what members that speak the subprotocol json are told of a message that is
	// published, in place of Data: an object, to which the hub adds the fields type, from
	// and time and, where messages are kept, epoch and version. nil: it has the field data
	// or, of a binary message, binary in base64. A client's message has none.
	JSON []byte
}

// Text returns a text message. It is sent as it is: s should be valid UTF-8.
func Text(s string) Message { return Message{Data: []byte(s)} }

// Binary returns a binary message.
func Binary(p []byte) Message { return Message{Data: p, Binary: true} }

// Conn is one client in a room. All methods may be called from any goroutine,
// also after the connection has ended, when sending does nothing.
type Conn interface {
	// Send queues a message for this client alone. It leaves at once and does
	// not wait for operations of this client that are still being committed.
	// A client that does not read is closed by the hub, never waited for.
	Send(m Message)
	// Close ends the connection with a close code (RFC 6455 section 7.4) and a
	// reason of at most 123 bytes, after what was sent before. Codes that must
	// not stand in a close frame are replaced by 1011.
	Close(code int, reason string)
	// Room is the room this client is in.
	Room() Room
	// ID names the connection: 12 random letters and digits, never reused in
	// this process. It is no secret: apps may show it.
	ID() string
	// ClientIP is the client's address as Caddy sees it (trusted_proxies).
	ClientIP() string
	// User is the name an authentication handler such as basic_auth found, or
	// empty.
	User() string
	// Subprotocol is the agreed subprotocol, or empty.
	Subprotocol() string
	// Value returns what SetValue stored: a slot for the app's own use.
	Value() any
	SetValue(v any)
}

// Room is everybody on one URL.
type Room interface {
	// Name is the room's name as people write it, such as "example.com/chat" for
	// the URL, or "lobby" where the option room says so. It may hold any printable
	// text a client asked for, and the rooms of a URL and of the option room may
	// have the same; they are two rooms all the same.
	Name() string
	// Len is the number of members.
	Len() int
	// Publish sends a message to every member, except those named. Where the option
	// history keeps messages it is stored first; the sender of a message with an id, and
	// of a POST, is told its place. Those named are left out only as long as they are
	// connected. Messages
	// that one connection publishes keep their order. Publish never waits; while
	// members that read are behind, a connection that goes on publishing through
	// its Room is not read any further, and a POST is answered later.
	Publish(m Message, except ...Conn)
	// Apply hands an operation to the room's state on behalf of c. The result
	// goes to c as the reply and to the others as the update once it is
	// committed; see [State]. Operations of one connection keep their order and
	// so do their replies. In a room without state it is answered as refused.
	//
	// If the client has given its message an id, what the app does for it counts
	// once, however often the message comes: the first Apply during Receive has
	// the id, and a second one is refused. An app that answers such a message by
	// neither Apply nor an error during Receive cannot tell repeats.
	Apply(c Conn, op []byte)
}

// Handshake is the request that opened a connection.
type Handshake struct {
	Header http.Header
	Query  url.Values
}
