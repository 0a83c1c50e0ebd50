// Package replica is the stored side of one room: its state as the engine has it,
// and the commit of operations.
//
//	engine -> Load -> envelope -> state and ids -> View
//	operations -> judge, Apply each -> an attempt to Swap the whole -> a Result each
//
// # Commit
//
// A batch of operations is applied to the state and stored as one value. **A Result
// without an error is of an operation that is stored, and one with [ErrUnavailable] of
// an operation that never will be.** If storing fails, the state goes back to the bytes
// that were stored last. An operation that panics is left out and the others are
// applied again, since it may have left half a change behind. A batch whose state is
// too large for the engine is divided until only the operations that exceed the limit
// are refused. Bytes that cannot be read are never overwritten.
//
// # Settling
//
// A Swap stores the value, or certainly does not, or nobody knows: its answer was lost,
// and it may even be carried out later. It can succeed only while the revision is the
// one that it replaces. So nothing is decided until a newer revision is seen, and as
// long as none is, the same bytes are swapped again. The newer value then tells, in its
// list of writers, whether this batch is in it. If it is, the results stand; if another
// process was first, the batch is applied anew to what that one has stored. It cannot be
// told any more if the room is gone or has begun a new life, or if so many other
// processes have written since that this one is no longer in the list: the answer then
// is [ErrUnknown].
//
// An engine may lose what it had stored, such as a server that never wrote it to its disk. If
// it shows only a value from before the one that is to be replaced, and for long, the state
// becomes that. Until then operations are refused, or their outcome is not known.
//
// Unknown is also the answer after ten seconds. The attempt is kept, and before it is
// settled nothing new is stored: other operations are refused, with certainty. An
// operation gets one answer; see Late for what was found stored after it.
//
// # Exactly once
//
// An operation with an id, see [Once], counts once, however often and over whatever
// process it is sent. The state has a table of ids beside it, and both are stored as one
// value. A client numbers its operations, and only the number after its last one
// counts. What is below is a repeat and gets the first answer; what is above has to wait
// for the ones that are missing. A number is used up by an answer of the app: reply,
// refusal or panic, which is stored before it is sent. What is refused here does not use
// it up.
//
// The table has a bounded size. When names are forgotten the room remembers until
// when, its horizon: the first operation under an unknown name counts, unless the point
// that it says its client had seen lies before the horizon. So an operation that says a
// point counts once for ever; one that says none, as long as its name is remembered.
// Clients and keys have a horizon each.
//
// A user that has more than its share of the places moves only a horizon of its own,
// since its names are nobody else's. An address has none: names without a user move
// from address to address, so one that is forgotten may be sent again from any, and
// bounded memory cannot tell it there from a new one. Either all first operations from
// before the horizon are refused, or some operation could count twice, or the address
// would be refused new names, and with it everybody behind it. The first is chosen: one
// address that makes names without end can have operations refused that others made
// before about the last thousand names. They are told so, and nothing counts twice.
//
// # Events
//
// What an app says has happened is stored with the state: the newest events, and how many of
// all were told outside of the room, see [Events]. A room that never had one stores nothing
// of that. As long as one is to be told, the engine is asked to have the room woken, so that
// it is found after a crash.
//
// A Replica knows no members and no connections, and has no lock: its room calls it
// from one goroutine at a time. Other processes may write the same room.
package replica
