package presence

import (
	"cmp"
	"encoding/json"
	"slices"
)

// News is who is in a room, or what has changed about that. It is valid until the roster is
// changed.
type News struct {
	Count int // how many people are there

	isState bool
	joined  []*stay  // of a state: all that are there; nil if they are not listed
	left    []Person // of a change
}

// Name is the value of the field event: "state" or "change".
func (n News) Name() string {
	if n.isState {
		return "state"
	}
	return "change"
}

func (n News) sort() {
	slices.SortFunc(n.joined, func(a, b *stay) int { return cmp.Compare(a.place, b.place) })
	slices.SortFunc(n.left, func(a, b Person) int { return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.ID, b.ID)) })
}

// JSON returns the other fields, as an object.
func (n News) JSON() []byte {
	said := struct {
		Count   int     `json:"count"`
		Members []entry `json:"members,omitzero"`
		Joined  []entry `json:"joined,omitempty"`
		Left    []entry `json:"left,omitempty"`
	}{Count: n.Count}
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
func entries(people []*stay) (all []entry) {
	if people != nil {
		all = make([]entry, 0, len(people))
	}
	for _, s := range people {
		e := entry{User: s.person.User, ID: s.person.ID}
		if s.person.User != "" {
			e.Connections = &s.connections
		}
		all = append(all, e)
	}
	return all
}
