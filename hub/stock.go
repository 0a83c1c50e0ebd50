package hub

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/engines"
)

// errTooManyRooms tells that a room's state is not stored for lack of place.
var errTooManyRooms = errors.New("no more rooms can be stored")

// warnOfFullStock logs, at most once a minute, why clients are refused.
func (h *Hub) warnOfFullStock() {
	now, last := time.Now().Unix(), h.warned.Load()
	if now-last >= 60 && h.warned.CompareAndSwap(last, now) {
		h.log().Warn("max_stored_rooms is reached: new rooms are not stored", zap.Int("rooms", h.limits.Load().MaxStoredRooms))
	}
}

// stock counts the rooms that the engine keeps. Counting them takes the engine
// some time: it is done when the first new room is to be stored, and again after
// one of which it is not known whether it was; rooms that are just being stored
// may be missed by that.
type stock struct {
	mu sync.Mutex
	// Guarded by mu.
	known bool
	rooms int
}

// page is how many rooms an engine is asked for at once.
const page = 1000

// take counts one more room, unless that is one too many.
func (s *stock) take(ctx context.Context, engine engines.Engine, most int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.known {
		n, err := count(ctx, engine)
		if err != nil {
			return err
		}
		s.known, s.rooms = true, n
	}
	if most > 0 && s.rooms >= most {
		return errTooManyRooms
	}
	s.rooms++
	return nil
}

// giveBack takes one room back.
func (s *stock) giveBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rooms--
}

// recount has the rooms counted anew.
func (s *stock) recount() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = false
}

func count(ctx context.Context, engine engines.Engine) (n int, err error) {
	var last engines.Key
	for {
		keys, err := engine.List(ctx, last, page)
		if err != nil {
			return 0, err
		}
		n += len(keys)
		if len(keys) < page {
			return n, nil
		}
		last = keys[len(keys)-1]
	}
}
