package apps

// Event is something that has happened in a room: an alert, a bid that was beaten. It is
// never skipped as an update may be: each connection that it is for is told it once, in
// the order of the operations, before the update of the one that led to it. The sender of
// that operation is told its reply first.
//
// A room keeps its last 64 events, but no more than 64 KiB of them, for connections that
// come back and say what they have seen; not those for a sender, whose connection is gone.
// Every event, whoever it is for, is written to the log, and told to handlers of Caddy's
// events as websocket.<name>, with the fields of its JSON.
type Event struct {
	// Name says what has happened: 1 to 32 of a to z, 0 to 9 and _, with a letter
	// first. In JSON it is the field event. An event with another name is told as
	// "event"; that is reported once in a room.
	Name string
	// Body is what the connections are told. Its JSON has neither of the fields type
	// and event: the hub adds them. An event whose Body is empty reaches nobody.
	Body Body
	// To is the connections that it is for. The zero value is everybody in the room.
	To Audience
}

// Audience is the connections of a room that an [Event] is for. The zero value is
// everybody. Audiences can be compared.
type Audience struct {
	sender bool
	claim  string
}

// ToSender is the connection whose operation led to the event.
func ToSender() Audience { return Audience{sender: true} }

// ToClaim is every connection that has claimed a name; see [Outcome]. The empty name is
// everybody.
func ToClaim(name string) Audience { return Audience{claim: name} }

// Sender reports whether the audience is the sender alone.
func (a Audience) Sender() bool { return a.sender }

// Claim returns the name that the audience has claimed, or the empty string.
func (a Audience) Claim() string { return a.claim }

// Stander is a State with events that go on: an alert lasts until it ends.
type Stander interface {
	// Standing returns the events that a connection that has just claimed name is told
	// at once, because they have happened and still hold. Their To does not count. With
	// a claim by an operation they are told behind its reply, in place of the events for
	// that name of the same commit. A connection that comes back after so long that
	// events are forgotten is told them too: as those that it was told, so that what is
	// not forgotten is not told twice.
	Standing(claim string) []Event
}

// MaxClaim is how many bytes a claimed name may have, and MaxClaims how many names a
// connection may claim. Names are of A to Z, a to z, 0 to 9 and ._:-
const (
	MaxClaim  = 64
	MaxClaims = 64
)
