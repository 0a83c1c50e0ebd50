package room

import "time"

// How long publishers wait for a member that is behind: it earns patience by
// taking bytes, and pays with it while they wait because of it.
const (
	// firstPatience is what a member begins with: time enough for one that reads
	// to show it.
	firstPatience = 150 * time.Millisecond
	// mostPatience is the most that a member can have. One that stops reading is
	// waited for no longer; one that is not given a processor, or whose receive
	// window opens in large steps, has that much time.
	mostPatience = 500 * time.Millisecond
	// leastPatience is too little to begin a wait with.
	leastPatience = 5 * time.Millisecond
	// late is how much later than patience ends a look comes if the server has no
	// processor.
	late = 10 * time.Millisecond
	// readerPace is how many bytes a second a member has to take to be waited for
	// all the time. One that takes a hundredth of it is waited for a hundredth of
	// the time.
	readerPace = 256 << 10
	// unread is how much a kernel takes for a client that reads nothing (sysctl
	// net.ipv4.tcp_rmem): a member earns with what it takes beyond that.
	unread = 128 << 10
)

// patience is what is known of a member that is behind, or has been. It is not
// safe for concurrent use.
type patience struct {
	waited bool // publishers wait for the member
	place  int  // in backpressure.behind, while waited
	looked bool // patience and taken are known
	left   time.Duration
	since  time.Time     // of what the wait has been counted up to
	wait   time.Duration // what is counted and not paid
	taken  int64         // bytes up to which the client has earned
}

// begin is for a wait that has just begun.
func (a *patience) begin(place int, now time.Time) { a.waited, a.place, a.since = true, place, now }

// end is for a wait that is over. Whether the client is to blame is seen when it is
// looked at again.
func (a *patience) end(now time.Time) {
	a.count(now)
	a.waited = false
}

// look brings the patience up to date. taken and blocked are what socket.Conn.Lag
// tells: if taken is negative, nobody knows what the client had taken before, and all
// counts that it takes from now on.
func (a *patience) look(taken int64, blocked time.Duration, now time.Time) {
	if !a.looked {
		a.looked, a.left, a.taken = true, firstPatience, unread
		if taken < 0 {
			a.taken = taken
		}
	}
	a.count(now)
	a.pay(blocked)
	if taken > a.taken {
		a.earn(taken - a.taken)
		a.taken = taken
	}
}

// count is for the time that publishers have waited. Whoever looks may have asked
// for the time before somebody else did.
func (a *patience) count(now time.Time) {
	if wait := now.Sub(a.since); wait > 0 {
		a.wait += wait
		a.since = now
	}
}

// pay is for a wait during which what waits has waited for the client for so long, and
// otherwise for the server to write it. A look that comes late tells that the server
// had no processor, and hence little of the client: half of the patience stays.
func (a *patience) pay(blocked time.Duration) {
	wait := min(a.wait, blocked)
	if wait > a.left+late {
		wait = a.left / 2
	}
	a.left = max(a.left-wait, 0)
	a.wait = 0
}

// earn is for bytes that the client has taken.
func (a *patience) earn(bytes int64) {
	bytes = min(bytes, readerPace) // more would not fit
	a.left = min(a.left+time.Duration(bytes)*time.Second/readerPace, mostPatience)
}

// exhausted reports whether publishers should not wait for the member.
func (a *patience) exhausted() bool { return a.left < leastPatience }

// until is when the patience is exhausted, unless the client takes more.
func (a *patience) until() time.Time { return a.since.Add(a.left) }
