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

// roomLimit counts the rooms that the engine keeps. The engine is asked when the first new room is to be stored, and again after
// one of which it is not known whether it was; rooms that are just being stored
// may be missed by that.
type roomLimit struct {
	warned atomic.Int64 // that it is reached, last; Unix seconds

	mu sync.Mutex
	// Guarded by mu.
	known bool
	rooms int
}

// reserve counts one more room, unless that is one too many.
func (s *roomLimit) reserve(ctx context.Context, engine engines.Engine, most int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.know(ctx, engine); err != nil {
		return err
	}
	if most > 0 && s.rooms >= most {
		return replica.ErrTooManyRooms
	}
	s.rooms++
	return nil
}

// know asks the engine how many rooms there are, if that is not known. mu is held.
func (s *roomLimit) know(ctx context.Context, engine engines.Engine) (err error) {
	if s.known {
		return nil
	}
	if s.rooms, err = engine.Count(ctx); err != nil {
		return err
	}
	s.known = true
	return nil
}

// count is how many rooms the engine keeps.
func (s *roomLimit) count(ctx context.Context, engine engines.Engine) (n int, err error) {
	defer recovered(&err)
	s.mu.Lock()
	defer s.mu.Unlock()
	err = s.know(ctx, engine)
	return s.rooms, err
}

// unreserve takes one room back.
func (s *roomLimit) unreserve() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rooms--
}

// recount has the rooms counted anew.
func (s *roomLimit) recount() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = false
}

// storedRooms is the hub's [replica.Limit].
type storedRooms struct{ hub *Hub }

func (s storedRooms) Reserve(ctx context.Context) error {
	h := s.hub
	err := h.roomLimit.reserve(ctx, h.store.Engine, h.limits.Load().MaxStoredRooms)
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
