package hub_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/route"
)

// forgetful is an engine that does not know which rooms are due when it is asked for a
// number of them.
type forgetful struct {
	*lasting
	mu     sync.Mutex
	n      int           // guarded by mu
	panics bool          // guarded by mu
	asked  int           // guarded by mu
	hold   chan struct{} // guarded by mu; nil, or what an answer about the next room waits for
}

func (e *forgetful) set(n int, panics bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.n, e.panics = n, panics
}

func (e *forgetful) Due(ctx context.Context, before time.Time, after engines.Wake, n int) ([]engines.Wake, error) {
	e.mu.Lock()
	fails, panics, hold := e.n == n, e.panics, e.hold
	e.asked++
	e.mu.Unlock()
	switch {
	case fails && panics:
		panic("away")
	case fails:
		return nil, errors.New("away")
	}
	wakes, err := e.lasting.Due(ctx, before, after, n)
	if n == 1 && hold != nil {
		<-hold
	}
	return wakes, err
}

// An engine that fails to say which rooms are due is asked again, ever more rarely; one
// that fails to say which come next, or which are to be looked at after a reload, at most
// once a second. Once it knows all is as ever.
func TestAnEngineThatDoesNotKnowWhatIsDue(t *testing.T) {
	for _, n := range []int{1000, 1, 100} {
		for _, panics := range []bool{false, true} {
			t.Run(fmt.Sprint(n, " ", panics), func(t *testing.T) {
				inPolls(t, func(t *testing.T, p *pollHouse) {
					engine := &forgetful{lasting: p.engine.(*lasting)}
					p.engine = engine
					rt := pollRoute("poll", hourly)
					p.start(rt)
					defer p.stop()
					p.vote(rt, "room")
					for range 2 { // and the second time as the first
						time.Sleep(time.Minute)
						engine.set(n, panics)
						p.reload(pollRoute("poll", hourly))
						time.Sleep(200 * time.Second)
						pauses := p.pauses()
						if !slices.Equal(pauses, []int{1, 2, 4, 8, 16, 32, 60, 60}) {
							t.Errorf("asked again after %v s", pauses)
						}
						engine.set(0, false)
					}
					time.Sleep(time.Hour - 520*time.Second - time.Millisecond)
					p.expect("room", "1")
					time.Sleep(2 * time.Millisecond)
					p.expect("room", "1 closed after 1h0m0s")
					if n := p.logs.FilterMessage(dueFails).Len(); n > 0 {
						t.Errorf("%d more lines", n)
					}
				})
			})
		}
	}
}

const dueFails = "looking for rooms to wake"

// pauses returns the seconds between two lines about the engine, of which it takes all.
// Where there are two reasons to ask at once there may be two lines.
func (p *pollHouse) pauses() (all []int) {
	synctest.Wait()
	lines := p.logs.FilterMessage(dueFails).All()
	for i := 1; i < len(lines); i++ {
		if pause := lines[i].Time.Sub(lines[i-1].Time); pause > 0 {
			all = append(all, int(pause/time.Second))
		}
	}
	p.logs.TakeAll()
	return all
}

// asks returns how often the engine was asked since the last call.
func (e *forgetful) asks() (n int) {
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	n, e.asked = e.asked, 0
	return n
}

// When a room leaves memory the engine is asked only if that is to be woken before all
// others.
func TestRoomsThatAreNotWokenNextCostNothing(t *testing.T) {
	inPolls(t, func(t *testing.T, p *pollHouse) {
		engine := &forgetful{lasting: p.engine.(*lasting)}
		p.engine = engine
		never, late, early := pollRoute("never", pollApp{}), pollRoute("late", pollApp{lasts: 2 * time.Minute}), pollRoute("early", pollApp{lasts: time.Minute})
		p.start(never, late, early)
		defer p.stop()
		time.Sleep(time.Second)
		engine.asks()
		for _, test := range []struct {
			route *route.Route
			room  string
			asks  bool
		}{{never, "1", false}, {late, "2", true}, {never, "3", false}, {early, "4", true}, {late, "5", false}, {never, "6", false}} {
			p.vote(test.route, test.room)
			if n := engine.asks(); n > 0 != test.asks {
				t.Errorf("room %s: asked %d times", test.room, n)
			}
		}
	})
}

// After a reload that tells another time all rooms follow, however many there are.
func TestManyRoomsAreLookedAtAfterAReload(t *testing.T) {
	inPolls(t, func(t *testing.T, p *pollHouse) {
		rt, soon := pollRoute("poll", hourly), pollRoute("poll", pollApp{lasts: 10 * time.Minute})
		p.start(rt)
		defer p.stop()
		const rooms = 250
		for i := range rooms {
			p.vote(rt, fmt.Sprint(i))
		}
		time.Sleep(time.Minute)
		p.reload(soon)
		time.Sleep(9*time.Minute + time.Millisecond)
		for i := range rooms {
			p.expect(fmt.Sprint(i), "1 closed after 10m0s")
		}
	})
}

// A room that leaves memory while the engine says that no room comes next is woken all the
// same.
func TestARoomThatLeavesWhileTheEngineIsAsked(t *testing.T) {
	inPolls(t, func(t *testing.T, p *pollHouse) {
		engine := &forgetful{lasting: p.engine.(*lasting)}
		p.engine = engine
		rt := pollRoute("poll", hourly)
		p.start(rt)
		defer p.stop()
		p.vote(rt, "first")
		time.Sleep(time.Hour - time.Second)
		hold := make(chan struct{})
		engine.mu.Lock()
		engine.hold = hold
		engine.mu.Unlock()
		time.Sleep(2 * time.Second) // the first one is woken, and the next asked for
		p.vote(rt, "second")
		synctest.Wait()
		close(hold)
		time.Sleep(time.Hour + time.Millisecond)
		p.expect("second", "1 closed after 1h0m0s")
	})
}
