package room

import (
	"bytes"
	"context"
	"errors"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/replica"
	"github.com/caddyws/caddy-websocket/route"
)

// In a room that keeps messages each one is an operation: it waits for its turn, is stored
// with all that came meanwhile, and only then told. All members are told the same in the
// order of the versions; the sender is told its message before the reply to it.

// Keeps reports whether the room keeps messages.
func (r *Room) Keeps() bool { return r.keeps }

// appOf returns what the replica has as its app.
func (r *Room) appOf(c *route.Config) apps.Stateful {
	if r.keeps {
		return replica.Journal{Messages: c.History.Messages, Age: c.History.Age}
	}
	return c.App.(apps.Stateful)
}

// keep queues a message that is to be kept.
func (r *Room) keep(from *Member, msg apps.Message, excepts []apps.Conn) {
	s, err := from.takeStamp()
	if err != nil {
		r.refuse(from, err, s)
		return
	}
	said := newSaid(msg)
	if _, none := from.conn.(nobody); !none {
		said.From, said.User = from.ID(), from.User()
	}
	r.enqueueSaid(operation{replica.Operation{Once: s.count(), Said: said}, from, s, excepts})
}

// newSaid returns a message by nobody.
func newSaid(msg apps.Message) *replica.Said {
	return &replica.Said{Binary: msg.Binary, Text: bytes.Clone(msg.Data), JSON: bytes.Clone(msg.JSON)}
}

// enqueueSaid queues the operation of a message.
func (r *Room) enqueueSaid(op operation) {
	op.Data = op.Said.Text
	if op.Said.JSON != nil { // the text may name the connection, and a repeat comes by another
		op.Data = op.Said.JSON
	}
	r.mu.Lock()
	if r.retired {
		r.mu.Unlock()
		return
	}
	if r.full(op.size()) {
		r.mu.Unlock()
		r.refuse(op.from, ErrBusy, op.stamp)
		return
	}
	r.enqueue(op)
	r.mu.Unlock()
	r.kickUnless(op.from)
}

// sayKept is Say in a room that keeps messages.
func (r *Room) sayKept(ctx context.Context, msg apps.Message) (members int, err error) {
	x, m := NewExchange(), newMember(r, r.Route(), Visitor{})
	x.member, m.conn = m, x
	members = r.len()
	x.Hold(0)
	r.enqueueSaid(operation{replica.Operation{Said: newSaid(msg)}, m, nil, nil})
	x.Release(0)
	select {
	case <-x.Done():
	case <-ctx.Done():
		return 0, replica.ErrUnknown
	case <-r.shared.Context.Done():
		return 0, replica.ErrUnknown
	}
	switch answer := x.Answer(); {
	case answer.Err != nil:
		return 0, answer.Err
	case answer.Data == nil: // a panic has cut the commit short
		return 0, replica.ErrUnknown
	}
	return members, nil
}

// carryOutKept stores a batch of messages, and tells everybody.
func (r *Room) carryOutKept(batch []operation) {
	told := new(announcement)
	defer func() {
		panicked := recover()
		r.conclude(batch, told, panicked)
		if panicked != nil {
			r.sendAllAway()
		}
	}()
	operations := make([]replica.Operation, len(batch))
	for i := range batch {
		operations[i] = batch[i].Operation
	}
	results := r.commitTimed(operations)
	r.count(results)
	r.tellKept(batch, results, told)
	r.settleLater()
}

// sendAllAway closes all members when nobody knows what they were told: they come back and
// say what they have seen.
func (r *Room) sendAllAway() {
	for _, m := range r.Members() {
		m.conn.Close(frames.InternalError, "internal error")
	}
}

// tellKept tells the senders of a batch and all members what is stored since the commit
// before.
func (r *Room) tellKept(batch []operation, results []replica.Result, told *announcement) {
	_ = r.replica.Late() // they are among those that are fresh
	now := r.snapshot()
	before := r.show(now, batch)
	fresh, skipped := r.replica.Fresh()
	if skipped {
		r.forgetRecent()
	}
	r.leaveBehind(before, now, fresh, results, skipped)
	t := r.newTelling(before, now, fresh)
	for i, op := range batch {
		t.except(op, results[i])
	}
	senders := gather(batch)
	defer letGo(senders)
	for i, op := range batch {
		if index, ok := t.indexes[results[i].Version]; ok && results[i].Counts() {
			t.tell(op.from, index+1)
		}
		if op.from.turn.outside && op.from.isCatchingUp() {
			op.from.owe(func() { op.confirm(results[i], now) })
			continue
		}
		op.confirm(results[i], now)
	}
	for _, m := range r.recipients {
		t.tell(m, t.messages.Len())
	}
	told.events, told.behind = t.messages, t.behind
}

// confirm tells the sender of a message its place, if it has asked for that by an id, or is a
// POST; or why the message is not kept.
func (op operation) confirm(res replica.Result, now snapshot) {
	m := op.from
	if err := m.judge(res.Err, op.stamp); err != nil {
		m.tellFault(err, op.stamp, res.Repeat)
		return
	}
	reply := now.said(message.Reply, res.Version, apps.Body{})
	reply.ID, reply.Repeat = op.stamp.answerID(), res.Repeat
	if _, post := m.conn.(*Exchange); post {
		if reply.Text = []byte(reply.At.String()); res.IsPresent() {
			reply.Text = forgottenPlace
		}
	} else if reply.ID == nil {
		return
	}
	if p := reply.Payload(m.format); len(p) > 0 {
		m.room.trace(Sent, m, p, false)
		m.conn.Send(p, false)
	}
}

// forgottenPlace is the text for a POST that is a repeat whose first answer is not kept.
var forgottenPlace = []byte("repeat: this has counted, and its place is not known any more")

// telling is the messages that members are told after a commit.
type telling struct {
	messages message.Batch
	indexes  map[uint64]int    // by version
	excepted map[*Member][]int // indexes that a member is not told, in order
	behind   []*Member
}

// countGap counts that members are told of a gap.
func (r *Room) countGap() {
	if len(r.recipients) > 0 {
		r.tally.Gap()
	}
}

// newTelling is for messages that are fresh. Where some are missing that are not kept any
// more, or the room has begun a new life after one in which something was said, or the engine
// has lost some, members are told of a gap.
func (r *Room) newTelling(before, now snapshot, fresh []replica.Kept) *telling {
	t := &telling{indexes: make(map[uint64]int, len(fresh))}
	expected, another := before.version+1, before.epoch != now.epoch || now.version < before.version
	if another && before.version > 0 {
		expected = 0
	}
	if len(fresh) == 0 && another && now.version+1 != expected {
		r.forgetRecent()
		r.countGap()
		t.messages.Add(now.gapBefore(now.version + 1))
	}
	for i := range fresh {
		kept := &fresh[i]
		if kept.Version != expected {
			r.forgetRecent()
			r.countGap()
			t.messages.Add(now.gapBefore(kept.Version))
		}
		expected = kept.Version + 1
		r.remember(fresh[i : i+1])
		if kept.Silent {
			continue
		}
		t.indexes[kept.Version] = t.messages.Len()
		t.messages.Add(now.kept(*kept))
		r.trace(Published, nil, kept.Text, kept.Binary)
	}
	return t
}

// except notes who is not told the message of an operation.
func (t *telling) except(op operation, res replica.Result) {
	index, ok := t.indexes[res.Version]
	if !ok || !res.Counts() {
		return
	}
	for _, c := range op.excepts {
		m, ok := c.(*appConn)
		if !ok {
			continue
		}
		if t.excepted == nil {
			t.excepted = make(map[*Member][]int)
		}
		t.excepted[(*Member)(m)] = append(t.excepted[(*Member)(m)], index)
	}
}

// tell sends m the first n messages, as far as it has not been sent them.
func (t *telling) tell(m *Member, n int) {
	if m.turn.outside {
		return
	}
	start := int(m.turn.heard)
	m.turn.heard = int32(max(n, start))
	for _, index := range t.excepted[m] {
		if start <= index && index < n {
			t.write(m, start, index)
			start = index + 1
		}
	}
	t.write(m, start, n)
}

func (t *telling) write(m *Member, start, end int) {
	if start < end && m.conn.Write(t.messages.Slice(start, end)) {
		t.behind = append(t.behind, m)
	}
}

// kept returns the message that tells what is kept.
func (s snapshot) kept(k replica.Kept) message.Message {
	m := s.said(message.Published, k.Version, apps.Body{Text: k.Text, JSON: k.JSON})
	m.Binary, m.Sent = k.Binary, k.At
	if k.From != "" || k.User != "" {
		m.From = message.Known(k.From, k.User)
	}
	return m
}

// tidy has messages removed that are not kept any more: beside the turns, which do not wait
// for it.
func (r *Room) tidy() {
	trim, another, err := r.replica.Tidy(r.shared.Context)
	r.stored(another, err)
	if trim == nil || !r.trimming.CompareAndSwap(false, true) { // else the next time does what is left
		return
	}
	r.Retain()
	r.shared.Go(func() {
		defer r.Release()
		defer r.trimming.Store(false)
		err := trim(r.shared.Context)
		if errors.Is(err, replica.ErrMissing) {
			r.take(func(c *chores) { c.reread = true })
		}
		if err != nil {
			r.report(err)
		}
	})
}

// tellFresh tells members what other processes have stored.
func (r *Room) tellFresh() {
	r.tellKept(nil, nil, new(announcement))
}
