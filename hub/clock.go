package hub

import "time"

// SetClock gives the hub another clock than the machine's, before anybody uses it. It is
// for tests.
func (h *Hub) SetClock(now func() time.Time) { h.store.Now = now }
