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
// becomes that. Until then operations are refused, or their outcome is not known. The same
// holds without operations, see [Replica.Reread]: whoever only looks is not left behind.
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
// # Messages
//
// A room in which published messages are kept has a [Journal] in place of an app. Its
// messages are entries of the engine's log, and a batch of them is stored by one Append
// instead of a Swap: it costs what the messages have, however much the room keeps. The
// version is the place of the newest entry. All of the above holds for an Append as it does
// for a Swap; an attempt is either.
//
//	operations -> judge each -> an attempt to Append what counts -> a Result each
//	engine -> Load -> value, and Read -> the entries behind it -> state, ids and writers
//
// The value is a checkpoint: it has ids and writers up to its version. Behind that they are
// found in the entries, each of which tells its writer and its id. From time to time a new
// checkpoint is stored; only entries up to it may be removed, so that **a room which keeps
// few messages remembers ids no shorter than any other**. The room is stored for the first
// time before its first Append, since a log needs a room.
//
// An answer of the app that is to be remembered, and is no message, is an entry that is
// never told. It takes a version, so that versions of messages may have gaps.
//
// What is stored is handed out in order, once, by whatever process it came from: see
// [Replica.Fresh]. Past messages are read beside the replica, without waiting for it: see
// [Past]. If others have stored much it is not handed out, but is to be read from Past
// (reading.go).
//
// An engine may lose messages of a log and keep the value, or the other way round. Positions
// that clients have seen must not come back: so the room is deleted, and begins a new life
// with the newest of the messages that are left. A log that cannot be read, or does not show
// what is known for a moment only, is an error, and never taken for an empty one.
//
// A Replica knows no members and no connections, and has no lock: its room calls it
// from one goroutine at a time. Other processes may write the same room.
package replica
