package message

import (
	"encoding/binary"
	"errors"
)

// Relay is published messages on their way to other processes: in parts, each of which has
// the format of what follows in one byte, then for each message a byte that is 1 if it is
// binary and 0 if not, its length as an unsigned varint, and its bytes.
type Relay struct{ parts [][]byte }

// relayFormat is the format of a part.
const relayFormat = 1

// errRelayed reports that other bytes have come than were sent.
var errRelayed = errors.New("relayed messages are damaged, or of another version")

// Add copies a message into a part of at most so many bytes. It reports whether the message
// is small enough.
func (r *Relay) Add(m Message, most int) (fits bool) {
	size := 1 + binary.MaxVarintLen64 + len(m.Text)
	if 1+size > most {
		return false
	}
	last := len(r.parts) - 1
	if last < 0 || len(r.parts[last])+size > most {
		r.parts = append(r.parts, []byte{relayFormat})
		last++
	}
	kind := byte(0)
	if m.Binary {
		kind = 1
	}
	p := binary.AppendUvarint(append(r.parts[last], kind), uint64(len(m.Text)))
	r.parts[last] = append(p, m.Text...)
	return true
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
	for p = p[1:]; len(p) > 0; {
		kind := p[0]
		size, n := binary.Uvarint(p[1:])
		if kind > 1 || n <= 0 || size > uint64(len(p)-1-n) {
			return nil, errRelayed
		}
		end := 1 + n + int(size)
		all = append(all, Message{Binary: kind == 1, Text: p[1+n : end : end]})
		p = p[end:]
	}
	return all, nil
}
