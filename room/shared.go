package room

import (
	"context"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/replica"
	"github.com/caddyws/caddy-websocket/tally"
)

// Shared is what all rooms of a hub share. Its fields are not changed once rooms use
// it, and its functions may be called concurrently.
type Shared struct {
	tracer atomic.Pointer[Tracer] // nil if nobody traces; stands apart from waiting, which every operation writes
	others atomic.Pointer[others] // how other processes are reached; nil: not, or not yet

	Store    *replica.Store
	Volatile bool               // the engine never waits; known before the first room that keeps something
	Sharing  bool               // other processes use the rooms, too, and are reached once the engine is open
	Log      func() *zap.Logger // the logger now: loggers change with the configuration
	Go       func(f func())     // runs f on a goroutine that closing waits for
	Idle     func(*Room)        // nothing refers to the room any more: it may be retired
	HasNews  func(*Room)        // Untold is to be called, with a reference that is the callee's; it does not block
	Tally    *tally.Set
	Closing  <-chan struct{} // closed when everybody has to go
	Context  context.Context // ends when it is time to give up what is not done yet

	waiting atomic.Int64 // bytes of operations waiting in all rooms
	recent  atomic.Int64 // size of the recent messages of all rooms
	untold  atomic.Int64 // size of the events that are to be told outside
	dropped dropped
	warned  atomic.Int64 // when warn has last written a line; Unix seconds

	deaf    deaf
	speaker speaker
}

// warn writes a line to the log, but not twice within a minute.
func (s *Shared) warn(what string, key engines.Key, err error) {
	now, last := time.Now().Unix(), s.warned.Load()
	if now-last >= 60 && s.warned.CompareAndSwap(last, now) {
		s.Log().Warn(what, zap.String("app", key.App), zap.String("room", displayName(key.Room)), zap.Error(err))
	}
}

// isClosing reports whether everybody has to go.
func (s *Shared) isClosing() bool {
	select {
	case <-s.Closing:
		return true
	default:
		return false
	}
}

// bound returns a context that also ends after a time, and when it is time to give up.
func (s *Shared) bound(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, d)
	stop := context.AfterFunc(s.Context, cancel)
	return ctx, func() { stop(); cancel() }
}

// sleep waits for a while, or until everybody has to go.
func (s *Shared) sleep(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.Closing:
	}
}

// WaitingBytes is the size of the operations that wait or are in a turn, in all rooms.
func (s *Shared) WaitingBytes() int64 { return s.waiting.Load() }
