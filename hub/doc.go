// Package hub is rooms and their members: who is told what, in which order, and
// what happens to the state in between.
//
// # A room's turn
//
// What members do in a room waits in the room: messages to publish, operations
// on its state. At most one goroutine at a time carries it out, in turns:
//
//	take what waits -> send the messages
//	                -> apply the operations -> store the state -> send the answers
//
// While a turn is under way the next one gathers, so that a busy room does more
// in each turn instead of more turns: one commit for all operations that came
// meanwhile, one write for everything a member is to be told. Whoever put
// something in and finds the room at rest takes the turn himself; a room that
// is large, or whose engine waits for a disk, gets a goroutine that lives while
// there is something to do. Rooms never wait for each other.
//
// # Guarantee
//
// **Acknowledged = committed.** Nothing of an operation, neither its reply nor
// the update that others see, leaves before the engine has stored the state
// that contains it. Readers are shown the view of the last commit. If storing
// fails, the state goes back to the bytes stored last and the senders are told.
//
// # What a member sees
//
// The answers to its own messages, in their order; a text reply looks like an
// update, so while an answer is owed no update comes before it. After a commit
// each sender has its replies and every other member the final state, once; the
// versions that one member sees never fall. Joining takes the view and the
// place in the order in one step: no gap and no repeat. Messages that one member
// publishes keep their order, and all members see the same one.
//
// # Slow members
//
// Sending never waits (package socket). Of the states that a slow member has
// not read, only the newest is kept; replies, events and published messages are
// all kept until the queue is full, then the member is closed with 1013.
//
// # Reload and stop
//
// Members hold their [Route], and a route's configuration can be replaced: a
// reload gives every route that lives the configuration that bears its name now
// ([Hub.Adopt]). This is done when the configuration before has stopped, not
// when the next has started: until then that one may still fail. Rooms take a
// turn in which the new app decodes the state. Who must go, because of a reload
// or because Caddy stops, is told so one after another, spread over
// [Limits.Drain]; then whoever is left is cut.
//
// # Locks
//
// Lock order: Hub.mu before Room.mu before those of a socket.Conn. No app and no
// engine is called with one of them held.
package hub
