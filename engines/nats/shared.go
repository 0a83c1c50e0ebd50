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
// A node subscribes to these for each room that somebody here wants to hear of, so that the
// servers send it nothing else. What is lost on the way is made up for with the index: every
// half a minute, after a reconnect and when the client could not keep up, the changes since
// the last time are read, and told to those that have not heard of them. So they are a moment
// after a subscription, of which a far server may learn late. The logs have no index: each one
// that somebody here listens to is looked up (hearlog.go).

const (
	changedToken  = "changed"
	appendedToken = "appended"
	messageToken  = "message"
	lostToken     = "lost" // told within a node only

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
	inbox        chan *nats.Msg // what has arrived; never closed
	missed       chan *nats.Msg // as if it had arrived, but takes no place in the inbox; never closed
	check        chan struct{}  // holds one token while something may have been missed
	cut          chan struct{}  // holds one token while all are to be told that messages may be lost
	soon         atomic.Bool    // lookSoon is under way
	mistrustSoon atomic.Bool    // and then all logs are looked up

	mu sync.Mutex
	// Guarded by mu.
	rooms map[engines.Key]*listeners
}

// listeners are those that want to hear of one room.
type listeners struct {
	subject string
	sub     *nats.Subscription // nil: the client has closed, and another one will be there
	hear    map[*func(engines.Event)]struct{}
	told    uint64 // the newest revision

	// See hearlog.go.
	log      string // the subject of the room's log; empty if it has none, as far as is known
	reached  uint64 // a position that it has had
	unsure   bool   // what was appended lately may not have been told
	appended appended

	// See turns.go.
	beaten int           // how often in a row this node was
	need   time.Duration // for which it asks; 0: it does not
	turn   *turn         // of another node; nil: none has it
}

func newHearing() *hearing {
	return &hearing{
		inbox:  make(chan *nats.Msg, inboxSize),
		missed: make(chan *nats.Msg),
		check:  make(chan struct{}, 1),
		cut:    make(chan struct{}, 1),
		rooms:  make(map[engines.Key]*listeners),
	}
}

// lookTwice has it looked up what has been missed: at once, and again when all servers know what
// is subscribed to.
func (h *hearing) lookTwice() {
	h.mistrust()
	h.look()
	h.mistrustSoon.Store(true)
	h.lookSoon()
}

func (h *hearing) look() {
	select {
	case h.check <- struct{}{}:
	default:
	}
}

// noteCut has all be told that messages may be lost, in both directions.
func (h *hearing) noteCut() {
	select {
	case h.cut <- struct{}{}:
	default:
	}
}

// lookSoon has it looked up a moment later, once for all that ask for that until then.
func (h *hearing) lookSoon() {
	if h.soon.CompareAndSwap(false, true) {
		time.AfterFunc(spreadTime, func() {
			h.soon.Store(false)
			if h.mistrustSoon.Swap(false) {
				h.mistrust()
			}
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
	if err := e.hearing.add(e.link, key, subject, &hear); err != nil {
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
		back, conn, err := e.link.returning(), e.link.conn(), errAway
		if conn.IsConnected() { // else the client would buffer it
			err = conn.FlushWithContext(ctx)
		}
		if err == nil || !e.link.wait(ctx, back, shortestPause) {
			return err
		}
	}
}

// add adds a function to those that want to hear of a room.
func (h *hearing) add(link *link, key engines.Key, subject string, hear *func(engines.Event)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.rooms[key]
	if l == nil {
		l = &listeners{subject: subject, hear: make(map[*func(engines.Event)]struct{}), unsure: true}
		if err := h.subscribe(link.conn(), l); err != nil {
			return err
		}
		h.rooms[key] = l
	}
	l.hear[hear] = struct{}{}
	return nil
}

// subscribe has what happens to a room sent to here. hearing.mu is held.
func (h *hearing) subscribe(conn *nats.Conn, l *listeners) (err error) {
	if l.sub, err = conn.ChanSubscribe(l.subject, h.inbox); errors.Is(err, nats.ErrConnectionClosed) {
		return nil // resubscribe does it
	}
	return err
}

// resubscribe subscribes with a client that replaces another one.
func (h *hearing) resubscribe(conn *nats.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.rooms {
		l.unsubscribe() // which may have been subscribed with this client just now
		_ = h.subscribe(conn, l)
	}
}

// unsubscribe ends what subscribe has begun. hearing.mu is held.
func (l *listeners) unsubscribe() {
	if l.sub != nil {
		_ = l.sub.Unsubscribe() // while there is no connection nothing is subscribed
	}
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
		l.unsubscribe()
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
		err := e.link.conn().Publish(subject, message)
		away := errors.Is(err, nats.ErrReconnectBufExceeded) || errors.Is(err, nats.ErrConnectionClosed)
		if !away || !e.link.wait(ctx, back, longestPause) {
			return err
		}
	}
}

// dispatch handles what arrives until the engine is closed.
func (e *Engine) dispatch() {
	for {
		select {
		case m := <-e.hearing.inbox:
			e.handle(m)
		case m := <-e.hearing.missed:
			e.handle(m)
		case <-e.hearing.cut:
			e.hearing.tellLoss()
		case <-e.link.over.Done():
			return
		}
	}
}

// handle tells what has arrived.
func (e *Engine) handle(m *nats.Msg) {
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
	case lostToken:
		e.hearing.hearLost(key)
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

// forget notes that there are no revisions above one any more: they will be those of other
// changes. It returns the rooms that have lost some.
func (h *hearing) forget(last uint64) (lost []engines.Key) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key, l := range h.rooms {
		if l.told > last {
			l.told = last
			lost = append(lost, key)
		}
	}
	return lost
}

// tell tells an event to those that want to hear of the room, unless it is a change that they
// have heard of.
func (h *hearing) tell(key engines.Key, event engines.Event) {
	for _, hear := range h.listenersOf(key, event) {
		(*hear)(event)
	}
}

// tellLoss tells all that want to hear of rooms that the connection was cut: messages may be lost.
func (h *hearing) tellLoss() {
	for _, hear := range h.listenersOfAll() {
		(*hear)(engines.Event{Cut: true})
	}
}

func (h *hearing) listenersOfAll() (all []*func(engines.Event)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.rooms {
		for hear := range l.hear {
			all = append(all, hear)
		}
	}
	return all
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
	due := time.NewTimer(nextCheck()) // however often it is looked meanwhile: that is not for all logs
	defer due.Stop()
	for {
		select {
		case <-due.C:
			due.Reset(nextCheck())
			e.hearing.mistrust()
		case <-e.hearing.check:
		case <-e.link.over.Done():
			return
		}
		e.checkRooms()
	}
}

func nextCheck() time.Duration { return checkPause + rand.N(checkPause/3) } //nolint:gosec // not a secret

// checkRooms tells what has changed since others were told.
func (e *Engine) checkRooms() {
	if e.hearing.isIdle() {
		return
	}
	ctx, cancel := context.WithTimeout(e.link.over, checkTimeout)
	defer cancel()
	err := e.ask(ctx)
	if err == nil {
		e.announceChanges()
		err = e.checkLogs(ctx)
	}
	if err != nil && e.link.over.Err() == nil {
		logger().Warn("looking for changes of other nodes", zap.Error(err))
	}
}

// announceChanges tells those changes of rooms that the index knows of.
func (e *Engine) announceChanges() {
	for key, rev := range e.hearing.untold(&e.index) {
		e.announceChange(key, rev)
	}
}

// isIdle reports whether nobody wants to hear of any room.
func (h *hearing) isIdle() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.rooms) == 0
}

// untold returns the newest revisions of the rooms that have changed since others were told.
func (h *hearing) untold(x *index) map[engines.Key]uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	changed := make(map[engines.Key]uint64)
	for key, l := range h.rooms {
		rev := x.revision(key)
		if rev == 0 && l.told > 0 { // it has been deleted since
			rev = x.position()
		}
		if rev > l.told {
			changed[key] = rev
		}
	}
	return changed
}

// announceChange has a change told among all events.
func (e *Engine) announceChange(key engines.Key, rev uint64) {
	subject, err := subjectOf(e.prefix+"."+changedToken+".", key)
	if err != nil {
		return
	}
	e.announce(&nats.Msg{Subject: subject, Header: nats.Header{jetstream.SequenceHeader: {strconv.FormatUint(rev, 10)}}})
}

// announceLossOf has it told that a room has lost changes.
func (e *Engine) announceLossOf(key engines.Key) {
	if room, err := subjectOf("", key); err == nil {
		e.announceLoss(room)
	}
}

// announceLoss is announceLossOf for the subject of a room.
func (e *Engine) announceLoss(room string) {
	e.announce(&nats.Msg{Subject: e.prefix + "." + lostToken + "." + room})
}

// announce has something told as if it had just arrived. It waits until it is told.
func (e *Engine) announce(m *nats.Msg) {
	select {
	case e.hearing.missed <- m:
	case <-e.link.over.Done():
	}
}
