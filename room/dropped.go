package room

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// dropped is the events of all rooms that found no place among those that wait to be told
// outside. The log says so at once, and then at most once in droppedPause how many more there
// have been.
type dropped struct {
	mu sync.Mutex
	// Guarded by mu.
	events  int    // that the log has not told of yet
	room    string // that of the newest
	logging bool   // logDropped is under way
}

const droppedPause = time.Second

// noteDropped notes that events of a room, which has a name, are dropped.
func (s *Shared) noteDropped(room string, events int) {
	d := &s.dropped
	d.mu.Lock()
	d.events += events
	d.room = room
	begin := !d.logging
	d.logging = true
	d.mu.Unlock()
	if begin {
		s.Go(s.logDropped)
	}
}

// logDropped logs what is noted, until nothing more is.
func (s *Shared) logDropped() {
	for {
		room, events := s.dropped.take()
		if events == 0 {
			return
		}
		s.Log().Error("too many events: some are told to the members of their rooms only", zap.String("newest_room", room), zap.Int("events", events))
		s.sleep(droppedPause)
	}
}

// take returns what is noted since it was last called. Without anything logging is over.
func (d *dropped) take() (room string, events int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	room, events = d.room, d.events
	d.room, d.events, d.logging = "", 0, events > 0
	return room, events
}
