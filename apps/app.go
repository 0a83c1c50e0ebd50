package apps

import "time"

// App handles the messages of one route. Receive is called for each message of
// a connection, in order, and for different connections at the same time.
//
// Without the ability [Inline] an app may block in Receive: it then runs on a
// goroutine of its connection, whose reading stops at 64 waiting messages.
type App interface {
	// Receive handles one message: it replies with c.Send, reaches everybody
	// with c.Room().Publish, or changes the room's state with c.Room().Apply.
	// m.Data is valid during the call only. See [Refuse] and [CloseError] for
	// what the returned error does.
	Receive(c Conn, m Message) error
}

// Joiner is an App that wants to know of a connection, or to refuse it, before
// the handshake is answered. An app without it takes everybody.
type Joiner interface {
	// Join is called before the 101 is sent. An error refuses the handshake
	// with 403 Forbidden; its text goes to the log, not to the client. What it
	// sends leaves right after the handshake. h is valid during the call only.
	Join(c Conn, h Handshake) error
}

// Leaver is an App that wants to know when a connection has ended, for whatever
// reason. It is called once for each successful Join.
type Leaver interface {
	Leave(c Conn)
}

// Protocols is an App that speaks named subprotocols (RFC 6455 section 1.9).
// The first one of the client's list that is among them is agreed on. Without
// this ability none is agreed on and [Conn.Subprotocol] is empty.
type Protocols interface {
	Subprotocols() []string
}

// Pure marks an App whose Receive only answers the sender and changes nothing,
// so that it may be asked by a plain GET with ?message=.
type Pure interface {
	Pure()
}

// Inline marks an App whose Receive never blocks and does no I/O, so that it
// may run where the message was read. Replies then cost no goroutine switch.
type Inline interface {
	Inline()
}

// Stateful is an App whose rooms have state.
type Stateful interface {
	// NewState returns the state of a new room. It is called from many
	// goroutines and must return a value of its own each time.
	NewState() State
}

// Paced is a Stateful App whose updates need not be told one by one.
type Paced interface {
	// Every is the shortest time between two updates of a room; of those in
	// between only the last is told, always. 0 tells each. Replies and events
	// do not wait.
	Every() time.Duration
}

// Greeter is a Stateful App that decides whether a joining connection is sent
// the current state at once. Without it only connections that speak the
// subprotocol json are.
type Greeter interface {
	Greets(c Conn) bool
}
