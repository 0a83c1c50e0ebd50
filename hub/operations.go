package hub

import (
	"bytes"

	"github.com/caddyws/caddy-websocket/replica"
)

// operation is a change that a member wants, or, with refusal, a place in the
// order of its answers for something that is refused already.
type operation struct {
	replica.Operation
	from *Member
}

// settleAll releases the senders of a batch, if need be when the members are no
// longer behind with its events.
func (r *Room) settleAll(batch []operation, told *announcement) {
	var holds []hold
	for _, op := range batch {
		r.hub.waiting.Add(-int64(len(op.Data)))
		if len(told.behind) == 0 {
			op.from.conn.Release(len(op.Data))
			continue
		}
		holds = append(holds, hold{op.from, len(op.Data)})
	}
	r.letGo(holds, told.events.Size(), told.behind)
}

// apply queues an operation of m.
func (r *Room) apply(m *Member, data []byte) {
	if !r.stateful {
		r.refuse(m, errStateless)
		return
	}
	r.mu.Lock()
	if r.retired {
		r.mu.Unlock()
		return
	}
	if r.full(len(data)) {
		r.mu.Unlock()
		r.refuse(m, errBusy)
		return
	}
	r.enqueue(operation{replica.Operation{Data: bytes.Clone(data)}, m})
	r.mu.Unlock()
	r.kickUnless(m)
}

// full tells whether n more bytes are too many, for the room or the hub.
func (r *Room) full(n int) bool {
	return r.count >= maxRoomOperations || r.size+n > maxRoomBytes ||
		r.hub.waiting.Load()+int64(n) > maxHubBytes
}

func (r *Room) enqueue(op operation) {
	op.from.conn.Hold(len(op.Data))
	r.engage()
	r.hub.waiting.Add(int64(len(op.Data)))
	r.count++
	r.size += len(op.Data)
	op.from.unanswered++
	if len(op.from.operations) == 0 {
		r.waiting = append(r.waiting, op.from)
	}
	op.from.operations = append(op.from.operations, op)
}

// refuse tells m why something it asked for is not done: at once, or in its
// place if answers to earlier messages are still to come.
func (r *Room) refuse(m *Member, err error) {
	r.mu.Lock()
	if m.unanswered > 0 {
		r.enqueue(operation{replica.Operation{Refusal: err}, m})
		r.mu.Unlock()
		r.kickUnless(m)
		return
	}
	r.mu.Unlock()
	m.sendError(err)
}

// takeBatch takes operations from the members in rotation, so that one with
// many does not hold up one with few. Each member's keep their order.
func (r *Room) takeBatch() []operation {
	batch := make([]operation, 0, min(r.count, maxBatch))
	for len(batch) < cap(batch) {
		m := r.waiting[0]
		r.waiting[0] = nil
		r.waiting = r.waiting[1:]
		batch = append(batch, m.operations[0])
		r.size -= len(m.operations[0].Data)
		if m.operations = m.operations[1:]; len(m.operations) > 0 {
			r.waiting = append(r.waiting, m)
		} else {
			m.operations = nil
		}
	}
	r.count -= len(batch)
	return batch
}
