package socket

import "time"

// alarm is a timer that is set for the earliest of several moments.
type alarm struct {
	timer *time.Timer // nil until it is set for the first time
	at    moment      // what it is set for; zero if it has rung
}

// begin sets the alarm for the first time.
func (a *alarm) begin(at moment, ring func()) {
	a.at = at
	a.timer = time.AfterFunc(at.since(now()), ring)
}

// advance has the alarm ring at the given moment, if it would not ring before.
func (a *alarm) advance(at moment) {
	if a.at == 0 || at < a.at {
		a.at = at
		a.timer.Reset(at.since(now()))
	}
}

func (a *alarm) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
}
