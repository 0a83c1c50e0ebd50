package hub

import "time"

// SetClock gives the hub another clock, before anybody uses it.
func (h *Hub) SetClock(now func() time.Time) { h.store.Now = now }
