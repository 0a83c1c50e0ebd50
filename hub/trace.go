package hub

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/room"
)

// Bounds of traces.
const (
	maxTraces     = 10
	tracesASecond = 100 // of what passes, in each trace
	traceData     = 256 // bytes that are shown of a message
	traceQueue    = tracesASecond
)

// ErrTooManyTraces reports that no more traces may run.
var ErrTooManyTraces = errors.New("10 traces run already: that is the most")

// traces are those that run. While there is none, rooms only look whether there is.
type traces struct {
	shared *room.Shared

	mu      sync.Mutex
	running atomic.Pointer[[]*Trace] // replaced as a whole, with mu held
}

// Trace shows what passes in rooms.
type Trace struct {
	filter  Filter
	passed  chan Traced
	leftOut atomic.Int64

	mu sync.Mutex
	// Guarded by mu.
	second  time.Time              // that is being counted
	n       int                    // what has passed in it
	members map[uint64]engines.Key // members that the filter chooses, and their rooms
	rooms   map[engines.Key]int    // how many of them are in a room
	early   map[uint64]bool        // members that left before they were noted; nil once all are
}

// Traced is one thing that has passed.
type Traced struct {
	Time   time.Time
	Kind   room.PassageKind
	Key    engines.Key
	ID     string // of the connection; empty for everybody in the room
	User   string
	Data   []byte // the beginning
	Binary bool
	Size   int // of all of it, in bytes
	Code   frames.CloseCode
}

// Trace begins a trace of what the members that a filter chooses say and are told. The
// caller must end it.
func (h *Hub) Trace(f Filter) (*Trace, error) {
	t := &Trace{filter: f, passed: make(chan Traced, traceQueue), members: make(map[uint64]engines.Key), rooms: make(map[engines.Key]int), early: make(map[uint64]bool)}
	if !h.traces.add(t) {
		return nil, ErrTooManyTraces
	}
	for _, m := range h.Members(f) {
		t.note(m)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.early = nil
	return t, nil
}

// EndTrace ends a trace.
func (h *Hub) EndTrace(t *Trace) { h.traces.remove(t) }

// Passed gives what has passed. LeftOut is what was too much for it.
func (t *Trace) Passed() <-chan Traced { return t.passed }

// LeftOut returns how many things have passed that are not shown, since it was called
// last: more than 100 in a second, or more than the caller takes.
func (t *Trace) LeftOut() int64 { return t.leftOut.Swap(0) }

func (s *traces) all() []*Trace {
	if all := s.running.Load(); all != nil {
		return *all
	}
	return nil
}

func (s *traces) add(t *Trace) (ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.all()
	if len(all) >= maxTraces {
		return false
	}
	s.set(append(slices.Clone(all), t))
	return true
}

func (s *traces) remove(t *Trace) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(slices.DeleteFunc(slices.Clone(s.all()), func(other *Trace) bool { return other == t }))
}

// set has these traces run. mu is held.
func (s *traces) set(all []*Trace) {
	s.running.Store(&all)
	if len(all) == 0 {
		s.shared.SetTracer(nil)
		return
	}
	s.shared.SetTracer(s.pass)
}

// pass is the hub's room.Tracer.
func (s *traces) pass(p room.Passage) {
	for _, t := range s.all() {
		t.pass(p)
	}
}

// pass shows a passage, if it is one of those that are asked for.
func (t *Trace) pass(p room.Passage) {
	key := p.Room.Key()
	if !t.filter.matchesRoom(key) || !t.concerns(p, key) {
		return
	}
	now := time.Now()
	if !t.allows(now) {
		t.leftOut.Add(1)
		return
	}
	select {
	case t.passed <- traced(p, key, now):
	default:
		t.leftOut.Add(1)
	}
}

// concerns reports whether a passage has to do with the members that the filter chooses:
// one of them says it or is told, or everybody in a room in which one of them is.
func (t *Trace) concerns(p room.Passage, key engines.Key) bool {
	if p.Member != nil && t.filter.matches(p.Member) {
		switch p.Kind {
		case room.Joined:
			t.note(p.Member)
		case room.Left:
			t.forget(p.Member)
		}
		return true
	}
	if p.Member != nil && p.Kind != room.Published {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.rooms[key] > 0 || t.filter == Filter{App: t.filter.App, Room: t.filter.Room}
}

// note notes a member that the filter chooses.
func (t *Trace) note(m *room.Member) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.members[m.Number()]; !ok && !t.early[m.Number()] {
		t.members[m.Number()] = m.Room().Key()
		t.rooms[m.Room().Key()]++
	}
}

// forget takes a member back.
func (t *Trace) forget(m *room.Member) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key, ok := t.members[m.Number()]
	if !ok {
		if t.early != nil {
			t.early[m.Number()] = true
		}
		return
	}
	delete(t.members, m.Number())
	if t.rooms[key]--; t.rooms[key] == 0 {
		delete(t.rooms, key)
	}
}

// allows reports whether one more passage may be shown in this second.
func (t *Trace) allows(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.second) >= time.Second {
		t.second, t.n = now, 0
	}
	t.n++
	return t.n <= tracesASecond
}

// traced is what is shown of a passage.
func traced(p room.Passage, key engines.Key, now time.Time) Traced {
	shown := Traced{Time: now, Kind: p.Kind, Key: key, Binary: p.Binary, Size: len(p.Data), Code: p.Code}
	shown.Data = bytes.Clone(p.Data[:min(len(p.Data), traceData)])
	if p.Member != nil {
		shown.ID, shown.User = p.Member.ID(), p.Member.User()
	}
	return shown
}
