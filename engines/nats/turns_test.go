package nats

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
)

// contend swaps one room again and again, as replicas do, until ctx ends.
func contend(ctx context.Context, t *testing.T, e *Engine, won *atomic.Int64) {
	var rev uint64
	for ctx.Err() == nil {
		now, err := e.Swap(ctx, key(1), rev, value("x"))
		if err == nil {
			rev = now
			won.Add(1)
			continue
		}
		if !errors.Is(err, engines.ErrConflict) {
			if ctx.Err() == nil {
				t.Error(err)
			}
			return
		}
		if _, rev, err = e.Load(ctx, key(1)); err != nil && !errors.Is(err, engines.ErrNotFound) && ctx.Err() == nil {
			t.Error(err)
			return
		}
	}
}

// A node 5 ms away from the servers gets its turn in a room that two near ones change without
// a pause.
func TestFarNodesGetTheirTurn(t *testing.T) {
	const wins, most = 20, 1500 // of the far one, and of the near ones for each of these; many thousands without turns
	s := startServer(t, serverOptions(t))
	p := newProxy(t, s.Addr().String())
	p.set(func() { p.delay = 5 * time.Millisecond })
	bucket := newBucket()
	var all []*Engine
	for _, url := range []string{p.url(), s.ClientURL(), s.ClientURL()} {
		e := openEngine(t, &Opener{URLs: []string{url}, Bucket: bucket})
		cancel, err := e.Subscribe(bounded(t), key(1), func(engines.Event) {})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cancel)
		all = append(all, e)
	}
	ctx, end := context.WithCancel(bounded(t))
	won := make([]atomic.Int64, len(all))
	var work sync.WaitGroup
	for i, e := range all {
		work.Go(func() { contend(ctx, t, e, &won[i]) })
	}
	eventually(t, "the far node has its turns", func() bool { return won[0].Load() >= wins })
	end()
	work.Wait()
	far, near := won[0].Load(), won[1].Load()+won[2].Load()
	t.Logf("far: %d, near: %d and %d", far, won[1].Load(), won[2].Load())
	if near > most*far {
		t.Errorf("the far node has won %d times, the near ones %d", far, near)
	}
}

// A node that has its turn and does not use it holds up the others for a moment only, and not
// after it has used it. Of two that ask the one that needs more is first.
func TestTurnsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHearing()
		h.rooms[key(1)] = &listeners{}
		ctx := bounded(t)
		for _, room := range []int{1, 2} {
			h.yield(ctx, key(room), 0)
		}
		h.giveTurn(key(2), "nobody", time.Hour)
		h.giveTurn(key(1), "far", longestTurn)
		first := h.turnOver(key(1))
		h.giveTurn(key(1), "near", longestTurn/2)
		h.endTurnOf(key(1), "near")
		if over := h.turnOver(key(1)); over == nil || over != first {
			t.Error("the one that needs more has lost its turn")
		}
		h.giveTurn(key(1), "farther", 2*longestTurn)
		receive(t, "the end of the first turn", first)
		h.yield(ctx, key(1), 0) // ends with the time of the turn
		if h.turnOver(key(1)) != nil {
			t.Error("the turn is not over")
		}
		h.giveTurn(key(1), "far", time.Hour)
		over := h.turnOver(key(1))
		h.endTurnOf(key(1), "far")
		receive(t, "the end of the turn", over)
		if ctx.Err() != nil {
			t.Error("turns last too long")
		}
	})
}

// What another node has changed in its turn is not tried to be changed from the state before:
// nothing is sent, and that is no defeat.
func TestAChangeThatComesTooLateIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHearing()
		e := &Engine{hearing: h, bucket: &bucket{rooms: "rooms."}, maxState: 10} // which can send nothing
		l := &listeners{told: 5, beaten: 1}
		h.rooms[key(1)] = l
		h.giveTurn(key(1), "near", longestTurn)
		outcome := make(chan error)
		go func() {
			_, err := e.Swap(t.Context(), key(1), 5, value("late"))
			outcome <- err
		}()
		synctest.Wait()
		h.know(key(1), 6)
		h.endTurnOf(key(1), "near")
		if err := <-outcome; !errors.Is(err, engines.ErrConflict) || l.beaten != 1 {
			t.Errorf("%v, beaten %d times", err, l.beaten)
		}
	})
}

// It is tried if the other node has not used its turn, if the room is to be created, or if
// what was told is of changes that are lost.
func TestAChangeInTimeIsSent(t *testing.T) {
	for name, test := range map[string]struct{ told, rev, meanwhile uint64 }{
		"unused": {5, 5, 5}, "seen": {5, 6, 6}, "created": {5, 0, 6}, "lost": {9, 5, 6},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHearing()
			h.rooms[key(1)] = &listeners{told: test.told}
			h.giveTurn(key(1), "near", longestTurn)
			late := make(chan bool)
			go func() { late <- h.yield(t.Context(), key(1), test.rev) }()
			synctest.Wait()
			h.know(key(1), test.meanwhile)
			if <-late {
				t.Errorf("%s: it is not tried", name)
			}
		})
	}
}

// A node asks when it has been beaten twice in a row, within bounds, and then leaves the room
// to one that needs more, only.
func TestNodesAskWhenTheyAreBeaten(t *testing.T) {
	h := newHearing()
	h.rooms[key(1)] = &listeners{}
	for _, test := range []struct{ took, want time.Duration }{
		{0, shortestTurn}, {10 * time.Millisecond, 10 * triesOfTurn * time.Millisecond}, {time.Hour, longestTurn},
	} {
		h.note(key(1), false, test.took) // and needs none
		for i := range patientTries + 1 {
			want := test.want
			if i+1 < patientTries {
				want = 0
			}
			if need := h.note(key(1), true, test.took); need != want {
				t.Errorf("it asks for %v, want %v", need, want)
			}
		}
		h.giveTurn(key(1), "other", test.want)
		if h.turnOver(key(1)) != nil {
			t.Error("it leaves the room to one that needs no more")
		}
		h.giveTurn(key(1), "farther", test.want+1)
		h.endTurnOf(key(1), "farther")
		if need := h.note(key(1), false, test.took); need != 0 {
			t.Errorf("it asks for %v after it has won", need)
		}
		if need := h.note(key(1), true, test.took); need != test.want {
			t.Errorf("it asks for %v when it is beaten again, want %v", need, test.want)
		}
		h.note(key(1), false, test.took)
	}
	if need := h.note(key(2), true, time.Hour); need != 0 {
		t.Errorf("it asks for %v in a room that nobody is in", need)
	}
}

// What is no request for a turn is passed over.
func TestTurnsOfNobody(t *testing.T) {
	s := startServer(t, serverOptions(t))
	e := openEngine(t, &Opener{URLs: []string{s.ClientURL()}, Bucket: newBucket()})
	subscribe(t, e, key(1))
	for _, said := range []string{"", "far", "far x", "far 99999999999999999999999"} {
		e.hearTurn(key(1), []byte(said))
		if e.hearing.turnOver(key(1)) != nil {
			t.Errorf("%q gives a turn", said)
		}
	}
	e.hearTurn(key(1), []byte("far -5"))
	e.hearing.yield(bounded(t), key(1), 0)
	swap(t, e, key(1), 0, value("x"))
}

// A node does not hear of what it has stored itself.
func TestOwnChangesAreNotTold(t *testing.T) {
	a, b := pair(t)
	own, others := subscribe(t, a, key(1)), subscribe(t, b, key(1))
	rev := swap(t, a, key(1), 0, value("x"))
	expectRev(t, others, rev)
	rev = swap(t, b, key(1), rev, value("y"))
	if event := receive(t, "the change of the other", own); event.Rev != rev {
		t.Errorf("told %+v, want revision %d", event, rev)
	}
}
