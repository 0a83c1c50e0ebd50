package tally

import (
	"sync/atomic"
	"time"
)

// buckets is how many bounds a histogram has. Each is twice the one before.
const buckets = 20

// shortest is the first bound of durations; the last is 33 s.
const shortest = 64 * time.Microsecond

// counts is a histogram that is being filled. Bucket i has what is at most 2^i times the
// first bound, and the last the rest.
type counts struct {
	by  [buckets + 1]atomic.Uint64
	sum atomic.Uint64
}

func (c *counts) observe(bucket int, value uint64) {
	c.by[min(bucket, buckets)].Add(1)
	c.sum.Add(value)
}

func (c *counts) addTo(h *Histogram) {
	for i := range c.by {
		h.by[i] += c.by[i].Load()
	}
	h.sum += c.sum.Load()
}

// Histogram is how often values lay within bounds.
type Histogram struct {
	by  [buckets + 1]uint64
	sum uint64
}

// Count is the number of values.
func (h *Histogram) Count() (n uint64) {
	for _, k := range h.by {
		n += k
	}
	return n
}

// Sum is the sum of the values.
func (h *Histogram) Sum() float64 { return float64(h.sum) }

// Seconds is the sum of values that are durations.
func (h *Histogram) Seconds() float64 { return time.Duration(h.sum).Seconds() }

// Below returns how many values are at most as large as each of the first n bounds, of
// which the first is given.
func (h *Histogram) Below(first float64, n int) map[float64]uint64 {
	below := make(map[float64]uint64, n)
	sum := uint64(0)
	for i := range n {
		sum += h.by[i]
		below[first*float64(uint64(1)<<i)] = sum
	}
	return below
}

// The bounds of durations, in seconds, and of batches, whose largest has 4096 operations.
const (
	FirstDuration = float64(shortest) / float64(time.Second)
	Durations     = buckets
	Batches       = 13
)
