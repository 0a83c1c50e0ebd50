package room

import (
	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/replica"
)

// Bounds of what may wait. Beyond them operations are refused as busy.
const (
	maxRoomOperations = 16384
	maxRoomBytes      = 16 << 20
	maxHubBytes       = 128 << 20
)

// operation is a change that a member wants, or, with refusal, a place in the
// order of its answers for something that is refused already.
type operation struct {
	replica.Operation
	from  *Member
	stamp *stamp // of the message that it is for, or nil

	excepts []apps.Conn // that are not told a message that is to be kept
}

// size is how many bytes wait with it.
func (op *operation) size() int {
	if op.Said != nil {
		return len(op.Said.Text) + len(op.Said.JSON)
	}
	return len(op.Data)
}

// operationQueue is the operations that wait in a room: those of each member in their
// order, and the members in rotation, so that one with many operations does not hold
// up one with few. It is guarded by Room.mu, and so are Member.operations.
type operationQueue struct {
	members []*Member // that have operations, in the order of their turns
	count   int       // operations
	size    int       // bytes that wait with them
}

// full reports whether an operation of n more bytes is too much.
func (q *operationQueue) full(n int) bool {
	return q.count >= maxRoomOperations || q.size+n > maxRoomBytes
}

func (q *operationQueue) push(op operation) {
	m := op.from
	if len(m.operations) == 0 {
		q.members = append(q.members, m)
	}
	m.operations = append(m.operations, op)
	q.count++
	q.size += op.size()
}

// take removes and returns at most so many operations.
func (q *operationQueue) take(most int) []operation {
	batch := make([]operation, 0, min(q.count, most))
	for len(batch) < cap(batch) {
		batch = append(batch, q.pop())
	}
	return batch
}

// pop removes the first operation of the first member, which goes to the end of the
// rotation if it has more.
func (q *operationQueue) pop() operation {
	m := q.members[0]
	q.members[0] = nil
	q.members = q.members[1:]
	op := m.operations[0]
	if m.operations = m.operations[1:]; len(m.operations) > 0 {
		q.members = append(q.members, m)
	} else {
		m.operations = nil
	}
	q.count--
	q.size -= op.size()
	return op
}
