package tally_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddyws/caddy-websocket/tally"
)

// Alerts are counted by the names that are expected, the others together: their names may
// come from clients.
func TestAlertsOfARoute(t *testing.T) {
	r := tally.NewRoute()
	r.HasAlerts([]string{"high", "low", strings.Repeat("x", 65), "\xff"})
	r.HasAlerts([]string{"high", strings.Repeat("x", 64)})
	for i := range 1000 {
		r.Alert("high")
		r.Alert(fmt.Sprint("low", i))
	}
	r.Alert("\xff")
	r.Alert(strings.Repeat("x", 65))
	r.HasAlerts([]string{"high"})
	got := r.Gather().Counts().Alerts
	if low, ok := got["low"]; len(got) != 4 || got["high"] != 1000 || !ok || low != 0 || got[strings.Repeat("x", 64)] != 0 || got[tally.OtherAlerts] != 1002 {
		t.Errorf("%v", got)
	}
}

// There is a bound for the names that configurations bring, one after another.
func TestAlertsOfManyConfigurations(t *testing.T) {
	r := tally.NewRoute()
	for i := range 1000 {
		name := fmt.Sprint(i)
		r.HasAlerts([]string{name})
		r.Alert(name)
	}
	got := r.Gather().Counts().Alerts
	if len(got) != 257 || got["0"] != 1 || got["255"] != 1 || got[tally.OtherAlerts] != 744 {
		t.Errorf("%d, %v", len(got), got)
	}
}
