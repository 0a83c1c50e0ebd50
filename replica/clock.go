package replica

import (
	"math"
	"time"
)

// roomClock is the time of a room, which never runs back. Where the clock of the machine is
// behind, since it was set back or has been ahead for a while, or is another machine's,
// the room's goes on at half pace until the other has caught up.
type roomClock struct {
	at    time.Time // of the last operation
	since time.Time // when that was, by this process, whatever is done to the clock
}

// clockOf returns the clock of a room as it is stored. Where that is ahead of the
// machine's, the time since then counts too, as far as the machine can tell.
func clockOf(stored envelope, wall time.Time) roomClock {
	passed := time.Duration(0)
	if stored.lag > 0 {
		passed = max(wall.Sub(stored.at.Add(-stored.lag)), 0)
	}
	return roomClock{stored.at, time.Now().Add(-passed)}
}

// now returns the time of the room when the machine's clock shows wall.
func (c roomClock) now(wall time.Time) time.Time {
	return later(wall.Round(0).UTC(), c.at.Add(time.Since(c.since)/2))
}

// until returns how long it takes, if no clock is set, until the room's shows t: 0 if it
// does.
func (c roomClock) until(t, wall time.Time) time.Duration {
	left := min(t.Sub(c.now(wall)), math.MaxInt64/2)
	return max(min(t.Sub(wall), 2*left), 0)
}
