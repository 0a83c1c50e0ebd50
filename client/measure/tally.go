package measure

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// times is a histogram of durations, in microseconds, to three digits.
type times struct{ h *hdrhistogram.Histogram }

// longest is the largest time that is told from larger ones.
const longest = time.Hour

func newTimes() times { return times{hdrhistogram.New(1, longest.Microseconds(), 3)} }

func (t times) add(d time.Duration) {
	_ = t.h.RecordValue(min(max(d.Microseconds(), 1), longest.Microseconds())) // within its bounds
}

// shard is a part of the times, for some of the connections.
type shard struct {
	mu         sync.Mutex
	answers    times
	deliveries times
	late       times
}

// tally counts for all connections.
type tally struct {
	connected, lost          atomic.Int64
	sent, answered           atomic.Int64
	delivered, others        atomic.Int64
	bytesSent, bytesReceived atomic.Int64
	lastAnswer               atomic.Int64 // ns after the beginning

	shards []*shard

	mu         sync.Mutex
	handshakes times
	errors     map[string]int64
	first      error // the first of all
}

// maxShards bounds the memory of histograms, which is 3 of about 200 KiB for each.
const maxShards = 16

func newTally(connections int) *tally {
	t := &tally{handshakes: newTimes(), errors: make(map[string]int64)}
	for range min(connections, maxShards) {
		t.shards = append(t.shards, &shard{answers: newTimes(), deliveries: newTimes(), late: newTimes()})
	}
	return t
}

// shard is where a connection's times go.
func (t *tally) shard(connection int) *shard { return t.shards[connection%len(t.shards)] }

// handshake counts a connection that was opened.
func (t *tally) handshake(took time.Duration) {
	t.connected.Add(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.handshakes.add(took)
}

// maxKinds is how many different errors are kept.
const maxKinds = 20

// fail counts an error under its text.
func (t *tally) fail(text string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.first == nil {
		t.first = err
	}
	if _, known := t.errors[text]; !known && len(t.errors) >= maxKinds {
		text = "other errors"
	}
	t.errors[text]++
}

func (s *shard) answer(took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers.add(took)
}

func (s *shard) delivery(took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deliveries.add(took)
}

func (s *shard) sentLate(by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late.add(by)
}

// sum adds one histogram of all shards up.
func (t *tally) sum(of func(*shard) times) times {
	all := newTimes()
	for _, s := range t.shards {
		s.mu.Lock()
		all.h.Merge(of(s).h)
		s.mu.Unlock()
	}
	return all
}

// failures returns the errors, the most frequent first.
func (t *tally) failures() []failure {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []failure
	for _, text := range slices.Sorted(maps.Keys(t.errors)) {
		all = append(all, failure{text, t.errors[text]})
	}
	slices.SortStableFunc(all, func(a, b failure) int { return int(b.Count - a.Count) })
	return all
}
