package presence

import (
	"container/heap"
	"time"
)

// Roster is the people in a room, and what is still to be told of them. It is not safe for
// concurrent use.
type Roster struct {
	people   map[Person]*stay
	come     uint64 // how many have come so far
	size     int    // of a list of all
	leaving  leaving
	revision uint64
	telling
	sharing
}

// stay is a person that is there.
type stay struct {
	person      Person
	place       uint64    // in the order in which people have come
	here        int       // connections of this node
	connections int       // of all nodes
	nodes       int       // other nodes that list it
	until       time.Time // when its grace ends here, if it has no connection
	index       int       // in Roster.leaving, or outside
}

// isHere reports whether the person is there as far as this node knows by itself.
func (s *stay) isHere() bool { return s.here > 0 || s.index != outside }

// NewRoster returns a roster of nobody.
func NewRoster() *Roster {
	return &Roster{people: make(map[Person]*stay), telling: telling{listed: true}}
}

// Count returns how many people are there.
func (r *Roster) Count() int { return len(r.people) + r.unlisted }

// Revision changes whenever State may have changed.
func (r *Roster) Revision() uint64 { return r.revision }

// Here returns how many people are there as far as this node knows by itself.
func (r *Roster) Here() int { return r.ours }

// HereNow returns the people that are here, in no order, those in their grace among them.
func (r *Roster) HereNow() (all []Person) {
	for _, s := range r.people {
		if s.isHere() {
			all = append(all, s.person)
		}
	}
	return all
}

// Connected reports whether anybody is here but those in their grace.
func (r *Roster) Connected() bool { return r.ours > len(r.leaving) }

// Join adds a connection of a person, and reports whether the person was not here.
func (r *Roster) Join(p Person) (came bool) {
	s := r.meet(p)
	if came = !s.isHere(); came {
		r.ours++
	}
	s.here++
	s.connections++
	if s.index != outside {
		heap.Remove(&r.leaving, s.index)
	}
	r.untold = true
	r.revision++
	return came
}

// meet returns the stay of a person, who has come if there is none.
func (r *Roster) meet(p Person) *stay {
	s, ok := r.people[p]
	if !ok {
		r.come++
		s = &stay{person: p, place: r.come, index: outside}
		r.people[p] = s
		r.size += p.size()
		r.note(p)
	}
	return s
}

// Leave takes a connection of a person back, and reports whether the person has left with it,
// as far as this node knows by itself. With grace one that may come back is here until that has
// passed.
func (r *Roster) Leave(p Person, grace time.Duration, now time.Time) (left bool) {
	s := r.people[p]
	s.here--
	s.connections--
	r.untold = true
	r.revision++
	switch {
	case s.here > 0:
		return false
	case grace > 0 && p.returns():
		s.until = now.Add(grace)
		heap.Push(&r.leaving, s)
		return false
	}
	r.leave(s)
	return true
}

// leave is for somebody who is not here any more.
func (r *Roster) leave(s *stay) {
	r.ours--
	r.untold = true
	r.revision++
	r.part(s)
}

// Expire removes the people whose grace is over, and returns them. It also removes those that are
// only on nodes that are gone.
func (r *Roster) Expire(now time.Time) (left []Person) {
	for len(r.leaving) > 0 && !r.leaving[0].until.After(now) {
		s := heap.Pop(&r.leaving).(*stay)
		r.leave(s)
		left = append(left, s.person)
	}
	r.expireNodes(now)
	return left
}

// EndGrace ends the grace of all that may come back, and returns those that have left with it.
func (r *Roster) EndGrace() (left []Person) {
	for len(r.leaving) > 0 {
		s := heap.Pop(&r.leaving).(*stay)
		r.leave(s)
		left = append(left, s.person)
	}
	return left
}

// part removes somebody who is not there any more, neither here nor elsewhere.
func (r *Roster) part(s *stay) {
	if s.isHere() || s.nodes > 0 {
		return
	}
	delete(r.people, s.person)
	r.size -= s.person.size()
	r.note(s.person)
}

// Next returns when Expire, Tick or Publish has something to do, which may have been before;
// zero if never. Whatever else is done to the roster may make it earlier.
func (r *Roster) Next() (at time.Time) {
	at = earlier(r.nextTick(), r.nextPublish())
	if len(r.leaving) > 0 {
		at = earlier(at, r.leaving[0].until)
	}
	for _, n := range r.nodes {
		at = earlier(at, n.until)
	}
	return at
}

// earlier returns the earlier time, where a zero one is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
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
