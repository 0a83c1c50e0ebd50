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

// noteComing has it told outside that a person has come or left. Nothing of it is stored. mu
// is held.
func (r *Room) noteComing(name string, who presence.Person) {
	body, _ := json.Marshal(struct { // which always can be
		User  string `json:"user"`
		Count int    `json:"count"`
	}{who.User, r.people.roster.Count()})
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
