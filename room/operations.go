package room

import (
	"bytes"
	"crypto/sha256"

	"github.com/caddyws/caddy-websocket/replica"
)

// Codes of a room, beside those of package replica.
const (
	CodeBusy      replica.Code = "busy"      // too much waits already
	CodeStateless replica.Code = "stateless" // there is nothing that an operation could change
	CodeReadOnly  replica.Code = "read_only" // the client may send no messages
)

// Why an operation is not even queued. Errors that end no connection are told to their
// client; see failed.
var (
	ErrBusy      = replica.NewError(CodeBusy, true, "busy, try again later")
	ErrStateless = replica.NewError(CodeStateless, false, "this room keeps no state")
	ErrReadOnly  = replica.NewError(CodeReadOnly, false, "read only")
)

// apply queues an operation of m.
func (r *Room) apply(m *Member, data []byte) {
	s, err := m.takeStamp()
	if err == nil && !r.stateful {
		err = ErrStateless
	}
	if err != nil {
		r.refuse(m, err, s)
		return
	}
	r.mu.Lock()
	if r.retired {
		r.mu.Unlock()
		return
	}
	if r.full(len(data)) {
		r.mu.Unlock()
		r.refuse(m, ErrBusy, s)
		return
	}
	r.enqueue(operation{replica.Operation{Data: bytes.Clone(data), Once: s.count()}, m, s, nil})
	r.mu.Unlock()
	r.kickUnless(m)
}

// full reports whether n more bytes are too many, for this room or for all.
func (r *Room) full(n int) bool {
	return r.operations.full(n) || r.shared.waiting.Load()+int64(n) > maxHubBytes
}

// enqueue queues an operation, whose sender is held until it is answered. Room.mu is
// held.
func (r *Room) enqueue(op operation) {
	op.from.conn.Hold(op.size())
	r.engage()
	r.shared.waiting.Add(int64(op.size()))
	r.operations.push(op)
	op.from.unanswered++
}

// refuse tells m why something it asked for is not done: at once, or in its
// place if answers to earlier messages are still to come.
func (r *Room) refuse(m *Member, err error, s *stamp) {
	r.refuseIn(m, operation{replica.Operation{Refusal: err}, m, s, nil}, false)
}

// refuseByApp is refuse with an answer of the app to a message, which is kept for
// repeats if the message is to count once. The message is not kept.
func (r *Room) refuseByApp(m *Member, message []byte, err error, s *stamp) {
	op := replica.Operation{Refusal: err, ByApp: true, Once: s.count()}
	if op.Once != nil {
		sum := sha256.Sum256(message)
		op.Data = sum[:]
	}
	r.refuseIn(m, operation{op, m, s, nil}, op.Once != nil)
}

func (r *Room) refuseIn(m *Member, op operation, always bool) {
	r.mu.Lock()
	if !r.retired && (always || m.unanswered > 0) {
		r.enqueue(op)
		r.mu.Unlock()
		r.kickUnless(m)
		return
	}
	r.mu.Unlock()
	r.tally.Operation(resultOfRefusal(op.Refusal))
	m.tellFault(m.judge(op.Refusal, op.stamp), op.stamp, false)
}

// settleAll releases the senders of a batch, if need be when the members are no
// longer behind with its events.
func (r *Room) settleAll(batch []operation, told *announcement) {
	var holds []hold
	for _, op := range batch {
		r.shared.waiting.Add(-int64(op.size()))
		if len(told.behind) == 0 {
			op.from.conn.Release(op.size())
			continue
		}
		holds = append(holds, hold{op.from, op.size()})
	}
	r.letGo(holds, told.events.Size(), told.behind)
}
