package nats

import (
	"context"
	"fmt"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
)

// Of several nodes that change a room at the same time the one nearest to the servers would
// nearly always be first. So a node that has been beaten twice in a row asks the others for a
// turn, and they store nothing in that room until it has, or its turn is over:
//
//	<prefix>.turn.<app>.<room>
//
// How long it needs it tells itself, by how long its last try took. Of several that ask the one
// that needs more is first. If what it says is lost, nobody waits for it, and it asks again
// after its next defeat. One that has needed a turn asks for the next one sooner.

const (
	turnToken = "turn"

	// patientTries is how often in a row a node is beaten before it asks.
	patientTries = 2

	// A turn has time for some tries, within bounds.
	triesOfTurn  = 4
	shortestTurn = 2 * time.Millisecond
	longestTurn  = 250 * time.Millisecond
)

// turn is the time in which a room is left to another node.
type turn struct {
	node string
	need time.Duration
	over chan struct{} // closed when it has stored something; guarded by hearing.mu
}

// yield waits as long as another node has its turn in a room. It reports whether the room was
// changed meanwhile, so that a change of revision rev would come too late.
func (h *hearing) yield(ctx context.Context, key engines.Key, rev uint64) bool {
	over := h.turnOver(key)
	if over == nil {
		return false
	}
	before := h.newest(key)
	select {
	case <-over:
	case <-ctx.Done():
	}
	return rev != 0 && h.newest(key) > max(rev, before)
}

// turnOver returns what is closed at the end of another node's turn; nil if there is none.
func (h *hearing) turnOver(key engines.Key) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if l := h.rooms[key]; l != nil && l.turn != nil {
		return l.turn.over
	}
	return nil
}

// newest returns the newest revision of a room that was told; 0 if none was.
func (h *hearing) newest(key engines.Key) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if l := h.rooms[key]; l != nil {
		return l.told
	}
	return 0
}

// giveTurn leaves a room to another node for the time that it needs, unless one that needs
// more has its turn, or this one asks for it.
func (h *hearing) giveTurn(key engines.Key, node string, need time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.rooms[key]
	if l == nil || need <= l.need || l.turn != nil && need <= l.turn.need {
		return
	}
	l.endTurn(l.turn)
	t := &turn{node, need, make(chan struct{})}
	l.turn = t
	time.AfterFunc(need, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		l.endTurn(t)
	})
}

// endTurn ends a turn that has not ended yet. hearing.mu is held.
func (l *listeners) endTurn(t *turn) {
	if t != nil && l.turn == t {
		l.turn = nil
		close(t.over)
	}
}

// endTurnOf ends the turn of a node, which has stored something.
func (h *hearing) endTurnOf(key engines.Key, node string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if l := h.rooms[key]; l != nil && l.turn != nil && l.turn.node == node {
		l.endTurn(l.turn)
	}
}

// note notes whether this node was beaten in a room, by a try that took so long. It returns
// how long a turn it is to ask for; 0 for none.
func (h *hearing) note(key engines.Key, beaten bool, took time.Duration) (need time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.rooms[key]
	if l == nil {
		return 0
	}
	switch {
	case beaten:
		l.beaten++
	case l.need > 0: // it will be as before
		l.beaten = patientTries - 1
	default:
		l.beaten = 0
	}
	l.need = 0
	if l.beaten >= patientTries {
		l.need = boundTurn(triesOfTurn * took)
	}
	return l.need
}

func boundTurn(d time.Duration) time.Duration { return min(max(d, shortestTurn), longestTurn) }

// askForTurn asks the other nodes for a turn.
func (e *Engine) askForTurn(key engines.Key, need time.Duration) {
	subject, err := subjectOf(e.prefix+"."+turnToken+".", key)
	if err != nil {
		return
	}
	_ = e.link.conn().Publish(subject, fmt.Appendf(nil, "%s %d", e.node, need.Microseconds())) // or it is beaten again
}

// hearTurn reads what askForTurn has said.
func (e *Engine) hearTurn(key engines.Key, said []byte) {
	var node string
	var micros int64
	if _, err := fmt.Sscanf(string(said), "%s %d", &node, &micros); err == nil {
		e.hearing.giveTurn(key, node, boundTurn(time.Duration(min(micros, longestTurn.Microseconds()))*time.Microsecond))
	}
}
