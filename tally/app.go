package tally

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// App is what is counted of the rooms of an app. So that rooms do not write to the same
// memory from several cores, each has one of several parts.
type App struct {
	next  atomic.Uint32
	parts [16]Part
}

// Part is what some rooms of an app count. A room that nobody else counts with at the
// moment needs about as long as for a plain addition.
type Part struct {
	operations [len(resultNames)]atomic.Uint64
	batches    counts
	durations  counts
	gaps       atomic.Uint64
	_          [64]byte // other parts are on other lines of the cache
}

// Part returns a part for a room.
func (a *App) Part() *Part { return &a.parts[a.next.Add(1)%uint32(len(a.parts))] }

// Result is what has come of an operation.
type Result uint8

// The results.
const (
	Stored      Result = iota // it has counted
	Repeated                  // it had counted before
	Refused                   // by the app
	BadID                     // its id is wrong, out of order or too old
	ReadOnly                  // its sender may send nothing
	Busy                      // too much waits already
	Full                      // the room or the number of rooms is at its limit
	Unavailable               // the engine or the state fails: it has not counted
	Unknown                   // it may have counted
	Failed                    // the app panicked
)

var resultNames = [...]string{"stored", "repeated", "refused", "bad_id", "read_only", "busy", "full", "unavailable", "unknown", "failed"}

// Operation counts an operation.
func (p *Part) Operation(r Result) { p.operations[r].Add(1) }

// Batch counts a batch that was committed, by the results of its operations.
func (p *Part) Batch(by *Results) {
	total := uint64(0)
	for r, n := range by {
		if n > 0 {
			p.operations[r].Add(uint64(n))
			total += uint64(n)
		}
	}
	if total == 0 {
		return
	}
	p.batches.observe(bits.Len64(total-1), total)
}

// Results is how many operations of a batch have each result.
type Results = [len(resultNames)]uint32

// Commit counts how long a commit took.
func (p *Part) Commit(d time.Duration) {
	p.durations.observe(bits.Len64(uint64(max(d-1, 0)/shortest)), uint64(max(d, 0)))
}

// Gap counts a gap that is told.
func (p *Part) Gap() { p.gaps.Add(1) }

// Gaps returns how many gaps were told.
func (a *App) Gaps() (n uint64) {
	for i := range a.parts {
		n += a.parts[i].gaps.Load()
	}
	return n
}

// Operations returns how many operations had each result.
func (a *App) Operations() map[string]uint64 {
	by := make(map[string]uint64, len(resultNames))
	for r, name := range resultNames {
		for i := range a.parts {
			by[name] += a.parts[i].operations[r].Load()
		}
	}
	return by
}

func (a *App) addWork(batches, durations *Histogram) {
	for i := range a.parts {
		a.parts[i].batches.addTo(batches)
		a.parts[i].durations.addTo(durations)
	}
}
