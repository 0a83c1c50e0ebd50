package room

import "time"

// How long publishers wait for a member that is behind: it earns patience by
// taking bytes, and pays with it while they wait.
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
	since  time.Time // of what the wait has been paid up to
	taken  int64     // bytes up to which the client has earned
}

// begin is for a wait that has just begun.
func (a *patience) begin(place int, now time.Time) { a.waited, a.place, a.since = true, place, now }

// end is for a wait that is over.
func (a *patience) end(now time.Time) {
	a.pay(now)
	a.waited = false
}

// look brings the patience up to date. taken is what socket.Conn.Lag tells: if it is
// negative, nobody knows what the client had taken before, and all counts that it
// takes from now on.
func (a *patience) look(taken int64, now time.Time) {
	if !a.looked {
		a.looked, a.left, a.taken = true, firstPatience, unread
		if taken < 0 {
			a.taken = taken
		}
	}
	a.pay(now)
	if taken > a.taken {
		a.earn(taken - a.taken)
		a.taken = taken
	}
}

// pay is for the time that publishers have waited. Whoever looks may have asked
// for the time before somebody else did.
func (a *patience) pay(now time.Time) {
	if wait := now.Sub(a.since); wait > 0 {
		a.left = max(a.left-wait, 0)
		a.since = now
	}
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
