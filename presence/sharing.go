package presence

import (
	"math/rand/v2"
	"time"
)

// Other nodes have people in the room, too. Each tells the others by itself who is here: as a
// whole, whenever that has changed, and again and again. Who has not been heard of for a while
// is gone, with all its people. So nothing is stored, and what is lost is made up for.

const (
	// Renewal is after how long others are told again, at most: at least three quarters of it,
	// so that not all rooms are told of at once. A connection that loses everything has to be
	// noticed, and replaced, within Lifetime-Renewal of when it begins, or people leave and come
	// back who were there all the time.
	Renewal = 2500 * time.Millisecond
	// Lifetime is how long a node is known that is not heard of.
	Lifetime = 10 * time.Second
	// AnswerTime is how long others are waited for that were asked first: so long nobody is told
	// anything here. They answer within Pace.
	AnswerTime = 300 * time.Millisecond
)

// sharing is what other nodes have told, and are to be told.
type sharing struct {
	self  string // names this node; empty: there are no others
	nodes map[string]*node

	unlisted int // people of nodes that do not list them; one may be on several
	crowds   int // such nodes

	ours      int  // people that are here
	untold    bool // the others are to be told of them
	asked     bool // by one of them
	asks      bool // the others are to tell, too
	published time.Time
	known     time.Time     // until when the others may know people of this node
	renewal   time.Duration // since then, after which the others are told again
	heard     bool          // of another one, since the last call of Unheard
	answered  time.Time     // when the others have answered
}

// node is another one, as it was last heard of.
type node struct {
	people map[Person]int // and their connections; nil if they are not listed
	count  int            // of them, if they are not listed
	until  time.Time
}

// Share has the roster told and heard by other nodes, among which this one has a name.
func (r *Roster) Share(self string, now time.Time) {
	r.self, r.nodes, r.asks, r.answered = self, make(map[string]*node), true, now.Add(AnswerTime)
}

// nextPublish returns when the others are to be told; zero if never.
func (r *Roster) nextPublish() time.Time {
	pace := Pace
	if r.ours > MaxListed && !r.asked {
		pace = CrowdPace
	}
	switch {
	case r.self == "":
	case r.asks, r.asked, r.untold:
		return r.published.Add(pace)
	case r.ours > 0:
		return r.published.Add(r.renewal)
	}
	return time.Time{}
}

// IsDone reports whether nobody is here, and the others know: they have been told, or have
// not heard of anybody here for so long that they know of nobody.
func (r *Roster) IsDone(now time.Time) bool {
	if r.ours > 0 || r.self == "" {
		return r.ours == 0
	}
	return !r.asked && (!r.untold || !r.known.After(now))
}

// Publish returns what the others are to be told now, if there is anything.
func (r *Roster) Publish(now time.Time) (l List, ok bool) {
	if at := r.nextPublish(); at.IsZero() || at.After(now) {
		return List{}, false
	}
	l = r.here()
	l.Asks = r.asks
	r.published, r.untold, r.asked, r.asks = now, false, false, false
	if r.ours > 0 {
		r.known = now.Add(Lifetime)
	}
	r.renewal = Renewal - rand.N(Renewal/4) //nolint:gosec // not a secret
	return l, true
}

// Unheard notes that the others could not be told. If they are not heard either, those that are
// known stay so, and are asked when they can be reached.
func (r *Roster) Unheard(now time.Time) {
	r.untold, r.asks, r.answered = true, true, time.Time{}
	if !r.published.IsZero() { // nobody has called Ask meanwhile
		r.published = now.Add(Renewal - Pace) // which is when it is tried again
	}
	if r.heard {
		r.heard = false
		return
	}
	for _, n := range r.nodes {
		n.until = now.Add(2 * Lifetime)
	}
}

// Ask has the others told, and asked, at once: what was told lately may be lost.
func (r *Roster) Ask() {
	if r.self != "" {
		r.asks, r.published = true, time.Time{}
	}
}

// Farewell returns what the others are told when this node has ended, and nobody is connected to
// it any more: its users may come to them.
func (r *Roster) Farewell() List {
	l := List{Node: r.self}
	if r.ours > MaxListed {
		return l
	}
	for _, s := range r.people {
		if s.isHere() && s.person.returns() {
			l.add(s.person, 0)
		}
	}
	return l
}

// here returns the people that are here.
func (r *Roster) here() List {
	l := List{Node: r.self, Count: r.ours}
	if r.ours > MaxListed {
		return l
	}
	l.Count = 0
	for _, s := range r.people {
		if s.isHere() {
			l.add(s.person, s.here)
		}
	}
	return l
}

// Hear takes what another node tells.
func (r *Roster) Hear(l List, now time.Time) {
	if r.self == "" || l.Node == r.self {
		return
	}
	r.heard, r.asked = true, r.asked || l.Asks
	before := r.nodes[l.Node]
	if before == nil {
		before = new(node)
	}
	n := l.node()
	for p, connections := range n.people {
		s := r.meet(p)
		s.nodes++
		s.connections += connections
	}
	r.countUnlisted(n, 1)
	r.nodes[l.Node] = n
	n.until = now.Add(Lifetime)
	r.drop(before)
	if n.isEmpty() {
		delete(r.nodes, l.Node)
	}
}

// drop takes back what a node has told.
func (r *Roster) drop(n *node) {
	r.revision++
	for p, connections := range n.people {
		s := r.people[p]
		s.nodes--
		s.connections -= connections
		r.part(s)
	}
	r.countUnlisted(n, -1)
}

// countUnlisted adds the people of a node that does not list them, or takes them back.
func (r *Roster) countUnlisted(n *node, sign int) {
	if n.count > 0 {
		r.crowds += sign
		r.unlisted += sign * n.count
	}
}

// expireNodes drops the nodes that have not been heard of.
func (r *Roster) expireNodes(now time.Time) {
	for name, n := range r.nodes {
		if !n.until.After(now) {
			delete(r.nodes, name)
			r.drop(n)
		}
	}
}

func (n *node) isEmpty() bool { return len(n.people) == 0 && n.count == 0 }
