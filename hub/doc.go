// Package hub is rooms and their members: what is told to which member, in which
// order, and what happens to the state in between.
//
// # Where to look
//
//	hub.go          the directory of rooms: finding one, keeping it in memory
//	route.go        a route as its connections know it; successor.go, reload.go: what a
//	                reload makes of it; drain.go: members that must go
//	connections.go  limits of connections; roomlimit.go: of stored rooms; forget.go: stored
//	                rooms that nobody uses
//	room.go         one room, and what a joining member is shown
//	member.go       one client in it; conn.go, connection.go: its connection; appconn.go,
//	                calls.go, inbox.go, context.go: what its app sees, and calls of the app
//	turn.go         a room's turn; operations.go, queue.go: operations that wait, and their
//	                limits; outbox.go: messages that wait; delivery.go: what is told
//	                afterwards; throttle.go: how often
//	backpressure.go, patience.go  how publishers wait for members that read
//	plain.go        plain requests; logging.go, name.go: what logs and apps are shown
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
// meanwhile, one write for everything a member is to be told. A goroutine that adds
// something to a room without a turn under way takes the turn itself. A room that
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
// **A member that reads all the time is not closed because others send fast.**
// While more than half of its queue waits, the messages that are sent to it stay
// unsettled, so that soon (64 messages or 256 KiB a connection) no more is read
// from those who publish, and do not count against the queue, up to 16 MiB. They
// are settled when the member has caught up, or after 2 s. The same holds for
// operations with events. The turn itself goes on, and so does everybody who
// publishes less than that.
//
// Publishers wait only for members that read. Each member has a patience of its own, which
// is spent while they wait for it:
//
//   - 150 ms to begin with, so a member that reads nothing holds up publishers for
//     150 ms once;
//   - it earns 1 s for each 256 KiB that its client takes, but for the first 128
//     KiB, which kernels take by themselves: at 256 KiB a second it is always
//     waited for, at 2.5 KiB a second for a hundredth of the time;
//   - never more than 500 ms, which is how long a reader that stops is waited for.
//
// The connection through whose Room an app publishes is held up:
//
//   - The client of a WebSocket is not read; its Close is answered after its
//     messages are settled.
//   - A POST is answered when its message is settled. Requests that come at the
//     same time are not counted together.
//   - Publish itself never waits: an app that publishes from goroutines of its own
//     is not held up, and can fill the queue of a member that reads.
//   - An app that publishes into several rooms, through connections of each, is
//     held up in each by the members there: one room does not wait for another.
//
// When the hub closes nobody is held up any more.
//
// # Reload and stop
//
// Members hold their [Route], and a route's configuration can be replaced: a
// reload gives every route that lives the configuration that bears its name now
// ([Hub.Adopt]). This is done when the configuration before has stopped, not
// when the next has started: until then that one may still fail. Rooms take a
// turn in which the new app decodes the state. Members that must go, because of a
// reload or because Caddy stops, are told so one after another, spread over
// [Limits.Drain]; then those that are left are cut.
//
// # Locks
//
// Lock order: Hub.mu before Room.mu before those of a socket.Conn before
// backpressure.mu. No app and no engine is called with one of them held.
package hub
