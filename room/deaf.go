package room

import (
	"context"
	"slices"
	"sync"
	"time"
)

// deaf is the rooms that keep nothing and do not hear of other processes, since the engine
// cannot be reached. One goroutine tries again for all of them, as long as there are any.
type deaf struct {
	mu sync.Mutex
	// Guarded by mu.
	rooms  []*Room
	trying bool
}

// deafPause is the time between two tries.
const deafPause = time.Second

// any reports whether there are any.
func (d *deaf) any() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.trying
}

// listenLater has a room hear of others when that is possible.
func (s *Shared) listenLater(r *Room) {
	s.deaf.mu.Lock()
	defer s.deaf.mu.Unlock()
	s.deaf.rooms = append(s.deaf.rooms, r)
	if !s.deaf.trying {
		s.deaf.trying = true
		s.Go(s.listenAgain)
	}
}

// listenAgain tries until no room is deaf. If one still is, the others of that time wait.
func (s *Shared) listenAgain() {
	for again := true; again; {
		s.sleep(deafPause)
		rooms := slices.DeleteFunc(s.deaf.take(), (*Room).isRetired)
		for len(rooms) > 0 && s.reaches(rooms[0]) {
			rooms = rooms[1:]
		}
		if len(rooms) > 0 { // which may be the fault of this one
			rooms = append(rooms[1:], rooms[0])
		}
		again = s.deaf.putBack(rooms, !s.isClosing())
	}
}

// reaches reports whether a room hears of others now.
func (s *Shared) reaches(r *Room) bool {
	ctx, cancel := s.bound(context.Background(), listenPatience)
	defer cancel()
	if r.subscribe(ctx) != nil {
		return false
	}
	r.askForPeople() // what they have answered so far was not heard
	return true
}

func (d *deaf) take() (rooms []*Room) {
	d.mu.Lock()
	defer d.mu.Unlock()
	rooms, d.rooms = d.rooms, nil
	return rooms
}

// putBack adds rooms that were taken, and reports whether to try again.
func (d *deaf) putBack(rooms []*Room, goOn bool) (again bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rooms = append(rooms, d.rooms...)
	d.trying = goOn && len(d.rooms) > 0
	return d.trying
}
