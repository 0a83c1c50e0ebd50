package hubtest

import (
	"context"
	"sync"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
)

// Engine is a memory engine that is not Volatile and whose Swap a test decides
// over.
type Engine struct {
	engines.Engine
	onSwap   func(do func() error) error // nil: store
	onAppend func(do func() error) error
	onRead   func() error
	onTrim   func() error
	Max      int

	mu    sync.Mutex
	swaps int
}

func NewEngine() *Engine { return &Engine{Engine: new(memory.Engine), Max: 1 << 20} }

func (e *Engine) MaxState() int { return e.Max }

func (e *Engine) Swap(ctx context.Context, key engines.Key, rev uint64, v engines.Value) (next uint64, err error) {
	e.mu.Lock()
	e.swaps++
	on := e.onSwap
	e.mu.Unlock()
	do := func() (err error) {
		next, err = e.Engine.Swap(ctx, key, rev, v)
		return err
	}
	if on == nil {
		return next, do()
	}
	err = on(do)
	return next, err
}

// Append is that of the engine, which must keep logs.
func (e *Engine) Append(ctx context.Context, key engines.Key, epoch string, after uint64, entries [][]byte) (last uint64, err error) {
	e.mu.Lock()
	on := e.onAppend
	e.mu.Unlock()
	do := func() (err error) {
		last, err = e.Engine.(engines.Log).Append(ctx, key, epoch, after, entries)
		return err
	}
	if on == nil {
		return last, do()
	}
	err = on(do)
	return last, err
}

// OnAppend has a function decide over each Append.
func (e *Engine) OnAppend(on func(do func() error) error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.onAppend = on
}

// Read is that of the engine.
func (e *Engine) Read(ctx context.Context, key engines.Key, epoch string, after uint64, n int) (entries [][]byte, first, last uint64, err error) {
	e.mu.Lock()
	on := e.onRead
	e.mu.Unlock()
	if on != nil {
		if err := on(); err != nil {
			return nil, 0, 0, err
		}
	}
	return e.Engine.(engines.Log).Read(ctx, key, epoch, after, n)
}

// Trim is that of the engine.
func (e *Engine) Trim(ctx context.Context, key engines.Key, epoch string, upTo uint64) error {
	e.mu.Lock()
	on := e.onTrim
	e.mu.Unlock()
	if on != nil {
		if err := on(); err != nil {
			return err
		}
	}
	return e.Engine.(engines.Log).Trim(ctx, key, epoch, upTo)
}

// OnTrim has a function called before each Trim, whose error is that of the Trim.
func (e *Engine) OnTrim(on func() error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.onTrim = on
}

// OnRead has a function called before each Read, which fails with its error.
func (e *Engine) OnRead(on func() error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.onRead = on
}

func (e *Engine) OnSwap(on func(do func() error) error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.onSwap = on
}

func (e *Engine) Swaps() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.swaps
}

// Gate makes Swap wait: each one is announced on Taken and then needs a go.
type Gate struct {
	Taken chan struct{}
	Pass  chan error
}

func NewGate() *Gate { return &Gate{make(chan struct{}), make(chan error)} }

func (g *Gate) Swap(do func() error) error {
	g.Taken <- struct{}{}
	if err := <-g.Pass; err != nil {
		return err
	}
	return do()
}
