package socket

import (
	"slices"

	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/message"
)

// queue holds encoded messages until they are written. It is not safe for concurrent
// use.
type queue struct {
	segments []segment
	latest   [kinds]int32 // 1 + index of the segment that a newer one of its kind replaces; 0 if none
	size     int          // bytes of all segments
}

// kind is what a run is about that is replaced by a newer one.
type kind int

const (
	update   kind = iota // the state
	presence             // who is there

	kinds = iota
)

// segment is a run of whole messages. Its bytes are either shared with other
// connections and never changed, or in a buffer of the queue's own.
type segment struct {
	shared []byte
	own    *buffer
}

func (s segment) bytes() []byte {
	if s.own != nil {
		return s.own.b
	}
	return s.shared
}

// Small runs are gathered into one write of about this many bytes.
const gather = 1 << maxBuffer

// small is the size of a run below which a copy costs less than a segment.
const small = 1 << minBuffer

// keepSegments bounds what an empty queue keeps of its array.
const keepSegments = 4

func (q *queue) empty() bool { return q.size == 0 }

// pushShared appends bytes that do not change any more. It copies them only if they
// are few, so that the queue's memory stays in proportion to its size.
func (q *queue) pushShared(p []byte) {
	q.size += len(p)
	if len(p) >= small {
		q.segments = append(q.segments, segment{shared: p})
		return
	}
	own := q.room(len(p))
	own.b = append(own.b, p...)
}

// push appends a message to a buffer of the queue's own.
func (q *queue) push(form message.Form, op frames.Opcode, payload []byte) {
	need := frames.MaxHeaderSize + len(payload)
	own := q.room(need)
	had := len(own.b)
	own.b = form.Append(own.b, op, payload)
	q.size += len(own.b) - had
}

// room returns the last segment's buffer if it is the queue's own and has room
// for n more bytes, else that of a new segment.
func (q *queue) room(n int) *buffer {
	if last := len(q.segments) - 1; last >= 0 {
		if own := q.segments[last].own; own != nil && len(own.b)+n <= gather {
			q.segments[last].own = own.reserve(n)
			return q.segments[last].own
		}
	}
	own := getBuffer(n)
	q.segments = append(q.segments, segment{own: own})
	return own
}

// prepend puts bytes that do not change any more before everything else.
func (q *queue) prepend(p []byte) {
	q.segments = slices.Insert(q.segments, 0, segment{shared: p})
	q.size += len(p)
	for k := range q.latest {
		if q.latest[k] > 0 {
			q.latest[k]++
		}
	}
}

// waits reports whether a run of a kind still waits.
func (q *queue) waits(k kind) bool { return q.latest[k] > 0 }

// pushLatest appends a run of a kind and drops the one before, if that still waits, which it
// reports. p does not change any more. Who is there takes the place of the one before: its
// order to other messages means nothing, and at the end it might never come to be sent.
func (q *queue) pushLatest(k kind, p []byte) (replaced bool) {
	replaced = q.waits(k)
	switch i := int(q.latest[k] - 1); {
	case replaced && k == presence:
		q.size += len(p) - len(q.segments[i].bytes())
		q.segments[i] = segment{shared: p}
		return true
	case replaced:
		q.remove(i)
	}
	q.segments = append(q.segments, segment{shared: p})
	q.size += len(p)
	q.latest[k] = int32(len(q.segments))
	return replaced
}

// remove takes segment i out.
func (q *queue) remove(i int) {
	q.size -= len(q.segments[i].bytes())
	q.cut(i)
	if 0 < i && i < len(q.segments) {
		q.join(i)
	}
}

// join moves what is in segment i to the one before it, if both are the queue's own
// and small. So many removals do not leave many small segments.
func (q *queue) join(i int) {
	left, right := q.segments[i-1].own, q.segments[i].own
	if left == nil || right == nil || len(left.b)+len(right.b) > gather {
		return
	}
	left = left.reserve(len(right.b))
	left.b = append(left.b, right.b...)
	putBuffer(right)
	q.segments[i-1].own = left
	q.cut(i)
}

// cut takes segment i out of the array.
func (q *queue) cut(i int) {
	q.segments = slices.Delete(q.segments, i, i+1)
	for k := range q.latest {
		if int(q.latest[k]) > i {
			q.latest[k]--
		}
	}
}

// take removes bytes from the front, at least one segment, and returns them in
// one piece. own is the buffer to put back once they are written, if any.
func (q *queue) take() (p []byte, own *buffer) {
	n, size := q.run()
	defer q.drop(n, size)
	if n == 1 {
		return q.segments[0].bytes(), q.segments[0].own
	}
	own = getBuffer(size)
	for _, s := range q.segments[:n] {
		own.b = append(own.b, s.bytes()...)
		putBuffer(s.own)
	}
	return own.b, own
}

// run counts the segments at the front that fit into one gathered write, and
// their bytes.
func (q *queue) run() (n, size int) {
	for _, s := range q.segments {
		if n > 0 && size+len(s.bytes()) > gather {
			break
		}
		n, size = n+1, size+len(s.bytes())
	}
	return n, size
}

func (q *queue) drop(n, size int) {
	q.size -= size
	rest := copy(q.segments, q.segments[n:])
	clear(q.segments[rest:])
	q.segments = q.segments[:rest]
	for k := range q.latest {
		q.latest[k] = max(0, q.latest[k]-int32(n))
	}
	if rest == 0 && cap(q.segments) > keepSegments {
		q.segments = nil
	}
}

// clear drops everything that waits.
func (q *queue) clear() {
	for _, s := range q.segments {
		putBuffer(s.own)
	}
	*q = queue{}
}
