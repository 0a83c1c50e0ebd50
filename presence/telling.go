package presence

import "time"

const (
	// Pace is the least time between two ticks.
	Pace = 100 * time.Millisecond
	// CrowdPace is the least time between two changes of how many there are, when they are
	// not listed.
	CrowdPace = time.Second

	// MaxListed is how many people are listed.
	MaxListed = 200
	// maxList is how large a list may be, in bytes: names may be long.
	maxList = 64 << 10
)

// telling is what those in a room have been told, and what not.
type telling struct {
	listed  bool            // by name; else only their number is told
	changed map[Person]bool // people that have come or left since, while listed; nil if there are none
	count   int             // how many there were
	at      time.Time       // when all were told
	ticked  time.Time       // when anybody was
	greets  bool            // somebody has come who is to be told the state
	anew    bool            // all are to be told the state
}

// Tick is what is to be told at a time.
type Tick struct {
	State  News // for those who have come, and in place of changes that have not been taken
	All    bool // the others are told something
	Change News // which is this; it may be the same as State
}

// Greet has the next tick tell the state to somebody who has come.
func (r *Roster) Greet() { r.greets = true }

// Restate has all told the state, and the other nodes who is here: nobody knows what they have
// been told.
func (r *Roster) Restate() { r.anew, r.untold = true, true }

// note notes that a person has come or left.
func (r *Roster) note(p Person) {
	switch {
	case !r.listed: // the number tells it
	case r.changed[p]:
		delete(r.changed, p)
	default:
		if r.changed == nil {
			r.changed = make(map[Person]bool)
		}
		r.changed[p] = true
	}
}

// fits reports whether the people are so few that they can be listed.
func (r *Roster) fits() bool {
	return r.Count() <= MaxListed && r.size <= maxList && r.crowds == 0
}

// hasNews reports whether those who have been told are to be told more.
func (r *Roster) hasNews() bool {
	if r.listed {
		return r.anew || len(r.changed) > 0 || !r.fits()
	}
	return r.anew || r.Count() != r.count || r.fits()
}

// nextChange returns when those who have been told may be told more.
func (r *Roster) nextChange() time.Time {
	if r.listed {
		return r.at.Add(Pace)
	}
	return r.at.Add(CrowdPace)
}

// nextTick returns when Tick has something to tell; zero if never.
func (r *Roster) nextTick() (at time.Time) {
	switch {
	case r.greets:
		at = r.ticked.Add(Pace)
	case r.hasNews():
		at = r.nextChange()
	default:
		return time.Time{}
	}
	if at.Before(r.answered) {
		return r.answered
	}
	return at
}

// Tick returns what is to be told now, if there is anything.
func (r *Roster) Tick(now time.Time) (t Tick, ok bool) {
	if at := r.nextTick(); at.IsZero() || at.After(now) {
		return Tick{}, false
	}
	r.ticked, r.greets = now, false
	if t.All = r.hasNews() && !r.nextChange().After(now); t.All {
		t.Change = r.change()
		r.listed, r.changed, r.count, r.at, r.anew = r.fits(), nil, r.Count(), now, false
	}
	t.State = r.told()
	if t.Change.isState {
		t.Change = t.State
	}
	return t, true
}

// change returns what has changed since all were told.
func (r *Roster) change() News {
	if r.anew || r.fits() != r.listed {
		return News{isState: true}
	}
	n := News{Count: r.Count()}
	for p := range r.changed {
		if s, there := r.people[p]; there {
			n.joined = append(n.joined, s.arrival())
		} else {
			n.left = append(n.left, p)
		}
	}
	return n
}

// told returns the state that the next change follows up on.
func (r *Roster) told() News {
	if !r.listed {
		return News{isState: true, Count: r.count}
	}
	return r.State() // all have just been told what has changed: Pace is for both
}

// State returns who is there now.
func (r *Roster) State() News {
	n := News{isState: true, Count: r.Count()}
	if !r.fits() {
		return n
	}
	n.joined = make([]arrival, 0, len(r.people))
	for _, s := range r.people {
		n.joined = append(n.joined, s.arrival())
	}
	return n
}
