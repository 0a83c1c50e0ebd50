package load

import (
	"errors"
	"time"
)

// room is the account of a room's total. What was acknowledged is checked to be a
// count: each total is replied once, to one sender, in the order of its messages, and
// in the end everybody has been told the last.
type room struct {
	first     *adder // sends until everybody has been told of it
	greetedAt time.Time
	clients   int
	flying    int
	total     uint64 // the highest that somebody was told
	acked     uint64
	replied   []uint64 // one bit for each total
	behind    int      // clients that have not been told total
	unseen    int      // clients that have been told nothing
}

// acknowledge counts a reply.
func (r *room) acknowledge(total uint64) error {
	if total == 0 {
		return errors.New("total is 0")
	}
	for uint64(len(r.replied))*64 <= total {
		r.replied = append(r.replied, 0)
	}
	word, bit := &r.replied[total/64], uint64(1)<<(total%64)
	if *word&bit != 0 {
		return errors.New("total was replied before")
	}
	*word |= bit
	r.flying--
	r.acked++
	return nil
}

// see notes that a was told total.
func (a *adder) see(total uint64) {
	r := a.room
	if total > r.total {
		r.total, r.behind = total, r.clients
	}
	if a.seen < r.total && total == r.total {
		r.behind--
	}
	if a.seen == 0 && total > 0 {
		r.unseen--
	}
	a.seen = total
}
