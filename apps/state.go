package apps

import "time"

// State is the state of one room, as a deterministic state machine: the same
// operations in the same order give the same state and the same outcomes, on
// any machine. It has no clock (an operation carries its time), no randomness
// and no side effects; what has to happen outside is told in the [Outcome] and
// done by the hub after the commit.
//
// The hub never calls two methods of one State at the same time. The bytes in
// what Apply and View return are the hub's to keep: later calls don't change them.
type State interface {
	// Apply carries out one operation. An error refuses it: it must leave the
	// state unchanged, and its text goes to the sender alone. op.Data is valid
	// during the call only.
	Apply(op Op) (Outcome, error)
	// View is the state as clients see it: what a joining member, a GET and an
	// event stream are shown.
	View() Body
	// MarshalBinary and UnmarshalBinary store and restore the state.
	// UnmarshalBinary keeps nothing of its argument. Bytes it refuses are never
	// overwritten.
	MarshalBinary() ([]byte, error)
	UnmarshalBinary(p []byte) error
}

// Op is one operation on a State.
type Op struct {
	Data []byte
	// At is the time of the operation: set once, by whoever commits it, and
	// never earlier than that of the room's operation before.
	At time.Time
}

// Body is one thing to say, in two formats: Text for clients without a
// subprotocol, JSON for those that speak the subprotocol json. JSON is one
// object; the hub adds the fields type, epoch and version to it. An empty Text
// and JSON say nothing.
type Body struct {
	Text []byte
	JSON []byte
}

// Empty reports whether there is nothing to say.
func (b Body) Empty() bool { return len(b.Text) == 0 && len(b.JSON) == 0 }

// Outcome is what one operation leads to, sent after the commit.
type Outcome struct {
	Reply  Body   // to the sender
	Update Body   // the new state, to everybody else; of several only the last counts
	Events []Body // to everybody, each of them: alerts. On event streams their name is event
}
