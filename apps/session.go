package apps

import (
	"bytes"
	"io"
	"iter"
	"sync"
)

// Session is one client as the function of a [Loop] sees it. Receive, TryReceive
// and Messages are for one goroutine at a time, everything else is for any.
type Session struct {
	// Conn is the client, with its room: s.Conn.Room().Publish(m). Immutable.
	// Its Value is the session and must be left alone; what belongs to one
	// client is kept in the variables of the function.
	Conn Conn

	// Immutable.
	worker Worker

	mu sync.Mutex
	// Guarded by mu.
	waiting []delivery
	working []func() // releases the message that was taken last
	over    bool     // no more messages come
	deaf    bool     // nobody is there to take them
	changed sync.Cond
}

// delivery is a message that waits, and what settles it.
type delivery struct {
	message Message
	release func()
}

func newSession(c Conn, w Worker) *Session {
	s := &Session{Conn: c, worker: w}
	s.changed.L = &s.mu
	return s
}

// Receive waits for the next message. After the last one it returns io.EOF:
// because the client has gone, with what it had sent before, or because Close
// was called. The message belongs to the caller.
func (s *Session) Receive() (Message, error) {
	s.settle()
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.waiting) == 0 && !s.over {
		s.changed.Wait()
	}
	if m, ok := s.take(); ok {
		return m, nil
	}
	return Message{}, io.EOF
}

// TryReceive is Receive without waiting: ok is false if no message waits. Code
// that asks again and again sees the end by the context of its function.
func (s *Session) TryReceive() (m Message, ok bool) {
	s.settle()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.take()
}

// Pending is the number of messages that wait for Receive.
func (s *Session) Pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting)
}

// Messages is what Receive returns, up to its end:
//
//	for m := range s.Messages() {
func (s *Session) Messages() iter.Seq[Message] {
	return func(yield func(Message) bool) {
		for {
			m, err := s.Receive()
			if err != nil || !yield(m) {
				return
			}
		}
	}
}

// Send queues a message for this client; see [Conn].
func (s *Session) Send(m Message) { s.Conn.Send(m) }

// Close ends the connection with a close code and a reason, after what was sent
// before; see [Conn]. Messages that still wait are dropped.
func (s *Session) Close(code int, reason string) {
	s.Conn.Close(code, reason)
	s.finish()
}

// take returns the next message, if there is one. Needs s.mu.
func (s *Session) take() (Message, bool) {
	if len(s.waiting) == 0 {
		return Message{}, false
	}
	next := s.waiting[0]
	s.waiting[0] = delivery{}
	if s.waiting = s.waiting[1:]; len(s.waiting) == 0 {
		s.waiting = nil
	}
	s.working = append(s.working, next.release)
	return next.message, true
}

// settle releases the message that was taken last: whoever asks for the next
// one is done with it.
func (s *Session) settle() {
	s.mu.Lock()
	done := s.working
	s.working = nil
	s.mu.Unlock()
	releaseAll(done)
}

// finish is for a session that takes no more messages.
func (s *Session) finish() {
	s.mu.Lock()
	s.over, s.deaf = true, true
	done := s.working
	for _, d := range s.waiting {
		done = append(done, d.release)
	}
	s.working, s.waiting = nil, nil
	s.changed.Broadcast()
	s.mu.Unlock()
	releaseAll(done)
}

func releaseAll(releases []func()) {
	for _, release := range releases {
		release()
	}
}

// deliver puts a copy of m behind those that wait. The connection holds it until
// it is settled, so that reading stops when there are many.
func (s *Session) deliver(m Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deaf {
		return
	}
	m.Data = bytes.Clone(m.Data)
	s.waiting = append(s.waiting, delivery{m, s.worker.Hold(len(m.Data))})
	s.changed.Broadcast()
}

// leave tells the session that its client has gone.
func (s *Session) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	s.changed.Broadcast()
}

func (s *Session) isOver() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over
}
