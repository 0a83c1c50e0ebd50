package hub

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/route"
)

// openTimeout is how long an engine may take to open. It may have to wait for the one of
// an earlier hub to be closed.
const openTimeout = 10 * time.Second

// The pause before an engine that cannot be reached is tried again grows.
const (
	shortestAway = time.Second
	longestAway  = 15 * time.Second
)

// lazyEngine is the engine of a hub, opened when something is first to be kept. An
// attempt that fails is not kept: the next visitor makes another. But an engine that cannot
// be reached is tried again and again, and meanwhile visitors are told so at once.
type lazyEngine struct {
	opener   engines.Opener
	attempts singleflight.Group
	opened   atomic.Bool           // and installed: the engine may be used
	away     atomic.Pointer[error] // why it cannot be reached; nil: nobody is trying

	mu sync.Mutex
	// Guarded by mu.
	engine engines.Engine // nil until it is open
	closed bool           // it must not be opened any more
}

// Open opens the engine unless it is open. The error is that of the engine, of ctx, or
// [ErrClosed]. After an [engines.ErrUnavailable] the hub goes on trying.
func (h *Hub) Open(ctx context.Context) error {
	if h.engine.opened.Load() {
		return nil
	}
	if err := h.engine.away.Load(); err != nil {
		return *err
	}
	done := h.engine.attempts.DoChan("", func() (_ any, err error) {
		return nil, h.openNow()
	})
	select {
	case res := <-done:
		return res.Err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// shareTimeout is how long a visitor of a room that keeps nothing waits for the engine.
const shareTimeout = 500 * time.Millisecond

// openFor opens the engine for a visitor of a room that keeps something. For others it tries
// to, so that other processes hear what they say.
func (h *Hub) openFor(ctx context.Context, rt *route.Route) error {
	if rt.Stores() {
		return h.Open(ctx)
	}
	if h.shared.Sharing && !h.shared.HasOthers() {
		ctx, cancel := context.WithTimeout(ctx, shareTimeout)
		defer cancel()
		_ = h.Open(ctx) // it is counted, and the room goes on without
	}
	return nil
}

// openNow makes an attempt. If the engine cannot be reached, others follow until it can.
func (h *Hub) openNow() error {
	err := h.openEngine()
	if errors.Is(err, engines.ErrUnavailable) && h.engine.away.CompareAndSwap(nil, &err) {
		h.goUnlessClosed(h.openLater)
	}
	return err
}

// openLater tries to open the engine until it can be reached, or the hub closes.
func (h *Hub) openLater() {
	defer h.engine.away.Store(nil)
	for pause := shortestAway; ; pause = min(2*pause, longestAway) {
		select {
		case <-time.After(pause):
		case <-h.closing:
			return
		}
		switch err := h.openEngine(); {
		case err == nil:
			h.log().Info("the engine can be reached now")
			return
		case errors.Is(err, engines.ErrUnavailable):
			h.engine.away.Store(&err)
		default:
			h.log().Error("opening engine", zap.Error(err))
			return
		}
	}
}

// openEngine is one attempt. Those that wait for it may have gone meanwhile.
func (h *Hub) openEngine() (err error) {
	defer recovered(&err)
	e := &h.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return ErrClosed
	case e.engine != nil:
		return nil
	}
	ctx, cancel := context.WithTimeout(h.over, openTimeout)
	defer cancel()
	engine, err := e.opener.Open(ctx)
	if err != nil {
		h.noteFailure("open", err)
		return err
	}
	e.engine = engine
	h.install(engine)
	e.opened.Store(true)
	h.goUnlessClosed(h.forgetter.sweepOn)
	h.goUnlessClosed(h.waker.run)
	return nil
}

// noteFailure counts a call of the engine that has failed, unless nobody waits for it.
func (h *Hub) noteFailure(operation string, err error) {
	if err != nil && h.store.Failed != nil && !errors.Is(err, context.Canceled) {
		h.store.Failed(operation)
	}
}

// install has the rooms use the engine: there are none yet that keep something.
func (h *Hub) install(engine engines.Engine) {
	h.store.Engine = engine
	h.store.Log, _ = engine.(engines.Log)
	if marked, ok := engine.(engines.Marked); ok {
		h.store.Mark = marked.Mark()
	}
	_, h.shared.Volatile = engine.(engines.Volatile)
	if shared, ok := engine.(engines.Shared); ok {
		h.shared.SetOthers(shared, engine.MaxState())
	}
}

// KeepsMessages reports whether the engine has a log for the messages of rooms, as long as it
// is not known that it has none.
func (h *Hub) KeepsMessages() bool { return !h.engine.opened.Load() || h.store.Log != nil }

// closeEngine closes the engine if it is open, for good.
func (h *Hub) closeEngine() (err error) {
	defer recovered(&err)
	e := &h.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	if e.engine == nil {
		return nil
	}
	return e.engine.Close()
}
