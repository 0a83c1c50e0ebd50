package presence

import (
	"cmp"
	"encoding/json"
	"slices"
)

// News is who is in a room, or what has changed about that. It is a copy: it may be read
// while the roster changes.
type News struct {
	Count int // how many people are there

	isState bool
	joined  []arrival // of a state: all that are there; nil if they are not listed
	left    []Person  // of a change
}

// arrival is a person that is there.
type arrival struct {
	person      Person
	place       uint64 // in the order in which people have come
	connections int
}

func (s *stay) arrival() arrival { return arrival{s.person, s.place, s.connections} }

// Name is the value of the field event: "state" or "change".
func (n News) Name() string {
	if n.isState {
		return "state"
	}
	return "change"
}

func (n News) sort() {
	slices.SortFunc(n.joined, func(a, b arrival) int { return cmp.Compare(a.place, b.place) })
	slices.SortFunc(n.left, func(a, b Person) int { return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.ID, b.ID)) })
}

// JSON returns the other fields, as an object. It must not be called twice at the same time.
func (n News) JSON() []byte {
	said := struct {
		Count   int     `json:"count"`
		Members []entry `json:"members,omitzero"`
		Joined  []entry `json:"joined,omitempty"`
		Left    []entry `json:"left,omitempty"`
	}{Count: n.Count}
	n.sort()
	for _, p := range n.left {
		said.Left = append(said.Left, entry{User: p.User, ID: p.ID})
	}
	there := entries(n.joined)
	if n.isState {
		said.Members = there
	} else {
		said.Joined = there
	}
	p, _ := json.Marshal(said) // of texts and numbers, which always can be
	return p
}

// entry is a person as it is told.
type entry struct {
	User        string `json:"user,omitempty"`
	ID          string `json:"id,omitempty"`
	Connections *int   `json:"connections,omitempty"` // of a user that is there
}

// entries returns people as they are told; nil if they are not.
func entries(people []arrival) (all []entry) {
	if people != nil {
		all = make([]entry, 0, len(people))
	}
	for i := range people {
		e := entry{User: people[i].person.User, ID: people[i].person.ID}
		if e.User != "" {
			e.Connections = &people[i].connections
		}
		all = append(all, e)
	}
	return all
}
