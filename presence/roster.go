package presence

import (
	"container/heap"
	"time"
)

// Roster is the people in a room, and what is still to be told of them. It is not safe for
// concurrent use.
type Roster struct {
	people  map[Person]*stay
	come    uint64 // how many have come so far
	size    int    // of a list of all
	leaving leaving
	telling
}

// stay is a person that is there.
type stay struct {
	person      Person
	place       uint64 // in the order in which people have come
	connections int
	until       time.Time // when its grace ends, if it has no connection
	index       int       // in Roster.leaving; outside -1
}

// NewRoster returns a roster of nobody.
func NewRoster() *Roster {
	return &Roster{people: make(map[Person]*stay), telling: telling{listed: true}}
}

// Count returns how many people are there.
func (r *Roster) Count() int { return len(r.people) }

// Join adds a connection of a person, and reports whether the person was not there.
func (r *Roster) Join(p Person) (came bool) {
	s, ok := r.people[p]
	if !ok {
		r.come++
		s = &stay{person: p, place: r.come, index: outside}
		r.people[p] = s
		r.size += p.size()
		r.note(p)
	}
	s.connections++
	if s.index != outside {
		heap.Remove(&r.leaving, s.index)
	}
	return !ok
}

// Leave takes a connection of a person back, and reports whether the person has left with it.
// With grace one that may come back is there until that has passed.
func (r *Roster) Leave(p Person, grace time.Duration, now time.Time) (left bool) {
	s := r.people[p]
	s.connections--
	switch {
	case s.connections > 0:
		return false
	case grace > 0 && p.returns():
		s.until = now.Add(grace)
		heap.Push(&r.leaving, s)
		return false
	}
	r.remove(s)
	return true
}

// Expire removes the people whose grace is over, and returns them.
func (r *Roster) Expire(now time.Time) (left []Person) {
	for len(r.leaving) > 0 && !r.leaving[0].until.After(now) {
		s := heap.Pop(&r.leaving).(*stay)
		r.remove(s)
		left = append(left, s.person)
	}
	return left
}

func (r *Roster) remove(s *stay) {
	delete(r.people, s.person)
	r.size -= s.person.size()
	r.note(s.person)
}

// Next returns when Expire or Tick has something to do, which may have been before; zero if
// never. Whatever else is done to the roster may make it earlier.
func (r *Roster) Next() (at time.Time) {
	at = r.nextTick()
	if len(r.leaving) > 0 && (at.IsZero() || r.leaving[0].until.Before(at)) {
		at = r.leaving[0].until
	}
	return at
}

// outside is the index of somebody who is not leaving.
const outside = -1

// leaving is people in their grace, as a heap: the first one's ends first.
type leaving []*stay

func (l leaving) Len() int           { return len(l) }
func (l leaving) Less(i, j int) bool { return l[i].until.Before(l[j].until) }

// Swap exchanges two of them.
func (l leaving) Swap(i, j int) {
	l[i], l[j] = l[j], l[i]
	l[i].index, l[j].index = i, j
}

// Push adds one.
func (l *leaving) Push(s any) {
	s.(*stay).index = len(*l)
	*l = append(*l, s.(*stay))
}

// Pop removes the last one.
func (l *leaving) Pop() any {
	last := len(*l) - 1
	s := (*l)[last]
	(*l)[last] = nil
	*l = (*l)[:last]
	s.index = outside
	return s
}
