package room

import (
	"encoding/json"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/presence"
	"github.com/caddyws/caddy-websocket/replica"
)

// The names of the news that somebody has come into a room, or has left it.
const (
	cameIn  = "joined"
	wentOut = "left"
)

// noteLeft has it told outside that people have left. mu is held.
func (r *Room) noteLeft(all []presence.Person) {
	for i, who := range all {
		r.noteComing(wentOut, who, r.people.roster.Count()+len(all)-i-1)
	}
}

// noteComing has it told outside that a person has come or left, and how many there are then.
// Nothing of it is stored. Once everybody has to go it is not told. mu is held.
func (r *Room) noteComing(name string, who presence.Person, count int) {
	if r.people.ending {
		return
	}
	body, _ := json.Marshal(struct { // which always can be
		User  string `json:"user"`
		Count int    `json:"count"`
	}{who.User, count})
	if r.outside == nil {
		r.outside = &outside{held: newHeldEvents()}
	}
	o := r.outside
	u := untold{coming: true, id: who.ID, event: replica.Event{Event: apps.Event{Name: name, Body: apps.Body{JSON: body}}}}
	if r.shared.untold.Load() > maxUntold/2 || o.add(r.shared, u, false) == 0 { // the rest is for events of apps
		r.shared.noteDropped(r.DisplayName(), 1)
		return
	}
	if !o.taken {
		o.taken = true
		r.Retain()
		r.shared.HasNews(r)
	}
}
