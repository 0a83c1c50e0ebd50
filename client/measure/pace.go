package measure

import "time"

// pace gives the senders their turns until all messages of the plan are due, or nothing
// more is sent. One goroutine does it for all of them: a timer of each would come up to a
// millisecond late, which would count as a time of the server.
func (r *run) pace() {
	for k := 0; ; k++ {
		connection := k % r.connections
		due := r.due(connection, k/r.connections)
		if due >= r.duration || !r.sleepUntil(r.start()+due) {
			return
		}
		if c := r.slots[connection]; c != nil {
			c.turn()
		}
	}
}

// sleepUntil reports whether messages are still sent then.
func (r *run) sleepUntil(then time.Duration) bool {
	const longest = 50 * time.Millisecond // what an interruption may have to wait for
	for {
		select {
		case <-r.stop:
			return false
		default:
		}
		left := then - r.now()
		if left <= 0 {
			return true
		}
		r.sleep(min(left, longest))
	}
}

// turn has the sender send one message more.
func (c *conn) turn() {
	c.turns.Add(1)
	select {
	case c.woken <- struct{}{}:
	default: // it is awake
	}
}

// awaitTurn reports whether message n is to be sent; then it is due.
func (c *conn) awaitTurn(n int64) bool {
	for {
		select {
		case <-c.run.stop:
			return false
		default:
		}
		if c.turns.Load() > n {
			return true
		}
		select {
		case <-c.woken:
		case <-c.run.stop:
			return false
		}
	}
}
