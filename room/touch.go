package room

import "time"

// Touch has it stored that the room is used, if a route forgets unused rooms. It does not
// wait.
func (r *Room) Touch() {
	if !r.stateful || r.config().Forget <= 0 {
		return
	}
	r.mu.Lock()
	if r.retired || r.last.epoch == "" {
		r.mu.Unlock()
		return
	}
	r.chores.touch = true
	r.engage()
	r.mu.Unlock()
	r.kick()
}

// touch is the turn of Touch.
func (r *Room) touch() {
	if err := r.replica.Touch(r.shared.Context, TouchStep(r.follows.Forget)); err != nil {
		r.report(err)
	}
}

// TouchStep is how exactly the last use of a room is stored that is forgotten after a
// time: a quarter of it, between a minute and an hour.
func TouchStep(forget time.Duration) time.Duration {
	return min(max(forget/4, time.Minute), time.Hour)
}
