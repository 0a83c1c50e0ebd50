package nats

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/engines"
)

// Other nodes are heard over core NATS, which keeps nothing. The streams republish the headers
// of each record and of each batch of a log, and nodes publish messages:
//
//	<prefix>.changed.<app>.<room>
//	<prefix>.appended.<app>.<room>
//	<prefix>.message.<app>.<room>
//	<prefix>.turn.<app>.<room>      see turns.go
//
// A node subscribes to all of these for each room that somebody here wants to hear of, so that the
// servers send it nothing else. What is lost on the way is made up for with the index: every
// half a minute, after a reconnect and when the client could not keep up, the changes since
// the last time are read, and told to those that have not heard of them. So they are a moment
// after a subscription, of which a far server may learn late. The logs have no index: each one
// that somebody here listens to is looked up (hearlog.go).

const (
	changedToken  = "changed"
	appendedToken = "appended"
	messageToken  = "message"

	// inboxSize is how many events may wait to be told.
	inboxSize = 32 << 10

	// checkPause is the time between two looks for changes that were not heard of, and up to
	// a third more.
	checkPause   = 30 * time.Second
	checkTimeout = 15 * time.Second

	// spreadTime is how long it takes until all servers of a cluster know what a client of
	// one of them has subscribed to.
	spreadTime = time.Second
)

// hearing tells events of rooms to those that want to hear of them.
type hearing struct {
	inbox chan *nats.Msg // what has arrived; never closed
	check chan struct{}  // holds one token while something may have been missed
	soon  atomic.Bool    // lookSoon is under way

	mu sync.Mutex
	// Guarded by mu.
	rooms map[engines.Key]*listeners
}

// listeners are those that want to hear of one room.
type listeners struct {
	sub  *nats.Subscription
	hear map[*func(engines.Event)]struct{}
	told uint64 // the newest revision

	// See hearlog.go.
	log      string // the subject of the room's log; empty if it has none, as far as is known
	unsure   bool   // what was appended lately may not have been told
	appended appended

	// See turns.go.
	beaten int           // how often in a row this node was
	need   time.Duration // for which it asks; 0: it does not
	turn   *turn         // of another node; nil: none has it
}

func newHearing() *hearing {
	return &hearing{inbox: make(chan *nats.Msg, inboxSize), check: make(chan struct{}, 1), rooms: make(map[engines.Key]*listeners)}
}

// doubt has it looked up what has been missed: at once, and again when all servers know what
// is subscribed to.
func (h *hearing) doubt() {
	h.mistrust()
	h.look()
	h.lookSoon()
}

func (h *hearing) look() {
	select {
	case h.check <- struct{}{}:
	default:
	}
}

// lookSoon has it looked up a moment later, once for all that ask for that until then.
func (h *hearing) lookSoon() {
	if h.soon.CompareAndSwap(false, true) {
		time.AfterFunc(spreadTime, func() {
			h.soon.Store(false)
			h.look()
		})
	}
}

// republish is how a bucket tells of changes.
func republish(bucket, prefix string) *jetstream.RePublish {
	return &jetstream.RePublish{
		Source:      subjectPrefix + bucket + "." + roomsToken + ">",
		Destination: prefix + "." + changedToken + ".>",
		HeadersOnly: true,
	}
}

// Subscribe has hear called with what other nodes do in a room.
func (e *Engine) Subscribe(ctx context.Context, key engines.Key, hear func(engines.Event)) (cancel func(), err error) {
	if err := e.begin(); err != nil {
		return nil, err
	}
	defer e.calls.Done()
	subject, err := subjectOf(e.prefix+".*.", key)
	if err != nil {
		return nil, err
	}
	if err := e.hearing.add(e.link.conn, key, subject, &hear); err != nil {
		return nil, err
	}
	cancel = sync.OnceFunc(func() { e.hearing.remove(key, &hear) })
	if err := e.flush(ctx); err != nil {
		cancel()
		return nil, err
	}
	e.hearing.lookSoon()
	return cancel, nil
}

// flush waits until a server has what was sent so far.
func (e *Engine) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	for {
		back := e.link.returning()
		err := e.link.conn.FlushWithContext(ctx)
		if err == nil || !e.link.wait(ctx, back, shortestPause) {
			return err
		}
	}
}

func (h *hearing) add(conn *nats.Conn, key engines.Key, subject string, hear *func(engines.Event)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.rooms[key]
	if l == nil {
		sub, err := conn.ChanSubscribe(subject, h.inbox)
		if err != nil {
			return err
		}
		l = &listeners{sub: sub, hear: make(map[*func(engines.Event)]struct{}), unsure: true}
		h.rooms[key] = l
	}
	l.hear[hear] = struct{}{}
	return nil
}

func (h *hearing) remove(key engines.Key, hear *func(engines.Event)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.rooms[key]
	if l == nil {
		return
	}
	if delete(l.hear, hear); len(l.hear) == 0 {
		delete(h.rooms, key)
		_ = l.sub.Unsubscribe() // while there is no connection nothing is subscribed
	}
}

// Publish tells a message to other nodes.
func (e *Engine) Publish(ctx context.Context, key engines.Key, message []byte) error {
	if len(message) > e.maxState {
		return fmt.Errorf("a message of %d bytes is too large", len(message))
	}
	if err := e.begin(); err != nil {
		return err
	}
	defer e.calls.Done()
	subject, err := subjectOf(e.prefix+"."+messageToken+".", key)
	if err != nil {
		return err
	}
	for {
		back := e.link.returning()
		err := e.link.conn.Publish(subject, message)
		if !errors.Is(err, nats.ErrReconnectBufExceeded) || !e.link.wait(ctx, back, longestPause) {
			return err
		}
	}
}

// tell tells what arrives until the engine is closed.
func (e *Engine) tell() {
	for {
		select {
		case m := <-e.hearing.inbox:
			e.hear(m)
		case <-e.link.over.Done():
			return
		}
	}
}

// hear tells what has arrived.
func (e *Engine) hear(m *nats.Msg) {
	kind, room, _ := strings.Cut(strings.TrimPrefix(m.Subject, e.prefix+"."), ".")
	key, ok := keyOf("", room)
	if !ok {
		return
	}
	switch kind {
	case messageToken:
		e.hearing.tell(key, engines.Event{Message: append([]byte{}, m.Data...)})
	case turnToken:
		e.hearTurn(key, m.Data)
	case appendedToken:
		e.hearAppended(key, m)
	case changedToken:
		if rev, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64); err == nil {
			e.hearChange(key, rev, m.Header.Get(nodeHeader))
		}
	}
}

// hearChange tells of a change. One by this node is known, and so is all before it.
func (e *Engine) hearChange(key engines.Key, rev uint64, by string) {
	if by == e.node {
		e.hearing.know(key, rev)
		return
	}
	e.hearing.tell(key, engines.Event{Rev: rev})
	e.hearing.endTurnOf(key, by)
}

// know notes that a revision need not be told.
func (h *hearing) know(key engines.Key, rev uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if l := h.rooms[key]; l != nil {
		l.told = max(l.told, rev)
	}
}

// tell tells an event to those that want to hear of the room, unless it is a change that they
// have heard of.
func (h *hearing) tell(key engines.Key, event engines.Event) {
	for _, hear := range h.listenersOf(key, event) {
		(*hear)(event)
	}
}

func (h *hearing) listenersOf(key engines.Key, event engines.Event) (all []*func(engines.Event)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.rooms[key]
	if l == nil || !l.isNew(event) {
		return nil
	}
	for hear := range l.hear {
		all = append(all, hear)
	}
	return all
}

// isNew notes an event, and reports whether it is to be told. hearing.mu is held.
func (l *listeners) isNew(event engines.Event) bool {
	switch {
	case event.Rev != 0:
		is := event.Rev > l.told
		l.told = max(l.told, event.Rev)
		return is
	case event.Last != 0:
		return l.appended.advance(event.Epoch, event.Last)
	}
	return true
}

// checkOn looks for changes that were not heard of, until the engine is closed.
func (e *Engine) checkOn() {
	for {
		timer := time.NewTimer(checkPause + rand.N(checkPause/3)) //nolint:gosec // not a secret
		select {
		case <-timer.C:
			e.hearing.mistrust()
		case <-e.hearing.check:
		case <-e.link.over.Done():
			timer.Stop()
			return
		}
		timer.Stop()
		e.checkRooms()
	}
}

// checkRooms tells what has changed since others were told.
func (e *Engine) checkRooms() {
	keys := e.hearing.keys()
	if len(keys) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(e.link.over, checkTimeout)
	defer cancel()
	err := e.ask(ctx)
	if err == nil {
		e.announceChanges(keys)
		err = e.checkLogs(ctx)
	}
	if err != nil && e.link.over.Err() == nil {
		logger().Warn("looking for changes of other nodes", zap.Error(err))
	}
}

// announceChanges tells those changes of rooms that the index knows of.
func (e *Engine) announceChanges(keys []engines.Key) {
	for _, key := range keys {
		switch rev := e.index.revision(key); {
		case rev != 0:
			e.announceChange(key, rev)
		case e.hearing.hasTold(key): // it has been deleted since
			e.announceChange(key, e.index.position())
		}
	}
}

// hasTold reports whether a change of a room was ever told.
func (h *hearing) hasTold(key engines.Key) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.rooms[key]
	return l != nil && l.told > 0
}

// announceChange has a change told in the order of all events.
func (e *Engine) announceChange(key engines.Key, rev uint64) {
	subject, err := subjectOf(e.prefix+"."+changedToken+".", key)
	if err != nil {
		return
	}
	e.announce(&nats.Msg{Subject: subject, Header: nats.Header{jetstream.SequenceHeader: {strconv.FormatUint(rev, 10)}}})
}

// announce has something told as if it had just arrived.
func (e *Engine) announce(m *nats.Msg) {
	select {
	case e.hearing.inbox <- m:
	case <-e.link.over.Done():
	}
}

func (h *hearing) keys() (keys []engines.Key) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key := range h.rooms {
		keys = append(keys, key)
	}
	return keys
}
