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

// Waker is a State that has something to do at a time: a poll that closes, a deadline, a
// bid that runs out.
type Waker interface {
	// Wake is when the state is to be woken; the zero time is never. The hub calls it
	// after each commit and after UnmarshalBinary, as any method of the state.
	//
	// At that time, or as soon as it can after it, the hub applies an [Op] whose Wake
	// is true and whose At is not before that time. There is nobody to reply to;
	// otherwise its outcome is told like any other. Operations that come in after the
	// time are applied behind it, as long as the hub is in time: where the exact
	// moment counts, Apply compares op.At itself. A state whose Wake has come and stays
	// the same is woken again and again, at most once a second; one that refuses, or
	// panics, ever more rarely, down to once a minute. A room that is due again before that
	// time is over stays in memory; any other may leave it until it is due.
	//
	// A room is woken also when nobody is in it, if something is stored of it, and when
	// Caddy was not running at that time: then when it starts. The options are those of
	// the route by which the room was last written; as long as there is no route of
	// that name and app, the room waits. Wake may depend on options: a room that is in
	// memory follows a reload at once, others within minutes; but one that was never to be
	// woken before it only when somebody comes. That the machine's clock is set is noticed
	// within a minute.
	Wake() time.Time
}

// Op is one operation on a State.
type Op struct {
	Data []byte
	// At is the time of the operation: set once, by whoever commits it, and
	// never earlier than that of the room's operation before. Where the clock of the
	// machine was set back, the time of the room goes on at half pace until the clock
	// has caught up.
	At time.Time
	// Wake marks the operation that comes from no client, because the time that a
	// [Waker] told has come. Data is nil.
	Wake bool
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

// Outcome is what one operation leads to. All of it is sent after the commit.
type Outcome struct {
	Reply  Body // to the sender
	Update Body // the new state, to everybody else; of several only the last counts
	// Show makes the View of the commit the update, in place of Update. Operations that
	// are committed together then share one: for a state that takes time to show.
	Show   bool
	Events []Event // each to its audience
	// Claim is empty, or a name that the sender's connection has from now on, until it
	// ends: a machine that has told its name. Events for [ToClaim] of that name reach it,
	// and at once those that a [Stander] tells. A client that only listens claims a name
	// when it connects, with ?claim=. Several connections may have the same name.
	Claim string
}
