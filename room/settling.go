package room

import "time"

// settlePause is the time between two attempts to find out what has become of a commit.
const settlePause = time.Second

// settleLater sees to it that the outcome of a commit is found out if it is not known,
// also when nobody sends an operation: others are to be told what is stored. Until
// then the room stays in memory.
func (r *Room) settleLater() {
	if r.settling || r.replica.IsSettled() || r.shared.Context.Err() != nil {
		return
	}
	r.settling = true
	r.Retain()
	r.shared.Go(func() {
		defer r.Release()
		r.shared.sleep(settlePause)
		r.mu.Lock()
		r.unsettled = true
		r.engage()
		r.mu.Unlock()
		r.kick()
	})
}
