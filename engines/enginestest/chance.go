package enginestest

import (
	"math/rand/v2"
	"sync"
	"time"
)

// Chance draws what happens. Since in a simulation hardly ever two goroutines run at
// one time, the same seed draws the same.
type Chance struct {
	mu  sync.Mutex
	rng *rand.Rand
}

// NewChance returns one that draws from a seed.
func NewChance(seed uint64) *Chance { return &Chance{rng: rand.New(rand.NewPCG(seed, 1))} }

// Below returns a number from 0 to n-1.
func (c *Chance) Below(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rng.IntN(n)
}

// Percent reports true in so many of a hundred cases.
func (c *Chance) Percent(n int) bool { return c.Below(100) < n }

// UpTo returns a time that hardly any other draw has.
func (c *Chance) UpTo(d time.Duration) time.Duration { return time.Duration(c.Below(int(d)) + 1) }
