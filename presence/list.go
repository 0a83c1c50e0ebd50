package presence

import (
	"encoding/json"
	"errors"
)

// List is what a node tells the others of the people that are there.
type List struct {
	Node   string  `json:"node"`
	People []entry `json:"people,omitempty"` // each once
	Count  int     `json:"count,omitempty"`  // how many there are, if they are too many for a list
	Asks   bool    `json:"asks,omitempty"`   // the others are to tell, too
}

// listFormat is the first byte of a list on its way. Messages on the same way begin with the
// number of their format.
const listFormat = 'p'

// errList reports that other bytes have come than were sent.
var errList = errors.New("a list of people is damaged, or of another version")

func (l *List) add(p Person, connections int) {
	l.People = append(l.People, entry{User: p.User, ID: p.ID, Connections: &connections})
}

// node returns what the list says.
func (l *List) node() *node {
	n := &node{count: l.Count}
	if n.count > 0 || len(l.People) == 0 {
		return n
	}
	n.people = make(map[Person]int, len(l.People))
	for _, e := range l.People {
		connections := 0
		if e.Connections != nil {
			connections = *e.Connections
		}
		n.people[Person{User: e.User, ID: e.ID}] = connections
	}
	return n
}

// Bytes returns the list on its way, in at most so many bytes: else it says only how many there
// are.
func (l List) Bytes(most int) []byte {
	p := l.bytes()
	if len(p) > most {
		l.People, l.Count = nil, len(l.People)
		p = l.bytes()
	}
	return p
}

func (l List) bytes() []byte {
	p, _ := json.Marshal(l) // of texts and numbers, which always can be
	return append([]byte{listFormat}, p...)
}

// IsList reports whether what has come on the way of messages is a list.
func IsList(p []byte) bool { return len(p) > 0 && p[0] == listFormat }

// ParseList reads a list.
func ParseList(p []byte) (l List, err error) {
	if !IsList(p) || json.Unmarshal(p[1:], &l) != nil || l.Node == "" || l.Count < 0 || len(l.People) > MaxListed {
		return List{}, errList
	}
	for _, e := range l.People {
		if (e.User == "") == (e.ID == "") || e.Connections == nil || *e.Connections < 0 {
			return List{}, errList
		}
	}
	return l, nil
}
