package message

import (
	"encoding/binary"
	"errors"
	"time"
)

// Relay is published messages on their way to other processes: in parts, each of which has
// the format of what follows in one byte, and then messages. A message is relayed as what it
// says, and encoded for connections only where it arrives:
//
//	flags   1 byte
//	sent    varint, Unix milliseconds
//	id, user, JSON   each if its flag is set: its length as an unsigned varint, and its bytes
//	text    the same, always
type Relay struct{ parts [][]byte }

// relayFormat is the format of a part.
const relayFormat = 2

// The flags.
const (
	relayedBinary = 1 << iota
	relayedID
	relayedUser
	relayedJSON
	allRelayed = 1<<iota - 1
)

// errRelayed reports that other bytes have come than were sent.
var errRelayed = errors.New("relayed messages are damaged, or of another version")

// Add copies a message, which says when it was sent, into a part of at most so many bytes. It
// reports whether the message is small enough.
func (r *Relay) Add(m Message, most int) (fits bool) {
	if len(m.Text)+len(m.JSON) > most {
		return false
	}
	if last := len(r.parts) - 1; last >= 0 {
		if p := m.relay(r.parts[last]); len(p) <= most {
			r.parts[last] = p
			return true
		}
	}
	p := m.relay([]byte{relayFormat})
	if len(p) > most {
		return false
	}
	r.parts = append(r.parts, p)
	return true
}

// relay appends m to a part.
func (m Message) relay(p []byte) []byte {
	var id, user string
	if m.From != nil {
		id, user = m.From.ID(), m.From.User()
	}
	start := len(p)
	p = binary.AppendVarint(append(p, 0), m.Sent.UnixMilli())
	flags := byte(0)
	if m.Binary {
		flags = relayedBinary
	}
	if id != "" {
		flags |= relayedID
		p = appendRelayed(p, id)
	}
	if user != "" {
		flags |= relayedUser
		p = appendRelayed(p, user)
	}
	if m.JSON != nil {
		flags |= relayedJSON
		p = appendRelayed(p, m.JSON)
	}
	p[start] = flags
	return appendRelayed(p, m.Text)
}

func appendRelayed[S string | []byte](p []byte, s S) []byte {
	return append(binary.AppendUvarint(p, uint64(len(s))), s...)
}

// Parts returns the parts, in their order.
func (r *Relay) Parts() [][]byte { return r.parts }

// Size returns the length of all parts.
func (r *Relay) Size() (n int) {
	for _, p := range r.parts {
		n += len(p)
	}
	return n
}

// ParseRelayed returns the messages of a part. They share its bytes.
func ParseRelayed(p []byte) (all []Message, err error) {
	if len(p) == 0 || p[0] != relayFormat {
		return nil, errRelayed
	}
	for r := (relayed{p[1:], true}); len(r.p) > 0; {
		m := r.message()
		if !r.ok {
			return nil, errRelayed
		}
		all = append(all, m)
	}
	return all, nil
}

// relayed is what is left of a part. Once it is damaged nothing is.
type relayed struct {
	p  []byte
	ok bool
}

func (r *relayed) message() (m Message) {
	flags := r.p[0]
	sent, n := binary.Varint(r.p[1:])
	if flags&^allRelayed != 0 || n <= 0 {
		*r = relayed{}
		return m
	}
	r.p = r.p[1+n:]
	m.Binary, m.Sent = flags&relayedBinary != 0, time.UnixMilli(sent)
	id, user := r.part(flags&relayedID), r.part(flags&relayedUser)
	if len(id)+len(user) > 0 {
		m.From = Known(string(id), string(user))
	}
	m.JSON, m.Text = r.part(flags&relayedJSON), r.part(flags|1)
	return m
}

// part reads bytes with their length before them, if there are any by the flag.
func (r *relayed) part(flag byte) []byte {
	if flag == 0 {
		return nil
	}
	size, n := binary.Uvarint(r.p)
	if n <= 0 || size > uint64(len(r.p)-n) {
		*r = relayed{}
		return nil
	}
	end := n + int(size)
	part := r.p[n:end:end]
	r.p = r.p[end:]
	return part
}
