package room

import (
	"encoding/json"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/route"
)

// alertEvent is what events are called that tell of alerts; see apps.Alerter.
const alertEvent = "alert"

// countAlert counts an event that has been told outside, if an alert begins with it.
func countAlert(rt *route.Route, e apps.Event) {
	if e.Name != alertEvent {
		return
	}
	said := struct {
		Alert  string
		Raised *bool
	}{}
	_ = json.Unmarshal(e.Body.JSON, &said) // what is not to be read has no name
	if said.Raised == nil || *said.Raised {
		rt.Tally.Alert(said.Alert)
	}
}
