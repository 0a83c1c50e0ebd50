package room

import (
	"context"
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
	told   bool // what is stored of events that were told outside
	held   bool // the events of other processes that those have not told

	refresh bool // the state, if other processes have stored another
	reread  bool // the state, whatever was heard of others

	wake   bool          // the state, if its time has come
	waited chan struct{} // nil, or to be closed after this turn
	remind time.Time     // zero, or when the engine has the room woken

	erase chan<- error // what is stored is to be deleted, and this told how that went; nil if not
}

// askEngine reports whether some of the chores may wait for the engine.
func (c *chores) askEngine() bool {
	return c.touch || c.told || c.refresh || c.reread || !c.remind.IsZero()
}

// kick sees to it that somebody carries out what waits.
func (r *Room) kick() {
	run, inline := r.mayRun()
	if run && (!inline || !r.run(maxInline)) {
		r.shared.Go(r.runOn)
	}
}

// kickAside is kick for a caller that must not be held up.
func (r *Room) kickAside() {
	if run, _ := r.mayRun(); run {
		r.shared.Go(r.runOn)
	}
}

// mayRun reports whether the caller has to see to it that turns are taken, and whether it may
// take some itself.
func (r *Room) mayRun() (run, inline bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running || !r.busy() {
		return false, false
	}
	r.running = true
	return true, len(r.members) <= inlineMembers && (!r.Stores() || r.shared.Volatile)
}

// runOn takes turns until nothing is left to do.
func (r *Room) runOn() { r.run(math.MaxInt) }

// busy reports whether anything waits.
func (r *Room) busy() bool {
	return r.operations.count > 0 || r.outbox.messages.Len() > 0 || len(r.arrivals) > 0 || r.chores != chores{}
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

// work is what is carried out in a turn.
type work struct {
	sending  outbox
	batch    []operation
	arrivals []*Member
	chores   chores

	// How many events of a life of the room are told outside.
	epoch string
	told  uint64
}

// takeWork takes what waits. Without anything it ends the running.
func (r *Room) takeWork() (w work, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.busy() {
		r.running, r.engaged = false, false
		return work{}, false
	}
	w = work{sending: r.outbox, batch: r.operations.take(maxBatch), arrivals: r.arrivals, chores: r.chores}
	r.outbox, r.arrivals, r.chores = outbox{}, nil, chores{}
	if w.sending.messages.Len() > 0 {
		r.recipients = append(r.recipients[:0], r.members...)
	}
	if r.outside != nil {
		w.epoch, w.told = r.outside.epoch, r.outside.told
	}
	return w, true
}

// turn carries out what waits, and reports whether there was anything.
func (r *Room) turn() bool {
	w, ok := r.takeWork()
	if !ok {
		return false
	}
	if w.sending.messages.Len() > 0 {
		sending := w.sending
		r.sendMessages(&sending)
	}
	ctx, cancel := r.boundChores(&w.chores)
	defer cancel()
	r.prepare(&w)
	if wake := r.mayWake(); len(w.batch) > 0 || w.chores.settle || wake {
		r.carryOut(w.batch, wake)
	}
	r.finish(ctx, w.chores)
	clear(r.recipients[:cap(r.recipients)])
	return true
}

// boundChores bounds how long the chores of a turn wait for the engine, together and with its
// commit: operations that have come meanwhile wait for them.
func (r *Room) boundChores(todo *chores) (context.Context, context.CancelFunc) {
	if !todo.askEngine() {
		return r.shared.Context, func() {}
	}
	return context.WithTimeout(r.shared.Context, loadTimeout)
}

// prepare does what comes before the operations.
func (r *Room) prepare(w *work) {
	if w.chores.follow {
		r.follow(r.config())
		r.setLast(r.snapshot())
	}
	if w.chores.settle {
		r.settling = false
	}
	if w.epoch != "" {
		r.replica.Told(w.epoch, w.told)
	}
	if r.keeps {
		r.welcomeKept(w.arrivals)
		return
	}
	r.welcome(w.arrivals)
}

// finish does the chores that come behind them.
func (r *Room) finish(ctx context.Context, todo chores) {
	if todo.update {
		r.catchUp()
	}
	if todo.touch {
		r.touch(ctx)
	}
	if todo.refresh {
		r.refresh(ctx)
	}
	if todo.reread {
		r.reread(ctx)
	}
	if todo.told {
		r.storeTold(ctx)
	}
	if todo.held {
		r.tellHeld()
	}
	if todo.erase != nil {
		r.erase(todo.erase)
	}
	if !todo.remind.IsZero() {
		r.remind(ctx, todo.remind)
	}
	switch {
	case r.stateful:
		r.setAlarm()
	case r.keeps:
		r.tidy()
	}
	if todo.waited != nil {
		close(todo.waited)
	}
}

// sendMessages sends what was published to the members, and has others told. A panic ends the
// sending, and nothing else: the publishers are let go in any case.
func (r *Room) sendMessages(b *outbox) {
	var behind []*Member
	defer func() {
		if p := recover(); p != nil {
			r.reportPanic(p)
		}
		r.speak(b, len(behind) == 0)
		r.letGo(b.holds, b.messages.Size(), behind)
	}()
	behind = b.send(r.recipients)
}

// speak has others told what is to be relayed. The publishers are held up until that is so,
// if they are not for other reasons.
func (r *Room) speak(b *outbox, hold bool) {
	if b.relay.Size() == 0 {
		return
	}
	sp := speech{key: r.key, relay: b.relay}
	if hold {
		sp.holds, b.holds = b.holds, nil
	}
	r.shared.speak(sp)
}

// carryOut commits a batch, behind a wake if the state is to be woken, and tells everybody
// what came of it.
func (r *Room) carryOut(batch []operation, wake bool) {
	if r.keeps {
		r.carryOutKept(batch)
		return
	}
	told := new(announcement)
	defer func() { r.conclude(batch, told, recover()) }()
	results, unasked := r.commit(batch, wake)
	r.count(results)
	for i, res := range results {
		if res.Panicked {
			batch[i].from.failed(res.Err, nil)
		}
	}
	now := r.snapshot()
	before := r.show(now, batch)
	told = r.answer(batch, results, unasked, before, now)
	r.handOut(now, told.happened)
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

// commit has the replica carry out a batch. Beside its results it returns those that
// nobody waits for: of a wake, and of what has been found stored late.
func (r *Room) commit(batch []operation, wake bool) (results, unasked []replica.Result) {
	operations := make([]replica.Operation, 0, 1+len(batch))
	if wake {
		operations = append(operations, replica.Operation{Wake: true})
	}
	for _, op := range batch {
		operations = append(operations, op.Operation)
	}
	results = r.commitTimed(operations)
	unasked = r.replica.Late()
	if !wake {
		return results, unasked
	}
	woken, results := results[0], results[1:]
	if r.woken(woken); woken.Err == nil {
		unasked = append(unasked, woken)
	}
	return results, unasked
}

// commitTimed has the replica carry out a batch, and counts how long that takes.
func (r *Room) commitTimed(operations []replica.Operation) []replica.Result {
	if r.shared.Volatile { // which takes no time
		return r.replica.Commit(r.shared.Context, operations)
	}
	begun := time.Now()
	defer func() { r.tally.Commit(time.Since(begun)) }()
	return r.replica.Commit(r.shared.Context, operations)
}

// show shows the commit to visitors that join from now on, and returns the one before. It
// keeps the members that are to be told of it: those that joined meanwhile have seen it, and
// those that are arriving will.
func (r *Room) show(now snapshot, batch []operation) (before snapshot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before, r.last = r.last, now
	if now.version < before.version && r.outside != nil { // the engine has lost some: what it has is noted anew
		r.outside.epoch = ""
	}
	r.recipients = r.recipients[:0]
	for _, m := range r.members {
		if m.arriving {
			continue
		}
		r.recipients = append(r.recipients, m)
		m.turn.owed, m.turn.heard, m.turn.outside = len(m.operations) > 0, 0, false
	}
	for i := range batch {
		m := batch[i].from
		m.turn.outside = m.place < 0 || m.arriving
	}
	return before
}
