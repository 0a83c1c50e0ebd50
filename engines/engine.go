// Package engines is the contract between a process and what keeps the
// state of its rooms.
//
// An engine is a map from room to bytes with one rule: a value is replaced only
// by a caller that has seen the current one ([Engine.Swap]). Everything above that, such
// as the order of operations, batching and what members are told, is the process's.
//
// **What Swap has acknowledged is kept as long as the engine promises to keep
// anything**: the life of the process, of the disk, or of a cluster. Nothing else
// is ever shown: what Load returns will not be taken back.
//
// # Outcomes
//
// A Swap or a Delete ends in one of three ways:
//
//   - done: the error is nil;
//   - certainly not done, neither now nor later: the error is [ErrConflict] or
//     [ErrRefused], or [ErrNotFound] of Delete;
//   - unknown: any other error. It may have been done, or may be done a moment
//     later. Load tells, once its revision is another one.
//
// An engine that is not sure must not say ErrRefused. One that can find out should
// do so before it returns: callers have to do much more to settle an unknown
// outcome.
//
// # Logs
//
// An engine may also keep messages of rooms, see [Log]: entries in an order, of which the
// oldest are removed in time. They are apart from the values, so that a message costs
// what it has and not what the room has.
//
// # Contexts
//
// A context bounds how long the caller waits, not what is done. If it ends before
// the engine has begun with a Swap, that is an ErrRefused; once it has begun, the
// Swap goes on, and the caller is told the error of the context: unknown.
//
// # Damage
//
// A value that cannot be read, or is not what was stored, is an error of Load that
// is none of those below. ErrNotFound would invite the caller to begin anew:
// Swap and Delete refuse to touch such a value, so that somebody can repair it. The same
// holds for the entries of a log.
//
// # Modules
//
// Engines are Caddy guest modules in the namespace websocket.engines. The module
// is an [Opener]. Package enginestest holds an engine to this contract.
//
// This package imports the standard library only.
package engines

import (
	"context"
	"errors"
	"io"
	"time"
)

// Opener is the configuration of an engine. A configuration that is only loaded,
// as by `caddy validate` or before a reload that fails, is never opened: an Opener
// touches no file and no network before Open.
type Opener interface {
	// Identity tells what the rooms are kept in, such as the absolute path of a
	// file. Openers of one kind with the same identity have the same rooms: a
	// reload goes on with the engine that is open. It is empty if all of a kind
	// are the same.
	Identity() string
	// Open returns the engine, which belongs to the caller until Close. It waits
	// for what another holds, such as a lock, until ctx ends. An error leaves
	// nothing open, says what to do about it if that is known, and has changed
	// nothing that is stored. Open may be called again.
	Open(ctx context.Context) (Engine, error)
}

// Essential is an Opener that reports whether a configuration is of any use while its engine
// is unavailable, see [ErrUnavailable]. Without this ability it is.
type Essential interface {
	// IsRequired reports whether a configuration must not be loaded without the engine.
	IsRequired() bool
}

// Sharing is an Opener that reports whether its Engine is [Shared]. Then it is opened also for
// rooms that keep nothing, which go on without it while it is not open.
type Sharing interface {
	// IsShared reports whether other processes use the rooms.
	IsShared() bool
}

// Key names a room: the app's name and the room's. App is not empty and has
// no NUL, Room is any bytes; an engine takes both up to 512 bytes together and may
// refuse longer ones. Keys are ordered by App, then Room, by their bytes.
type Key struct {
	App  string
	Room string
}

// Value is what is stored of a room.
type Value struct {
	State []byte
	// Used is when the room was last used. The engine finds rooms by it
	// ([Engine.Unused]) and need not keep it exactly.
	Used time.Time
	// Wake is when something is to be done in the room, also if nobody is in it. The
	// engine finds rooms by it ([Engine.Due]). Zero: nothing is.
	Wake time.Time
	// Epoch is that of the room's log, see [Log]. It is the same as long as the room is
	// stored. Empty: the room has no log.
	Epoch string
}

// Engine keeps one value for each room. Its methods may be called from many
// goroutines: Swap for many rooms at once, never twice at once for one. A Swap
// whose context has ended may still be under way when the next one of its room
// is called; they are done in the order of the calls.
type Engine interface {
	// Load returns the state of a room and its revision, or [ErrNotFound].
	// Revisions are opaque, never 0, and rise with every Swap of a room, also past
	// its deletion and past a reopening of the engine. The bytes belong to the
	// caller.
	Load(ctx context.Context, key Key) (state []byte, rev uint64, err error)
	// Swap replaces the value stored under revision rev and returns the new
	// revision; rev 0 creates the room. If the current revision is another one,
	// that is an [ErrConflict]; a state larger than MaxState is an [ErrRefused].
	// Swap keeps no reference to the bytes of v once it has returned.
	Swap(ctx context.Context, key Key, rev uint64, v Value) (uint64, error)
	// Delete removes a room, with its log, if its revision is rev, else [ErrConflict]. A
	// room that does not exist is [ErrNotFound].
	Delete(ctx context.Context, key Key, rev uint64) error
	// List returns at most n keys, in order, that come after the given one; the
	// zero Key starts.
	List(ctx context.Context, after Key, n int) ([]Key, error)
	// Count returns how many rooms are stored. It reads no values and takes less
	// than a second for a million rooms.
	Count(ctx context.Context) (int, error)
	// Unused returns at most n rooms that were last used before a time, those
	// unused for longest first, then in the order of their keys. It goes on
	// after the given one, the last of the call before; the zero Use starts. An
	// index finds them: the rooms that are in use cost nothing. Since the index
	// need not be exact, a room may be missing for up to an hour; a room that was
	// used at or after that time is never returned.
	Unused(ctx context.Context, before time.Time, after Use, n int) ([]Use, error)
	// Due returns at most n rooms whose Wake is before a time, the earliest first, then
	// in the order of their keys. It goes on behind the given one; the zero Wake
	// starts. An index finds them: rooms without a Wake, and those whose Wake is
	// later, cost nothing. The index keeps milliseconds, rounded up.
	Due(ctx context.Context, before time.Time, after Wake, n int) ([]Wake, error)
	// MaxState is the largest state in bytes that Swap takes, at least 1 KiB.
	MaxState() int
	// Close waits for what is under way and releases what the engine holds.
	// Afterwards Swap and Delete are [ErrRefused] and everything else fails too,
	// but not with ErrNotFound.
	Close() error
}

// Use tells when a room was last used: at Used or up to an hour before.
type Use struct {
	Key  Key
	Used time.Time
}

// Wake tells when something is to be done in a room.
type Wake struct {
	Key Key
	At  time.Time
}

// Log is an Engine that can keep messages of its rooms. A room has at most one log, of one
// epoch: what the caller calls a life of the room, 1 to 64 bytes. It begins with the first
// Append to a room that is stored with this epoch ([Value]), and ends when the room is deleted;
// until then entries under another epoch are none of it. The entries of a log have positions that count from 1.
// A position never comes back, also when all entries are trimmed and past a reopening of
// the engine.
//
// Read and Trim may be called by many goroutines at any time. Append may be called for many
// rooms at once, also beside Swap, but never twice at once for one room; it is as with Swap
// when its context ends.
type Log interface {
	// Append adds entries behind the position after, which is the last one or, for the
	// first entries, 0. It adds all of them or none, and returns the position of the last
	// one. The outcomes are those of Swap: it is an [ErrConflict] if after is not the last
	// position, the log has another epoch or the room is not stored; an [ErrRefused] if
	// there are no entries, more than [MaxEntries], or if they have more bytes together
	// than MaxState; any other error is unknown. Append keeps no reference to the entries
	// once it has returned.
	Append(ctx context.Context, key Key, epoch string, after uint64, entries [][]byte) (last uint64, err error)
	// Read returns entries behind the position after, in order and without a gap. The
	// first of them is the one at after+1 or, if that is trimmed, the oldest that is
	// kept. They are at most n, and fewer than there are if they have about a MiB, but
	// at least one, if there is one and n is not 0. first is the position of the oldest
	// entry that is kept, last that of the newest; if none is kept, first is last+1. A
	// log that has not begun, or of another epoch, has the positions 1 and 0. The bytes
	// belong to the caller.
	Read(ctx context.Context, key Key, epoch string, after uint64, n int) (entries [][]byte, first, last uint64, err error)
	// Trim removes the entries up to a position. Where there is nothing to remove it does
	// nothing. After an error some of them may be removed, always the oldest first.
	Trim(ctx context.Context, key Key, epoch string, upTo uint64) error
}

// MaxEntries is how many entries Append takes at once.
const MaxEntries = 4096

// Volatile marks an Engine whose rooms live as long as it is open and whose
// Load and Swap never wait, so that the hub commits where a message was read.
// Engines without it are committed to on a goroutine of the room.
type Volatile interface {
	Volatile()
}

// Backuper is an Engine that can be copied while it is in use.
type Backuper interface {
	// Backup writes a copy of all rooms as of one moment, which may be opened in
	// place of the original. Swaps go on meanwhile. After an error what was
	// written is worthless.
	Backup(w io.Writer) error
}

// Marked is an Engine whose rooms may run backwards between one Open and another:
// somebody puts a copy back that is older than what clients have seen.
type Marked interface {
	// Mark returns a random text that stays the same as long as the rooms go on
	// where they were, also past Close and Open, and is another one each time a
	// copy that Backup made is opened for the first time. It does not change while
	// the engine is open.
	Mark() string
}

// Shared is an Engine whose rooms other processes use, too, and which carries messages
// between those processes.
type Shared interface {
	// Subscribe has hear called with what happens to a room in other processes, until
	// cancel is called. A change that is stored after Subscribe has returned is told, at the
	// latest a minute after it can be: so subscribe first, then Load. A message is told to
	// those that had subscribed before it was published, unless it is lost.
	//
	// hear is called from one goroutine for all rooms, so it must not wait, and may be called
	// once more while cancel returns. The bytes of a message belong to it. After an error
	// nothing is subscribed. ctx bounds how long Subscribe waits.
	Subscribe(ctx context.Context, key Key, hear func(Event)) (cancel func(), err error)
	// Publish tells a message, of at most MaxState bytes, to those that have subscribed to
	// the room in other processes, at most once, and those of one process in order. An error
	// says that it was not sent; no error does not say that it arrives.
	Publish(ctx context.Context, key Key, message []byte) error
}

// Event is what another process has done in a room.
type Event struct {
	// Rev is a revision that the room has or has had, if it was changed. It may be one that
	// is known, and one of this process. Of several changes in a row only the last may be
	// told.
	Rev uint64
	// Epoch and Last are of a log, if entries were added to it: it goes or went up to the
	// position Last. The same holds as for Rev.
	Epoch string
	Last  uint64
	// Lost reports that the room seems to have lost changes, or its log entries, which it had:
	// what is stored is to be read again.
	Lost bool
	// Message is what was published; nil if the room, or its log, was changed.
	Message []byte
	// Cut tells, alone, that this process cannot reach others from now on, or can again: what
	// was published lately may have been lost on its way, in both directions. An engine that
	// does not notice such a thing, or has no use for it, never tells it. What was stored
	// is told all the same.
	Cut bool
}

// What an Engine reports; compare with errors.Is.
var (
	ErrNotFound = errors.New("room is not stored")
	ErrConflict = errors.New("room was changed meanwhile")
	ErrRefused  = errors.New("engine refused to store the room")
)

// ErrUnavailable is of an Open that has found nobody to keep rooms, such as a server that is
// not reachable. It may be later: a process goes on without, and tries again. Any other error
// of Open is for somebody to mend.
var ErrUnavailable = errors.New("engine cannot be reached")
