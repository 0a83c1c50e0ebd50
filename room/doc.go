// Package room is the live side of a room: its members, the order of what happens in
// it, and what is told to which member. It knows no other rooms (package hub does), no
// sockets ([Conn]), and leaves the stored side to package replica.
//
// # Where to look
//
//	room.go         a room, and what keeps it in memory; loading.go: reading its state, and
//	                following a reload; touch.go, discard.go: its last use, and its end;
//	                snapshot.go: the last commit; shared.go: what rooms share
//	admission.go    entering; visitor.go: a client at the door, and its rights; member.go: one in the room;
//	                arrival.go, seen.go: one that comes back
//	events.go       which members are told which events; claims.go: names that they have
//	                claimed; outside.go, held.go: what is told outside of the room;
//	                dropped.go: what is not
//	keeping.go, recent.go   messages that are kept; catchup.go: what somebody is sent of them
//	                who joins; history.go: what a plain request is shown
//	people.go       who is there, as members are told; comings.go: as the outside is;
//	                people_shown.go: as a GET is; elsewhere.go: in other processes;
//	                people_end.go: when everybody has to go
//	opening.go      an app that acts in the room by itself
//	conn.go         its connection as the room uses it; exchange.go: that of a plain request
//	appconn.go      what an app sees of it; calls.go, inbox.go, context.go: calls of the app
//	turn.go         a room's turn; operations.go, queue.go: operations that wait, and their
//	                limits; settling.go: commits of which nobody knows; stamp.go: ids of
//	                messages; outbox.go: messages that wait; delivery.go: what is told
//	                afterwards; throttle.go: how often; alarm.go: at which time by itself
//	hearing.go, deaf.go           what other processes do in a room; speaking.go: what they
//	                              are told
//	backpressure.go, patience.go  how publishers wait for members that read
//	name.go, logging.go           names for apps and the log
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
// # Events
//
// An event is for everybody, for the sender, or for those that have claimed a name. A
// member is told its events as runs of one batch, which is encoded once for all, between
// its own replies and before the update. A name that is claimed by an operation counts from
// its commit on; what goes on for it is told behind the events of the commit, in place of
// those for that name.
//
// The replica keeps the newest events. A member that comes with a claim, or says what it has
// seen, is told what it has missed in the next turn, between two commits, and is left out of
// the one under way: so it is told each event once. Events of commits of other processes are
// told when they are seen, in the order of their versions.
//
// Outside of the room, to the log and to watchers, events are told behind its back: they
// wait in the room, bounded for all rooms together, for a goroutine of the hub. How many are
// told is stored with the next commit, or a second later, and what was not told when a
// process ended is told by the next. **Outside each event is told at least once**, unless too much
// waits; members are told it once.
//
// # Messages that are kept
//
// With the option history published messages are operations of a replica that keeps them:
// stored first, and then told to all in the order of their versions. A member that joins is
// sent what came before: what is recent in a turn, and what is older beside the turns, as
// fast as it reads; from a turn on it is a member like any other. **It hears every message
// behind the point that it names once, in order, or is told of one gap.**
//
// # People
//
// With the option presence members are told who is there (package presence). That takes place
// beside the turns: it has no place in the order of what happens, and nothing waits for it.
// Of what a slow member has not read of it only the newest is kept, as with states. When
// everybody has to go nobody here is told more, but other processes are, until nobody is left.
//
// # Other processes
//
// Where the engine is shared, other processes may have the same room. What they store is read
// in a turn, and told like any other commit. What they publish is told in a turn, and what is
// published here is told to them: the messages of a turn as one, by one goroutine for all
// rooms. The publishers are held until that is done, but never while the engine cannot be
// reached. **Others are told a message at most once**, and those of one publisher in their order.
// Each process has an order of its own, which all members there see.
//
// Of kept messages a process may have missed many. A member to whom these are too much to be
// sent at once, since nobody holds up their publishers, is treated as one that joins: it
// catches up as fast as it reads, from where it was.
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
//   - never more than 500 ms, which is how long a reader that stops is waited for;
//   - nothing is spent while the server, and not the client, is what is waited for:
//     before it writes, and while the socket has room. A server that looks late, since
//     it has no processor, spends half of what is left at most.
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
// When everybody has to go nobody is held up any more.
//
// # Locks
//
// Lock order: Room.opening before Room.mu before those of a Conn before backpressure.mu;
// Room.mu before Member.mu, which is held with none of the others. No app and no
// engine is called with one of them held. Shared.Idle is called with none.
package room
