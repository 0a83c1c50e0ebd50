package socket

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/message"
)

// queueModel is a queue as its contract says it: runs, of which one of each kind may be
// the latest.
type queueModel []modelRun

type modelRun struct {
	p    []byte
	kind kind // kinds: none
}

func (m *queueModel) latest(k kind, p []byte) {
	i := slices.IndexFunc(*m, func(r modelRun) bool { return r.kind == k })
	if k == presence && i >= 0 {
		(*m)[i].p = p
		return
	}
	*m = slices.DeleteFunc(*m, func(r modelRun) bool { return r.kind == k })
	*m = append(*m, modelRun{p, k})
}

func (m queueModel) waits(k kind) bool {
	return slices.ContainsFunc(m, func(r modelRun) bool { return r.kind == k })
}

func (m queueModel) size() (n int) {
	for _, r := range m {
		n += len(r.p)
	}
	return n
}

// taken removes p from the front and reports whether it consists of whole runs
// that stood there.
func (m *queueModel) taken(p []byte) bool {
	for len(p) > 0 {
		if len(*m) == 0 || !bytes.HasPrefix(p, (*m)[0].p) {
			return false
		}
		p, *m = p[len((*m)[0].p):], (*m)[1:]
	}
	return true
}

var noise = func() []byte {
	p := make([]byte, 200_000)
	rand.NewChaCha8([32]byte{}).Read(p)
	return p
}()

// randomRun is some bytes, most of the time few.
func randomRun(r *rand.Rand) []byte {
	n := 1 + r.IntN([]int{8, 8, 1000, 100_000}[r.IntN(4)])
	from := r.IntN(len(noise) - n)
	return noise[from : from+n : from+n]
}

func TestQueueBehavesAsItsModel(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 50 {
		var q queue
		var m queueModel
		for step := range 100 {
			switch run := randomRun(r); r.IntN(5) {
			case 0:
				q.pushShared(run)
				m = append(m, modelRun{run, kinds})
			case 1:
				q.push(message.Form{}, frames.Text, run)
				m = append(m, modelRun{frames.AppendMessage(nil, frames.Text, run), kinds})
			case 2, 3:
				k := kind(r.IntN(kinds))
				if replaced := m.waits(k); q.pushLatest(k, run) != replaced {
					t.Fatalf("seed %d, step %d: a run of kind %d replaced one: %v", seed, step, k, !replaced)
				}
				m.latest(k, run)
			case 4:
				checkTake(t, &q, &m)
			}
			if q.size != m.size() || q.empty() != (m.size() == 0) {
				t.Fatalf("seed %d, step %d: size %d, empty %v, want %d", seed, step, q.size, q.empty(), m.size())
			}
		}
		for !q.empty() {
			checkTake(t, &q, &m)
		}
		if len(q.segments) != 0 || cap(q.segments) > keepSegments || q.latest != [kinds]int32{} {
			t.Fatalf("seed %d: an empty queue keeps %d segments of %d, latest %v", seed, len(q.segments), cap(q.segments), q.latest)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func checkTake(t *testing.T, q *queue, m *queueModel) {
	if q.empty() {
		return
	}
	p, own := q.take()
	if len(p) == 0 {
		t.Error("took nothing from a queue that is not empty")
	}
	if !m.taken(p) {
		t.Errorf("took %d bytes that are not the whole runs at the front", len(p))
	}
	putBuffer(own)
}

// What gathers for a slow client costs memory in proportion to max_queue, however
// small the messages are and however they interleave.
func TestQueueMemoryIsInProportionToItsSize(t *testing.T) {
	const n = 20_000
	for name, push := range map[string]func(q *queue, i int){
		"runs":              func(q *queue, i int) { q.pushShared([]byte{1, 2, 3}) },
		"messages and runs": func(q *queue, i int) { q.push(message.Form{}, frames.Text, nil); q.pushShared([]byte{3}) },
		"updates":           func(q *queue, i int) { q.pushLatest(update, make([]byte, 600)) },
		"messages and updates": func(q *queue, i int) {
			q.push(message.Form{}, frames.Text, []byte{1})
			q.pushLatest(update, []byte{1, 2, 3})
		},
	} {
		var q queue
		for i := range n {
			push(&q, i)
		}
		memory := len(q.segments) * 32
		for _, s := range q.segments {
			memory += cap(s.bytes())
		}
		if memory > 4*q.size+4096 {
			t.Errorf("%s: %d bytes wait in %d bytes of memory and %d segments", name, q.size, memory, len(q.segments))
		}
		q.clear()
	}
}

func TestQueueDoesNotCopyLargeRuns(t *testing.T) {
	var q queue
	run := make([]byte, small)
	q.pushShared(run)
	if p, own := q.take(); &p[0] != &run[0] || own != nil {
		t.Error("a large run was copied")
	}
}

func TestQueueGathersSmallRuns(t *testing.T) {
	var q queue
	for range 100 {
		q.pushShared(make([]byte, small))
		q.push(message.Form{}, frames.Text, []byte("hello"))
	}
	if p, _ := q.take(); len(p) != 100*(small+7) || !q.empty() {
		t.Errorf("the first write takes %d bytes and leaves %d", len(p), q.size)
	}
}

func TestBuffersHaveTheRoomThatIsAskedFor(t *testing.T) {
	for _, n := range []int{0, 1, 511, 512, 513, 4096, 1<<maxBuffer - 1, 1 << maxBuffer, 1<<maxBuffer + 1, 1 << 20} {
		b := getBuffer(n)
		if len(b.b) != 0 || cap(b.b) < n || n <= 1<<maxBuffer && cap(b.b) >= max(2*n, 1<<minBuffer+1) {
			t.Errorf("asked for %d: length %d, capacity %d", n, len(b.b), cap(b.b))
		}
		b.b = append(b.b, "kept"...)
		b = b.reserve(3 * n)
		if string(b.b) != "kept" || cap(b.b) < 3*n+4 {
			t.Errorf("reserved %d: %q in %d", 3*n, b.b, cap(b.b))
		}
		putBuffer(b)
	}
	putBuffer(nil)
}
