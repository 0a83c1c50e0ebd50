package bolt

import (
	"runtime"
	"slices"
	"sync"
)

// request is something to do in the next transaction.
type request struct {
	// Immutable.
	do   func(*tables) (rev uint64, err error)
	size int

	// Owned by the committer until done is closed, then by the caller.
	rev  uint64
	err  error
	done chan struct{}
}

// Bounds of a transaction: what it does may take that long, and that much memory.
const (
	maxRequests = 4096
	maxBytes    = 8 << 20
)

// queue has the requests that wait, in order.
type queue struct {
	added chan struct{} // holds one token while something may wait; never closed

	mu sync.Mutex
	// Guarded by mu.
	waiting []*request
	closed  bool
}

func newQueue() *queue { return &queue{added: make(chan struct{}, 1)} }

// add reports whether the request waits now; a closed queue takes none.
func (q *queue) add(r *request) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.waiting = append(q.waiting, r)
	q.wake()
	return true
}

func (q *queue) wake() {
	select {
	case q.added <- struct{}{}:
	default:
	}
}

// withdraw reports whether the request still waited. It waits no more.
func (q *queue) withdraw(r *request) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting, r)
	if i < 0 {
		return false
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
	return true
}

// close lets no more requests in, and reports whether it was open.
func (q *queue) close() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	was := !q.closed
	q.closed = true
	q.wake()
	return was
}

// take waits for requests and takes as many as a transaction may have. It returns
// none when the queue is closed and empty. Goroutines that are ready to run go first:
// on a busy processor many of them have a request, and one transaction does for all.
func (q *queue) take() []*request {
	for range q.added {
		runtime.Gosched()
		if batch, closed := q.takeWaiting(); len(batch) > 0 || closed {
			return batch
		}
	}
	return nil
}

func (q *queue) takeWaiting() (batch []*request, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, size := 0, 0
	for n < len(q.waiting) && n < maxRequests && (n == 0 || size+q.waiting[n].size <= maxBytes) {
		size += q.waiting[n].size
		n++
	}
	batch = slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	if len(q.waiting) > 0 || q.closed {
		q.wake()
	}
	return batch, q.closed
}
