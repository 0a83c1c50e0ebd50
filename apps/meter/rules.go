package meter

import (
	"slices"

	"github.com/caddyws/caddy-websocket/aggregate"
)

// rules are what valid options come to. Immutable.
type rules struct {
	fields     fields
	counting   aggregate.Rules
	alerts     []Alert // by threshold
	thresholds []byte  // what the view says of them
	keyed      bool    // a reading must have a key
	claims     bool    // there are alerts for the connections of a key
}

func newRules(a *App) *rules {
	f, _ := newFields(a.Value, a.Key) // they are valid
	r := &rules{fields: f, alerts: slices.Clone(a.Alerts), keyed: a.Latest || a.eachAlerts() > 0}
	r.thresholds = thresholdsField(r.alerts)
	r.counting = aggregate.Rules{Window: int64(a.Window), Latest: a.Latest, MaxKeys: a.MaxKeys}
	for i := range r.alerts {
		r.counting.Thresholds = append(r.counting.Thresholds, r.alerts[i].rule())
		r.claims = r.claims || r.alerts[i].To == toKey
	}
	return r
}

// rule returns the alert as it is judged.
func (a *Alert) rule() aggregate.Threshold {
	fold, _ := aggregate.ParseFold(a.Fold) // it is valid
	return aggregate.Threshold{
		Name: a.Name, Fold: fold, Each: a.Each, Below: a.Below != nil,
		Level: a.threshold().Number, Clear: a.clear().Number, Cooldown: int64(a.Cooldown),
		ToKey: a.To == toKey,
	}
}
