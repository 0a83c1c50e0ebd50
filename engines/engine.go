// Package engines is the contract between the hub and what keeps the state of
// its rooms.
//
// An engine is a map from room to bytes with one rule: a value is replaced only
// by a caller that has seen the current one ([Engine.Swap]). Everything above that, such
// as the order of operations, batching and what members are told, is the hub's.
// Engines are Caddy guest modules in the namespace websocket.engines.
//
// **What Swap has acknowledged is kept as long as the engine promises to keep
// anything**: the life of the process, of the disk, or of a cluster.
//
// This package imports the standard library only.
package engines

import (
	"context"
	"errors"
)

// Key names a room: the app's name and the room's.
type Key struct {
	App  string
	Room string
}

// Engine keeps one value for each room. All methods may be called from many
// goroutines; the hub never calls Swap for one room twice at the same time.
type Engine interface {
	// Load returns the bytes of a room and their revision, or [ErrNotFound].
	// Revisions are opaque but rise with every Swap of a room; never 0. The
	// bytes belong to the caller.
	Load(ctx context.Context, key Key) (state []byte, rev uint64, err error)
	// Swap replaces the bytes stored under revision rev and returns the new
	// revision; rev 0 creates the room. It keeps no reference to state.
	// [ErrConflict]: the current revision is another one, nothing was stored.
	// [ErrRefused]: certainly nothing was stored. With any other error, also
	// that of a context that ended, it is unknown whether it was stored.
	Swap(ctx context.Context, key Key, rev uint64, state []byte) (uint64, error)
	// Delete removes a room if its revision is rev, else [ErrConflict]. A room
	// that does not exist is [ErrNotFound].
	Delete(ctx context.Context, key Key, rev uint64) error
	// List returns at most n keys, ordered by app and room, that come after
	// the given one; the zero Key starts.
	List(ctx context.Context, after Key, n int) ([]Key, error)
	// MaxState is the largest value in bytes that Swap takes.
	MaxState() int
	// Close releases what the engine holds; no other call is under way.
	Close() error
}

// Volatile marks an Engine whose rooms live as long as the process and whose
// Load and Swap never wait, so that the hub commits where a message was read.
// Engines without it are committed to on a goroutine of the room.
type Volatile interface {
	Volatile()
}

// Identified is an Engine of a kind of which there may be several, such as one
// file each. Without it all of a kind are taken to keep the same rooms: a reload
// of the configuration goes on with the one that is running.
type Identified interface {
	// Identity tells what the rooms are kept in: path, or addresses and bucket.
	Identity() string
}

// What an Engine reports; compare with errors.Is.
var (
	ErrNotFound = errors.New("room is not stored")
	ErrConflict = errors.New("room was changed meanwhile")
	ErrRefused  = errors.New("engine refused to store the room")
)
