package tally

import (
	"maps"
	"sync"
	"unicode/utf8"
)

// OtherAlerts stands for the alerts whose names do not stand in a configuration.
const OtherAlerts = "other"

const (
	// maxAlerts bounds how many alerts of a route are counted each by itself. Names
	// that a reload has removed are among them.
	maxAlerts = 256

	maxAlertName = 64 // bytes
)

// alerts is how many alerts have begun, by name.
type alerts struct {
	mu sync.Mutex
	// Guarded by mu.
	begun map[string]uint64
}

// HasAlerts has alerts counted by name, from 0. Names that are too long or not UTF-8 are
// left out, and so are those beyond the 256th.
func (r *Route) HasAlerts(names []string) {
	a := &r.alerts
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range names {
		if len(a.begun) < maxAlerts && len(name) <= maxAlertName && utf8.ValidString(name) {
			a.begun[name] += 0
		}
	}
}

// Alert counts an alert that has begun; among OtherAlerts if its name was not given to
// HasAlerts.
func (r *Route) Alert(name string) {
	a := &r.alerts
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, known := a.begun[name]; !known {
		name = OtherAlerts
	}
	a.begun[name]++
}

func (a *alerts) counts() map[string]uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.begun)
}
