package replica

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"sync"

	"github.com/caddyws/caddy-websocket/engines"
)

// epochs gives rooms that are not stored their epochs. Nothing is kept of such a
// room, and yet everybody who looks at it here is shown the same epoch, through reloads
// and whether or not it has left memory meanwhile: the epoch is a keyed hash of the
// room's name, with a secret of the process. Under that epoch the room is stored.
//
// An epoch that a room was stored under is spent: if the room is deleted, by whomever,
// it comes anew with another one, since its versions begin again. The names of the
// last rooms stored are remembered for that. When there are too many they are
// forgotten together with the secret: rooms that are not stored then have other epochs
// once, and so they have after a restart.
//
// Its methods may be called concurrently.
type epochs struct {
	mu sync.Mutex
	// Guarded by mu.
	secret []byte
	next   map[uint64]string // by hash of the name: epochs of rooms that have spent one
}

// maxSpent bounds how many rooms are remembered, in about 4 MiB.
const maxSpent = 1 << 16

// of returns the epoch of a room that is not stored.
func (e *epochs) of(key engines.Key) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	epoch, name := e.hash(key)
	if next, ok := e.next[name]; ok {
		return next
	}
	return epoch
}

// spend has the room begin with another epoch, when it is not stored any more, than
// the one that it has been stored under now.
func (e *epochs) spend(key engines.Key) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.next) >= maxSpent {
		e.secret, e.next = nil, nil
	}
	_, name := e.hash(key)
	if e.next == nil {
		e.next = make(map[uint64]string)
	}
	e.next[name] = randomEpoch()
}

// hash returns two independent parts of the hash of a key. mu is held.
func (e *epochs) hash(key engines.Key) (epoch string, name uint64) {
	if e.secret == nil {
		e.secret = make([]byte, sha256.Size)
		_, _ = rand.Read(e.secret) // never fails
	}
	p := append(make([]byte, 0, 128), e.secret...)
	p = append(append(p, key.App...), 0) // the name of an app has no NUL
	sum := sha256.Sum256(append(p, key.Room...))
	return base32.StdEncoding.EncodeToString(sum[:8])[:epochSize], binary.BigEndian.Uint64(sum[8:])
}
