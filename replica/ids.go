package replica

import (
	"crypto/sha256"
	"encoding/binary"
)

// ids is what a room remembers of the operations that had ids, so that none counts
// twice: the clients, the keys and as many answers as fit.
//
// It is kept in the form in which it is stored, and changed in place: loading, undoing
// and storing it are copies.
//
//	horizon  8 bytes; see clients
//	counts   2 bytes each, of clients and of keys
//	then the records of the clients, those of the keys, the answers
//
// Integers are little-endian.
type ids struct {
	clients clients
	keys    keys
	answers answers
	changed bool // since it was restored or stored
}

const (
	idsHeader  = 12
	maxIDsSize = 96<<10 - 1 // the whole of it, as stored
)

// A full table of clients and keys leaves room for the longest answer.
const _ = uint(maxIDsSize - idsHeader - maxClients*clientSize - maxKeys*keySize - answerHeader - maxAnswer)

// empty reports whether no operation had an id.
func (t *ids) empty() bool { return len(t.clients.records)+len(t.keys.records) == 0 }

func (t *ids) size() int {
	return idsHeader + len(t.clients.records) + len(t.keys.records) + len(t.answers.log)
}

// appendTo appends the stored form.
func (t *ids) appendTo(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, t.clients.horizon)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(t.clients.records)/clientSize))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(t.keys.records)/keySize))
	dst = append(dst, t.clients.records...)
	dst = append(dst, t.keys.records...)
	return append(dst, t.answers.log...)
}

// restore makes the table that of a stored form that divideIDs takes, or with nil an
// empty one.
func (t *ids) restore(stored []byte) {
	p, _ := divideIDs(stored)
	t.clients.restore(p.horizon, p.clients)
	t.keys.records = append(t.keys.records[:0], p.keys...)
	t.answers.log = append(t.answers.log[:0], p.answers...)
	t.changed = false
}

// idParts are the parts of a stored table.
type idParts struct {
	horizon                uint64
	clients, keys, answers []byte
}

// divideIDs returns the parts of a stored table, and whether it is sound.
func divideIDs(p []byte) (parts idParts, ok bool) {
	if len(p) < idsHeader || len(p) > maxIDsSize {
		return parts, false
	}
	parts.horizon = binary.LittleEndian.Uint64(p)
	n, k := int(binary.LittleEndian.Uint16(p[8:])), int(binary.LittleEndian.Uint16(p[10:]))
	p = p[idsHeader:]
	if n > maxClients || k > maxKeys || n+k == 0 || len(p) < n*clientSize+k*keySize {
		return idParts{}, false
	}
	parts.clients, p = p[:n*clientSize], p[n*clientSize:]
	parts.keys, parts.answers = p[:k*keySize], p[k*keySize:]
	return parts, areAnswers(parts.answers)
}

// name stands for an ID of a user, without its number.
type name [16]byte

// digest stands for the bytes of an operation or, if the app has refused it unapplied,
// for its message. The highest bit tells which.
type digest [8]byte

const messageBit = 1 << 7

// ofMessage returns the digest as one of a message.
func (d digest) ofMessage() digest {
	d[0] |= messageBit
	return d
}

// fits reports whether two digests may be of one operation. What the app makes of a
// message is not known here, so that an operation fits any message: an app that is
// configured anew may refuse what has been applied, or the other way round.
func (d digest) fits(other digest) bool {
	return d == other || (d[0]^other[0])&messageBit != 0
}

// owner stands for whose clients are counted together: a user, or a network.
type owner [4]byte

// nameOf hashes a name. The parts have a length each, so that none is taken for
// another's.
func nameOf(user string, id ID) (n name) {
	kind := byte('k')
	if id.N > 0 {
		kind = 'c'
	}
	p := append(make([]byte, 0, 128), kind)
	p = binary.AppendUvarint(p, uint64(len(user)))
	p = append(append(p, user...), id.Name...)
	sum := sha256.Sum256(p)
	copy(n[:], sum[:])
	return n
}

func digestOf(data []byte) (d digest) {
	sum := sha256.Sum256(data)
	copy(d[:], sum[:])
	d[0] &^= messageBit
	return d
}

func ownerOf(user, network string) (o owner) {
	p := append(make([]byte, 0, 128), 'u')
	if user == "" {
		p[0], user = 'n', network
	}
	sum := sha256.Sum256(append(p, user...))
	copy(o[:], sum[:])
	return o
}
