package replica

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
)

// Journal is what a room has in place of an app with state, if what is published in it is
// kept: the messages are entries of the engine's log, and the state is only how large
// these were.
type Journal struct {
	Messages int           // how many of the newest are kept, at least 1
	Age      time.Duration // how long they are kept; 0: for ever
}

// maxKeptMessages is how many bytes of messages a room keeps, as they are stored.
const maxKeptMessages = 16 << 20

// NewState returns the state of a room without messages.
func (Journal) NewState() apps.State { return new(journalState) }

// journalState is the state of a room that keeps messages.
type journalState struct {
	total uint64 // size of all entries that there have been
}

// journalMark begins the stored form, so that no app takes it for a state of its own.
var journalMark = []byte("messages 1\n")

var errNoJournal = errors.New("the room has the state of an app, and no messages")

func (*journalState) Apply(apps.Op) (apps.Outcome, error) { return apps.Outcome{}, nil }
func (*journalState) View() apps.Body                     { return apps.Body{} }

func (s *journalState) MarshalBinary() ([]byte, error) {
	return binary.AppendUvarint(bytes.Clone(journalMark), s.total), nil
}

func (s *journalState) UnmarshalBinary(p []byte) error {
	rest, ok := bytes.CutPrefix(p, journalMark)
	total, n := binary.Uvarint(rest)
	if !ok || n <= 0 || n != len(rest) {
		return errNoJournal
	}
	s.total = total
	return nil
}

// Said is a message that somebody publishes.
type Said struct {
	From   string // the connection; empty if there is none
	User   string // the authenticated user, or empty
	Binary bool
	Text   []byte
	JSON   []byte // an object, for those that speak JSON; nil: they are told the text
}

// Kept is a message that is stored.
type Kept struct {
	Said
	Version uint64    // its place in the order of the room
	At      time.Time // of the room
	Silent  bool      // it is no message: it only keeps a refusal that counted

	before uint64 // size of all that was stored before it
}

// journal returns what messages are kept; ok reports whether any are.
func (r *Replica) journal() (j Journal, ok bool) {
	j, ok = r.app.(Journal)
	return j, ok
}
