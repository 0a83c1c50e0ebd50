package replica

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
)

// chance draws what happens. Since in a simulation hardly ever two goroutines run at
// one time, the same seed draws the same.
type chance struct {
	mu  sync.Mutex
	rng *rand.Rand
}

func newChance(seed uint64) *chance { return &chance{rng: rand.New(rand.NewPCG(seed, 1))} }

func (c *chance) below(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rng.IntN(n)
}

func (c *chance) percent(n int) bool { return c.below(100) < n }

// upTo returns a time that hardly any other draw has.
func (c *chance) upTo(d time.Duration) time.Duration { return time.Duration(c.below(int(d)) + 1) }

// network is an engine that is reached over a network: what is asked of it takes time,
// and may be lost, or carried out long after it was asked for, or have an answer that is
// lost.
type network struct {
	memory.Engine
	chance *chance
	faults int // percent of the calls
}

var errNetwork = errors.New("network")

// travel takes some time, which may be more than there is.
func (e *network) travel(ctx context.Context) error {
	d := e.chance.upTo(5 * time.Millisecond)
	if e.chance.percent(e.faults) {
		d = e.chance.upTo(12 * time.Second)
	}
	sleep(ctx, d)
	return ctx.Err()
}

func (e *network) Load(ctx context.Context, key engines.Key) ([]byte, uint64, error) {
	if err := e.travel(ctx); err != nil {
		return nil, 0, err
	}
	if e.chance.percent(e.faults) {
		return nil, 0, errNetwork
	}
	p, rev, err := e.Engine.Load(ctx, key)
	if late := e.travel(ctx); late != nil {
		return nil, 0, late
	}
	return p, rev, err
}

func (e *network) Swap(ctx context.Context, key engines.Key, rev uint64, v engines.Value) (uint64, error) {
	err := e.travel(ctx)
	if err == nil && e.chance.percent(e.faults) {
		return 0, engines.ErrRefused
	}
	if err != nil || e.chance.percent(e.faults) {
		if e.chance.percent(70) { // else it is lost
			d := e.chance.upTo(20 * time.Second)
			v.State = append([]byte(nil), v.State...)
			go func() {
				time.Sleep(d)
				_, _ = e.Engine.Swap(context.Background(), key, rev, v)
			}()
		}
		return 0, errNetwork
	}
	next, err := e.Engine.Swap(ctx, key, rev, v)
	if late := e.travel(ctx); late != nil {
		return 0, late
	}
	if e.chance.percent(e.faults) {
		return 0, errNetwork
	}
	return next, err
}
