package hub

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/caddyws/caddy-websocket/engines"
)

// openTimeout is how long an engine may take to open. It may have to wait for the one of
// an earlier hub to be closed.
const openTimeout = 10 * time.Second

// lazyEngine is the engine of a hub, opened when something is first to be kept. An
// attempt that fails is not kept: the next visitor makes another.
type lazyEngine struct {
	opener   engines.Opener
	attempts singleflight.Group
	opened   atomic.Bool // and installed: the engine may be used

	mu sync.Mutex
	// Guarded by mu.
	engine engines.Engine // nil until it is open
	closed bool           // it must not be opened any more
}

// Open opens the engine unless it is open. The error is that of the engine, of ctx, or
// [ErrClosed].
func (h *Hub) Open(ctx context.Context) error {
	if h.engine.opened.Load() {
		return nil
	}
	done := h.engine.attempts.DoChan("", func() (_ any, err error) {
		return nil, h.openEngine()
	})
	select {
	case res := <-done:
		return res.Err
	case <-ctx.Done():
		return ctx.Err()
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
}

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
