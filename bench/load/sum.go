package load

import (
	"bytes"
	"fmt"
	"strconv"
	"time"
)

// Sum is the work of clients that add 1 to the total of their room again and again,
// and watch it.
type Sum struct {
	Path    string // of the room; of several rooms what stands before /<number>
	Rooms   int    // among which the clients are divided; 0 for one room at Path
	Clients int
	Senders int // how many of them add
	Window  int // numbers in flight of each
	IDs     bool
	// Gentle has one more client add so many numbers a second in a room of its own,
	// Path/gentle. The latency is then only that client's.
	Gentle int
}

// sum is Sum as it runs.
type sum struct {
	g       *Generator
	rooms   []*room
	senders []*adder
	flying  int
	frames  []byte
}

// Sum connects the clients.
func (g *Generator) Sum(w Sum) error {
	s := &sum{g: g}
	for i := range max(w.Rooms, 1) {
		path := w.Path
		if w.Rooms > 0 {
			path += "/" + strconv.Itoa(i)
		}
		if err := s.join(path, share(w.Clients, i, w.Rooms), share(w.Senders, i, w.Rooms), w); err != nil {
			return err
		}
	}
	if w.Gentle > 0 {
		if err := s.join(w.Path+"/gentle", 1, 1, w); err != nil {
			return err
		}
		s.beGentle(s.senders[len(s.senders)-1], w.Gentle)
	}
	g.work = s
	return nil
}

// share is how many of n the room i of so many has.
func share(n, i, rooms int) int {
	if rooms == 0 {
		return n
	}
	return (n + rooms - 1 - i) / rooms
}

// join connects the clients of one room.
func (s *sum) join(path string, clients, senders int, w Sum) error {
	begin := len(s.g.conns)
	if err := s.g.connect(clients, path, false, "json"); err != nil {
		return err
	}
	r := &room{clients: clients, behind: clients, unseen: clients}
	for i, c := range s.g.conns[begin:] {
		c.adder = &adder{conn: c, room: r, timed: w.Gentle == 0}
		if i < senders {
			c.adder.prepare(w.Window, w.IDs)
			s.senders = append(s.senders, c.adder)
		}
	}
	r.first = s.g.conns[begin].adder
	s.rooms = append(s.rooms, r)
	return nil
}

// beGentle has a send so many numbers a second, answered or not.
func (s *sum) beGentle(a *adder, perSecond int) {
	a.every = time.Second / time.Duration(perSecond)
	a.prepare(10*perSecond, a.ids)
	for _, other := range s.senders {
		other.timed = other == a
	}
}

var (
	replyBegin  = []byte(`{"type":"reply"`)
	totalField  = []byte(`"total":`)
	repeatField = []byte(`"repeat":`)
)

func (s *sum) message(c *conn, payload []byte) error {
	a := c.adder
	total, err := totalIn(payload)
	if err != nil {
		return err
	}
	if total < a.seen {
		return fmt.Errorf("%q came after %d", payload, a.seen)
	}
	if bytes.HasPrefix(payload, replyBegin) {
		if err := s.reply(a, total, payload); err != nil {
			return fmt.Errorf("%w: %q", err, payload)
		}
	} else if total > a.room.total+uint64(a.room.flying) {
		return fmt.Errorf("%q counts more than was sent", payload)
	}
	a.see(total)
	return nil
}

func (s *sum) reply(a *adder, total uint64, payload []byte) error {
	if err := a.answered(payload); err != nil {
		return err
	}
	if err := a.room.acknowledge(total); err != nil {
		return err
	}
	s.flying--
	s.g.count++
	if sentAt := a.end(); a.timed {
		s.g.took(sentAt)
	}
	return nil
}

func (s *sum) tick(sending bool) (bool, error) {
	if unseen, err := s.greet(); unseen || err != nil {
		return true, err
	}
	if !sending {
		return s.settle()
	}
	for _, a := range s.senders {
		if n := a.due(s.g.now); n > 0 {
			if err := s.add(a, n); err != nil {
				return true, err
			}
		}
	}
	return true, nil
}

// greet has one client of each room send now and then until all have been told of it:
// servers take a client into the room some time after they have answered its
// handshake.
func (s *sum) greet() (unseen bool, err error) {
	for _, r := range s.rooms {
		if r.unseen == 0 {
			continue
		}
		unseen = true
		if r.first.flying > 0 || s.g.now.Sub(r.greetedAt) < helloEvery {
			continue
		}
		r.greetedAt = s.g.now
		if err := s.add(r.first, 1); err != nil {
			return true, err
		}
	}
	return unseen, nil
}

// settle waits for what is in flight, and judges the totals when nothing is.
func (s *sum) settle() (busy bool, err error) {
	if s.flying > 0 {
		return true, nil
	}
	for _, r := range s.rooms {
		if r.total != r.acked {
			return false, fmt.Errorf("total is %d after %d increments", r.total, r.acked)
		}
		busy = busy || r.behind > 0 && r.total > 0
	}
	return busy, nil
}

// add sends n numbers.
func (s *sum) add(a *adder, n int) error {
	s.flying += n
	s.frames = a.send(s.frames[:0], n, s.g.now)
	return s.g.send(a.conn, s.frames)
}

// totalIn returns the total of a message.
func totalIn(p []byte) (uint64, error) { return numberBehind(p, totalField) }

// numberBehind returns the number behind a field's name in a message.
func numberBehind(p, field []byte) (uint64, error) {
	i := bytes.LastIndex(p, field)
	if i < 0 {
		return 0, fmt.Errorf("no %s in %.200q", field, p)
	}
	var n uint64
	for _, b := range p[i+len(field):] {
		if b < '0' || b > '9' {
			break
		}
		n = n*10 + uint64(b-'0')
	}
	return n, nil
}
