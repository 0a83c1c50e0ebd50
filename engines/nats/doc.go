// Package nats is the engine that keeps rooms in a NATS JetStream cluster, so that several
// nodes share them.
//
// # The bucket
//
// Rooms are the records of a key-value bucket: a stream that keeps the newest message of
// each subject. A room's subject is made of its names (subject.go). The message has the
// state as its data and, in a header, what the indexes need to know (record.go). State and
// index are one message, so a crash cannot come between them.
//
//	Swap   -> publish, if the subject's last message has this sequence -> acknowledgement
//	Load   -> ask the stream's leader for the subject's last message
//	Delete -> publish a marker, if the last message has this sequence; it vanishes by itself
//
// The revision of a room is the sequence of its message in the stream. Sequences rise as
// long as the stream exists, whatever is deleted in it.
//
// **Acknowledged is what a majority of the stream's replicas has.** When their disks have it
// is the matter of the servers' option sync_interval (servers.go looks it up if it may).
//
// # Outcomes
//
// A Swap is certainly not done only if nothing was sent, since there was no connection;
// if the server says that nobody listens to the subject; or if JetStream itself answers that
// the sequence is another one, that the bucket is full or that the message is too large
// (outcome.go). While nothing has been sent, it is tried again until the context ends. After
// it was sent, whatever goes wrong leaves the outcome unknown, and the caller settles it.
//
// Reads are simply repeated until their context ends.
//
// # The index
//
// List, Count, Unused and Due are answered from memory (index.go): per room its names, its
// revision and two times. The index is brought up to date by each of these calls
// (follow.go): a consumer reads the headers of all messages behind the last one known. Since
// the stream keeps only the newest message of a subject, a room that has changed a thousand
// times is read once, and what nobody asks for costs nothing. What this engine itself
// has stored it enters at once. A call knows the changes of other nodes from before it began.
//
// Markers of deleted rooms live for a day. An index that has not been brought up to date for
// half of that is read anew. So is one with a room that is not there any more although nobody
// has deleted it: an operator has purged the stream. And so is one of a stream that ends before
// where it was read to: its servers have lost what they had acknowledged.
//
// # Other nodes
//
// The streams republish the headers of what they store, and nodes publish messages that are
// not kept (shared.go, hearlog.go). A node subscribes to the rooms that it is asked to, so that the servers
// send it nothing else. The index makes up for hints that are lost; messages that are lost are
// lost. A record names the engine that wrote it, so that nobody is told of its own changes.
//
// Of nodes that change a room at the same time the one nearest to the servers would always be
// first. One that is beaten again and again asks for its turn (turns.go).
//
// # The logs
//
// Messages of rooms are in a stream beside the bucket, LOG_<bucket> (logs.go). A log has one
// subject: room and epoch. What one Append adds is one message there, all of it or nothing
// (batch.go):
//
//	Append -> publish, if the subject's last message is the one that ends at the position
//	Read   -> ask the leader for the last message; it tells where those before it are
//	Trim   -> publish what is the oldest position now; purge what comes before it
//	Delete -> the room's marker, then purge the subject
//
// The last message of a log tells its oldest and its newest position, and is never purged: so
// no position comes back. In a full stream Trim purges before it publishes; whoever then misses
// a message asks for the first one that there is. The sequence of the last message is remembered from the last call
// (known.go): in a room that one node writes, an Append is one question. If it is another one
// the log's position is looked up: a Trim changes the sequence and not the position.
//
// A position is found by trails (trail.go): each message has the sequences of a few before it,
// so that any other is some steps away, however many rooms and messages the stream has. What
// they lead to is read from any server with a copy, at most 16 messages at once if they are small; what that
// server does not have is asked of the leader. What the newest message says is always the
// leader's.
//
// A log that ends before a position which it once had is told to have lost something, when all
// logs are looked up (hearlog.go). What is remembered of it is forgotten.
//
// Room and log are in two streams, so that a crash can come between them. A log is begun only
// if the room is stored with its epoch. A deletion removes the room first: what it leaves of the
// log belongs to an epoch that does not come again, and is removed by the next deletion or the
// first message of the room's next life. An Append that comes at the same time as the deletion
// of its room may still be done, and is gone with it.
//
// # The connection
//
// There is one (link.go). It reconnects for ever and buffers nothing: what could not be
// sent was not sent. A client of NATS that gives up is replaced by another. Closing the engine
// ends what still waits to be sent, and waits a moment for answers.
package nats
