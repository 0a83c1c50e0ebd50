package room

import (
	"math"
	"time"

	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/replica"
)

const (
	maxBatch  = 4096 // operations of one commit
	maxInline = 4    // turns taken for others before a goroutine goes on

	// inlineMembers is the largest room whose turns are taken by whoever has
	// something to say; in a larger one that would hold up its connection too long.
	inlineMembers = 64
)

// chores are what there is to do in a turn beside messages and operations.
type chores struct {
	follow bool // the route's configuration, which may have changed
	settle bool // a commit of which it is not known whether it is stored
	update bool // the members whose updates have waited long enough
	touch  bool // what is stored of the last use

	erase chan<- error // what is stored is to be deleted, and this told how that went; nil if not
}

// kick sees to it that somebody carries out what waits.
func (r *Room) kick() {
	r.mu.Lock()
	if r.running || !r.busy() {
		r.mu.Unlock()
		return
	}
	r.running = true
	inline := len(r.members) <= inlineMembers && (!r.stateful || r.shared.Volatile)
	r.mu.Unlock()
	if !inline || !r.run(maxInline) {
		r.shared.Go(r.runOn)
	}
}

// runOn takes turns until nothing is left to do.
func (r *Room) runOn() { r.run(math.MaxInt) }

// busy reports whether anything waits.
func (r *Room) busy() bool {
	return r.operations.count > 0 || r.outbox.messages.Len() > 0 || r.chores != chores{}
}

// run takes at most so many turns and reports whether nothing is left to do.
func (r *Room) run(turns int) (done bool) {
	for range turns {
		if !r.attempt() {
			r.Release()
			return true
		}
	}
	return false
}

// attempt takes a turn and reports whether there may be more to do. What apps
// and engines do wrong has been caught closer by; anything else must end neither
// Caddy nor the room.
func (r *Room) attempt() (more bool) {
	defer func() {
		if p := recover(); p != nil {
			more = true
			r.reportPanic(p)
		}
	}()
	return r.turn()
}

// turn carries out what waits. Without anything it ends the running.
func (r *Room) turn() bool {
	r.mu.Lock()
	if !r.busy() {
		r.running, r.engaged = false, false
		r.mu.Unlock()
		return false
	}
	sending, batch, todo := r.outbox, r.operations.take(maxBatch), r.chores
	r.outbox, r.chores = outbox{}, chores{}
	if sending.messages.Len() > 0 {
		r.recipients = append(r.recipients[:0], r.members...)
	}
	r.mu.Unlock()

	if sending.messages.Len() > 0 {
		r.sendMessages(&sending)
	}
	if todo.follow {
		r.follow(r.config())
		r.setLast(r.snapshot())
	}
	if todo.settle {
		r.settling = false
	}
	if len(batch) > 0 || todo.settle {
		r.carryOut(batch)
	}
	if todo.update {
		r.catchUp()
	}
	if todo.touch {
		r.touch()
	}
	if todo.erase != nil {
		r.erase(todo.erase)
	}
	clear(r.recipients[:cap(r.recipients)])
	return true
}

// sendMessages sends what was published to the members. A panic ends the sending, and
// nothing else: the publishers are let go in any case.
func (r *Room) sendMessages(b *outbox) {
	var behind []*Member
	defer func() {
		if p := recover(); p != nil {
			r.reportPanic(p)
		}
		r.letGo(b.holds, b.messages.Size(), behind)
	}()
	behind = b.send(r.recipients)
}

// carryOut commits a batch and tells everybody what came of it.
func (r *Room) carryOut(batch []operation) {
	told := new(announcement)
	defer func() { r.conclude(batch, told, recover()) }()
	results := r.commit(batch)
	r.count(results)
	for i, res := range results {
		if res.Panicked {
			batch[i].from.failed(res.Err, nil)
		}
	}
	now := r.snapshot()
	r.show(now)
	told = r.answer(batch, results, r.replica.Late(), now)
	r.settleLater()
}

// conclude gives back what the operations of a batch held. After a panic nobody
// knows what their senders were told: they are closed.
func (r *Room) conclude(batch []operation, told *announcement, panicked any) {
	r.mu.Lock()
	for _, op := range batch {
		op.from.unanswered--
		r.greet(op.from)
	}
	r.mu.Unlock()
	for _, op := range batch {
		if panicked != nil {
			op.from.conn.Close(frames.InternalError, "internal error")
		}
	}
	r.settleAll(batch, told)
	if panicked != nil {
		r.replica.Unload()
		r.reportPanic(panicked)
	}
}

// commit has the replica carry out a batch.
func (r *Room) commit(batch []operation) []replica.Result {
	operations := make([]replica.Operation, len(batch))
	for i, op := range batch {
		operations[i] = op.Operation
	}
	if r.shared.Volatile { // which takes no time
		return r.replica.Commit(r.shared.Context, operations)
	}
	begun := time.Now()
	defer func() { r.tally.Commit(time.Since(begun)) }()
	return r.replica.Commit(r.shared.Context, operations)
}

// show shows the commit to visitors that join from now on and keeps the members
// that are to be told of it: those that joined meanwhile have seen it.
func (r *Room) show(now snapshot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = now
	r.recipients = append(r.recipients[:0], r.members...)
	for _, m := range r.recipients {
		m.turn.owed, m.turn.heard = len(m.operations) > 0, 0
	}
}
