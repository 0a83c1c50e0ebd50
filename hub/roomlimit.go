package hub

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/replica"
)

// warnOfRoomLimit logs, at most once a minute, why clients are refused.
func (h *Hub) warnOfRoomLimit() {
	now, last := time.Now().Unix(), h.roomLimit.warned.Load()
	if now-last >= 60 && h.roomLimit.warned.CompareAndSwap(last, now) {
		h.log().Warn("max_stored_rooms is reached: new rooms are not stored", zap.Int("rooms", h.limits.Load().MaxStoredRooms))
	}
}

// roomLimit counts the rooms that the engine keeps. The engine is asked when the first new
// room is to be stored, and again after one of which it is not known whether it was; rooms
// that are just being stored may be missed by that. If other processes use the engine, too,
// it is also asked now and then, and before a room is refused.
type roomLimit struct {
	warned atomic.Int64 // that it is reached, last; Unix seconds

	counting chan struct{} // has room for the one that counts a new room, or asks the engine

	mu sync.Mutex
	// Guarded by mu, which nobody holds while the engine is asked: rooms are given back in
	// turns.
	known   bool
	rooms   int
	asked   time.Time
	changes int // of rooms and known, but by the one that counts
}

// countAge is how long a number of rooms holds of an engine that other processes use.
const countAge = time.Minute

func newRoomLimit() roomLimit { return roomLimit{counting: make(chan struct{}, 1)} }

// reserve counts one more room, unless that is one too many.
func (s *roomLimit) reserve(ctx context.Context, engine engines.Engine, most int, shared bool) error {
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if n, holds := s.last(shared); !holds || shared && most > 0 && n >= most {
		if err := s.ask(ctx, engine); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if most > 0 && s.rooms >= most {
		return replica.ErrTooManyRooms
	}
	s.rooms++
	return nil
}

// lock waits until nobody else counts.
func (s *roomLimit) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case s.counting <- struct{}{}:
		return func() { <-s.counting }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// last returns the number of rooms as far as it is known, and reports whether it holds.
func (s *roomLimit) last(shared bool) (n int, holds bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rooms, s.known && (!shared || time.Since(s.asked) < countAge)
}

// ask asks the engine how many rooms there are. If that changes meanwhile, it is asked again
// next time. The caller has called lock.
func (s *roomLimit) ask(ctx context.Context, engine engines.Engine) error {
	s.mu.Lock()
	before := s.changes
	s.mu.Unlock()
	n, err := engine.Count(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rooms, s.known, s.asked = n, s.changes == before, time.Now()
	return nil
}

// count is how many rooms the engine keeps.
func (s *roomLimit) count(ctx context.Context, engine engines.Engine, shared bool) (n int, err error) {
	defer recovered(&err)
	unlock, err := s.lock(ctx)
	if err != nil {
		return 0, err
	}
	defer unlock()
	if n, holds := s.last(shared); holds {
		return n, nil
	}
	if err := s.ask(ctx, engine); err != nil {
		return 0, err
	}
	n, _ = s.last(shared)
	return n, nil
}

// unreserve takes one room back.
func (s *roomLimit) unreserve() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rooms--
	s.changes++
}

// recount has the rooms counted anew.
func (s *roomLimit) recount() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = false
	s.changes++
}

// storedRooms is the hub's [replica.Limit].
type storedRooms struct{ hub *Hub }

func (s storedRooms) Reserve(ctx context.Context) error {
	h := s.hub
	err := h.roomLimit.reserve(ctx, h.store.Engine, h.limits.Load().MaxStoredRooms, h.shared.Sharing)
	if err != replica.ErrTooManyRooms {
		h.noteFailure("count", err)
	}
	if err == replica.ErrTooManyRooms {
		h.warnOfRoomLimit()
	}
	return err
}

func (s storedRooms) Release() { s.hub.roomLimit.unreserve() }
func (s storedRooms) Recount() { s.hub.roomLimit.recount() }
