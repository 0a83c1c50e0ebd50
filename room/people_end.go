package room

import (
	"context"
	"slices"
	"strings"

	"github.com/caddyws/caddy-websocket/presence"
)

// EndPeople ends the option presence, now that everybody has to go: nobody here is told anything
// more. Other processes are told who is here until nobody is connected any more, and then the
// last: who may come to them. If the process goes on with other rooms, moved, it is told
// outside that all have left; at its end nothing is told outside.
func (r *Room) EndPeople(moved bool) {
	if r.beginToEndPeople(moved) {
		r.Release()
	}
}

// beginToEndPeople reports whether the caller has to release the room.
func (r *Room) beginToEndPeople(moved bool) (release bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.people
	if p == nil || p.ending {
		return false
	}
	if moved {
		r.noteAllLeft(p)
	}
	p.ending, p.newcomers = true, nil
	p.parted = !r.shared.HasOthers()
	return r.goOnWithPeople()
}

// noteAllLeft has it told outside that all that are here have left. mu is held.
func (r *Room) noteAllLeft(p *people) {
	all := p.roster.HereNow()
	slices.SortFunc(all, func(a, b presence.Person) int { return strings.Compare(a.User+a.ID, b.User+b.ID) })
	for i, who := range all {
		r.noteComing(wentOut, who, p.roster.Count()-i-1)
	}
}

// sayFarewell tells other processes the last, also if it is time to give up.
func (r *Room) sayFarewell(p *people, l presence.List) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.shared.Context), p.patience())
	defer cancel()
	_ = r.publishPeople(ctx, l) // else they find out
	r.mu.Lock()
	defer r.mu.Unlock()
	p.parted = true
}
