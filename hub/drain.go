package hub

import (
	"cmp"
	"slices"
	"time"

	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// leaving is a member that is sent away, and what it is told.
type leaving struct {
	member *room.Member
	route.CloseReason
}

// maxPause is the longest pause between two members: few members are sent
// away faster than the limits allow.
const maxPause = 10 * time.Millisecond

// drain closes members as drainWithin does, over the time that the limits give.
func (h *Hub) drain(gone []leaving, end <-chan struct{}) {
	h.drainWithin(h.limits.Load().Drain, gone, end)
}

// drainWithin closes members one after another, spread evenly over a time, so
// that clients that come back at once do not all come together. It ends early when the
// channel is closed.
func (h *Hub) drainWithin(drain time.Duration, gone []leaving, end <-chan struct{}) {
	if len(gone) == 0 {
		return
	}
	streamsLast(gone)
	pause := min(drain/time.Duration(len(gone)), maxPause)
	start := time.Now()
	for i, d := range gone {
		if !sleepUntil(start.Add(time.Duration(i)*pause), end) {
			return
		}
		d.member.Close(d.Code, d.Reason)
	}
}

// SendBack is for members whose server ends. After wait it asks for them and closes them
// with 1012, so that they come back, spread over the time that the limits give, but
// at most over within.
func (h *Hub) SendBack(members func() []*room.Member, wait, within time.Duration) {
	h.goUnlessClosed(func() {
		if !sleepUntil(time.Now().Add(wait), h.closing) {
			return
		}
		var gone []leaving
		for _, m := range members() {
			gone = append(gone, leaving{m, route.CloseReason{Code: frames.ServiceRestart, Reason: "server restarts"}})
		}
		h.drainWithin(min(h.limits.Load().Drain, within), gone, h.closing)
	})
}

// streamsLast puts event streams after the others. A browser whose stream ends
// comes back after a few seconds, and gives up for good if it is told 503: the
// later it goes, the better.
func streamsLast(gone []leaving) {
	slices.SortStableFunc(gone, func(a, b leaving) int { return cmp.Compare(a.rank(), b.rank()) })
}

// rank is 1 for an event stream, else 0.
func (d leaving) rank() int {
	if d.member.Format().IsEvents() {
		return 1
	}
	return 0
}

// sleepUntil returns at the given time, or with false when the channel is closed.
func sleepUntil(at time.Time, end <-chan struct{}) bool {
	wait := time.Until(at)
	if wait <= 0 {
		return true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-end:
		return false
	}
}
