package room

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/presence"
)

// lists is an engine that notes what others are told of people. It may keep a list for a while, or
// lose it.
type lists struct {
	engines.Shared
	keeps atomic.Bool  // the next list takes a second
	fails atomic.Int64 // so many are lost

	mu    sync.Mutex
	heard []presence.List
}

func (e *lists) Publish(_ context.Context, _ engines.Key, p []byte) error {
	if e.keeps.Swap(false) {
		time.Sleep(time.Second)
	}
	if e.fails.Add(-1) >= 0 {
		return errDeaf
	}
	l, err := presence.ParseList(p)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, l)
	return err
}

// last returns what others were told last, and how often they were told since the last time.
func (e *lists) last() (l string, times int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	times = len(e.heard)
	if times == 0 {
		return "nothing", 0
	}
	text, _ := strings.CutPrefix(string(e.heard[times-1].Bytes(1<<10)), "p")
	e.heard = nil
	return text, times
}

// newSharedHall is a hall that other processes have, too.
func newSharedHall() (*hall, *lists) {
	h, e := newHall(time.Hour), new(lists)
	h.shared.Sharing, h.shared.Node = true, "here"
	h.shared.SetOthers(e, 1<<10)
	return h, e
}

// However long the end takes, others are told who is still here, and in the end, at once, who
// may come to them. Those here are told nothing more.
func TestOthersAreToldOfPeopleUntilTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, others := newSharedHall()
		ann, guest := h.enter(t, "ann"), h.enter(t, "")
		told := len(ann.told)
		h.EndPeople(false)
		pass(time.Minute)
		both := fmt.Sprintf(`{"node":"here","people":[{"user":"ann","connections":1},{"id":%q,"connections":1}]}`, guest.member.ID())
		l, times := others.last()
		if sorted(l) != sorted(both) || times < int(time.Minute/presence.Renewal) {
			t.Errorf("others are told %d times, last %s", times, l)
		}
		leave(guest)
		if l, _ := others.last(); l != `{"node":"here","people":[{"user":"ann","connections":1}]}` {
			t.Errorf("when the guest has left others are told %s", l)
		}
		leave(ann)
		if l, _ := others.last(); l != `{"node":"here","people":[{"user":"ann","connections":0}]}` {
			t.Errorf("in the end others are told %s", l)
		}
		if len(ann.told) != told || !h.Retire() {
			t.Errorf("ann is told %q; or the room is still in use", ann.told[told:])
		}
	})
}

// When the last has left, and the others could not be told, they are told later. A room of which
// nobody can be told for good does not stay.
func TestOthersAreToldThatTheLastHasLeft(t *testing.T) {
	for fails, want := range map[int64]string{0: `{"node":"here"}`, 1: `{"node":"here","asks":true}`, 1000: "nothing"} {
		synctest.Test(t, func(t *testing.T) {
			h, others := newSharedHall()
			guest := h.enter(t, "")
			others.last()
			others.fails.Store(fails)
			leave(guest)
			if isTold := fails == 0; h.HasPeople() == isTold {
				t.Errorf("with %d losses people are there: %t", fails, h.HasPeople())
			}
			pass(presence.Lifetime + presence.Renewal)
			if l, _ := others.last(); l != want || h.HasPeople() || !h.Retire() {
				t.Errorf("with %d losses others are told %s; people are there: %t", fails, l, h.HasPeople())
			}
		})
	}
}

func sorted(list string) string {
	c := strings.Split(list, "")
	slices.Sort(c)
	return strings.Join(c, "")
}

// A list that is on its way when everybody has gone does not come behind the farewell.
func TestTheFarewellIsTheLastThatOthersAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, others := newSharedHall()
		ann := h.enter(t, "ann")
		others.keeps.Store(true)
		pass(presence.Renewal) // a list is on its way now
		h.EndPeople(false)
		leave(ann)
		pass(time.Second)
		if l, _ := others.last(); l != `{"node":"here","people":[{"user":"ann","connections":0}]}` || others.keeps.Load() {
			t.Errorf("in the end others are told %s", l)
		}
	})
}

// Users whose grace goes on when the end begins may go on with another process.
func TestTheFarewellOfARoomThatWaitsForUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, others := newSharedHall()
		leave(h.enter(t, "ann"))
		others.last()
		h.EndPeople(false)
		synctest.Wait()
		if l, _ := others.last(); l != `{"node":"here","people":[{"user":"ann","connections":0}]}` || !h.Retire() {
			t.Errorf("in the end others are told %s; or the room is still in use", l)
		}
	})
}
