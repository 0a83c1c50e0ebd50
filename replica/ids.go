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
//	horizons of the clients, then of the keys; see names.appendHorizons
//	counts   2 bytes each, of clients and of keys
//	then the records of the clients, those of the keys, the answers
//
// Integers are little-endian.
type ids struct {
	clients names
	keys    names
	answers answers
	changed bool // since it was restored or stored
}

const (
	idsHeader  = 2*9 + 4 // without horizons of owners
	maxHeader  = idsHeader + 2*maxHorizons*horizonSize
	maxIDsSize = 96<<10 - 1 // the whole of it, as stored
)

// A full table of clients and keys leaves room for the longest answer.
const _ = uint(maxIDsSize - maxHeader - 2*maxNames*nameSize - answerHeader - maxAnswer)

// of returns where the name of an ID is remembered.
func (t *ids) of(id ID) *names {
	if id.N == 0 {
		return &t.keys
	}
	return &t.clients
}

// empty reports whether no operation had an id.
func (t *ids) empty() bool { return t.clients.len()+t.keys.len() == 0 }

func (t *ids) size() int {
	own := len(t.clients.own) + len(t.keys.own)
	return idsHeader + own*horizonSize + len(t.clients.records) + len(t.keys.records) + len(t.answers.log)
}

// appendTo appends the stored form.
func (t *ids) appendTo(dst []byte) []byte {
	dst = t.keys.appendHorizons(t.clients.appendHorizons(dst))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(t.clients.len()))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(t.keys.len()))
	dst = append(dst, t.clients.records...)
	dst = append(dst, t.keys.records...)
	return append(dst, t.answers.log...)
}

// restore makes the table that of a stored form that divideIDs takes, or with nil an
// empty one.
func (t *ids) restore(stored []byte) {
	p, _ := divideIDs(stored)
	t.clients.restore(p.clients)
	t.keys.restore(p.keys)
	t.answers.log = append(t.answers.log[:0], p.answers...)
	t.changed = false
}

// idParts are the parts of a stored table.
type idParts struct {
	clients, keys nameParts
	answers       []byte
}

// nameParts are the parts of a stored table of names.
type nameParts struct {
	horizon uint64
	own     []horizon
	records []byte
}

// divideIDs returns the parts of a stored table, and whether it is sound.
func divideIDs(p []byte) (parts idParts, ok bool) {
	if len(p) > maxIDsSize {
		return idParts{}, false
	}
	c, k := &parts.clients, &parts.keys
	if c.horizon, c.own, p, ok = parseHorizons(p); !ok {
		return idParts{}, false
	}
	if k.horizon, k.own, p, ok = parseHorizons(p); !ok || len(p) < 4 {
		return idParts{}, false
	}
	clients, keys := int(binary.LittleEndian.Uint16(p)), int(binary.LittleEndian.Uint16(p[2:]))
	p = p[4:]
	if clients > maxNames || keys > maxNames || clients+keys == 0 || len(p) < (clients+keys)*nameSize {
		return idParts{}, false
	}
	c.records, p = p[:clients*nameSize], p[clients*nameSize:]
	k.records, parts.answers = p[:keys*nameSize], p[keys*nameSize:]
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

// owner stands for whose names are counted together: a user, or a network. The highest
// bit tells which.
type owner [4]byte

const userBit = 1 << 7

func (o owner) isUser() bool { return o[0]&userBit != 0 }

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
	if user == "" {
		sum := sha256.Sum256([]byte(network))
		copy(o[:], sum[:])
		o[0] &^= userBit
		return o
	}
	sum := sha256.Sum256([]byte(user))
	copy(o[:], sum[:])
	o[0] |= userBit
	return o
}
