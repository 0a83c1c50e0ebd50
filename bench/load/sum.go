package load

import (
	"bytes"
	"errors"
	"fmt"
	"time"
)

// sum has some clients of a room add 1 again and again, and all of them watch
// the total. What was acknowledged is checked to be a count: each total is
// replied once, to one sender, in the order of its messages, and in the end
// everybody has been told the last.
type sum struct {
	g       *Generator
	window  int
	senders []*conn
	frames  []byte // as many numbers as a window takes
	frame   int    // size of one
	flying  int
	total   uint64 // the highest total that was replied
	acked   uint64
	replied []uint64 // one bit for each total
	behind  int      // clients that have not been told total
	unseen  int      // clients that have been told nothing
	firstAt time.Time
}

// Sum connects members clients of path, of which senders send with window
// numbers in flight each.
func (g *Generator) Sum(members, senders, window int, path string) error {
	if err := g.connect(members, path, false, "json"); err != nil {
		return err
	}
	s := &sum{g: g, window: window, senders: g.conns[:senders], behind: members, unseen: members}
	one := appendMasked(nil, opText, []byte("1"))
	s.frames, s.frame = bytes.Repeat(one, window), len(one)
	for _, c := range s.senders {
		c.times = make([]time.Time, window)
	}
	g.work = s
	return nil
}

var (
	replyBegin = []byte(`{"type":"reply"`)
	totalField = []byte(`"total":`)
)

func (s *sum) message(c *conn, payload []byte) error {
	total, err := totalIn(payload)
	if err != nil {
		return err
	}
	if total < c.next {
		return fmt.Errorf("%q came after %d", payload, c.next)
	}
	if bytes.HasPrefix(payload, replyBegin) {
		if err := s.reply(c, total); err != nil {
			return fmt.Errorf("%w: %q", err, payload)
		}
	} else if total > s.total+uint64(s.flying) {
		return fmt.Errorf("%q counts more than was sent", payload)
	}
	s.see(c, total)
	return nil
}

// see notes that c was told total.
func (s *sum) see(c *conn, total uint64) {
	if total > s.total {
		s.total, s.behind = total, len(s.g.conns)
	}
	if c.next < s.total && total == s.total {
		s.behind--
	}
	if c.next == 0 && total > 0 {
		s.unseen--
	}
	c.next = total
}

func (s *sum) reply(c *conn, total uint64) error {
	switch {
	case c.acks == 0:
		return errors.New("reply to nothing")
	case total == 0:
		return errors.New("total is 0")
	}
	for uint64(len(s.replied))*64 <= total {
		s.replied = append(s.replied, 0)
	}
	word, bit := &s.replied[total/64], uint64(1)<<(total%64)
	if *word&bit != 0 {
		return errors.New("total was replied before")
	}
	*word |= bit
	s.flying--
	c.acks--
	s.acked++
	s.g.count++
	s.g.took(c.times[c.head])
	c.head = (c.head + 1) % s.window
	return nil
}

func (s *sum) tick(sending bool) (bool, error) {
	if s.unseen > 0 {
		return true, s.first()
	}
	if !sending {
		if s.flying > 0 {
			return true, nil
		}
		if s.total != s.acked {
			return false, fmt.Errorf("total is %d after %d increments", s.total, s.acked)
		}
		return s.behind > 0 && s.total > 0, nil
	}
	for _, c := range s.senders {
		// Half a window at a time: one write for several, as a busy client does.
		if c.acks > s.window/2 {
			continue
		}
		if err := s.add(c, s.window-c.acks); err != nil {
			return true, err
		}
	}
	return true, nil
}

// first has one client send now and then until everybody has been told of it:
// servers take a client into the room some time after they have answered its
// handshake.
func (s *sum) first() error {
	c := s.senders[0]
	if c.acks > 0 || s.g.now.Sub(s.firstAt) < helloEvery {
		return nil
	}
	s.firstAt = s.g.now
	return s.add(c, 1)
}

// add sends n numbers.
func (s *sum) add(c *conn, n int) error {
	for i := range n {
		c.times[(c.head+c.acks+i)%s.window] = s.g.now
	}
	c.acks += n
	s.flying += n
	return s.g.send(c, s.frames[:n*s.frame])
}

// totalIn returns the total of a message.
func totalIn(p []byte) (uint64, error) {
	i := bytes.LastIndex(p, totalField)
	if i < 0 {
		return 0, fmt.Errorf("no total in %q", p)
	}
	var n uint64
	for _, b := range p[i+len(totalField):] {
		if b < '0' || b > '9' {
			break
		}
		n = n*10 + uint64(b-'0')
	}
	return n, nil
}
