package load

import (
	"bytes"
	"fmt"
	"time"
)

// Meter is the work of sensors that send readings at a steady rate, and of screens that
// watch what becomes of them.
type Meter struct {
	Path    string
	Sensors int
	Screens int
	Rate    int // readings a second of each sensor
	// Total has the sensors add 1 to a total instead, which tells as well how many
	// numbers were counted.
	Total bool
}

// meter is Meter as it runs. A screen is told how many readings are counted. It has then
// seen the first so many of those that were sent: servers take readings of different
// sensors in another order now and then, which makes no difference to how long all of
// them take.
type meter struct {
	g       *Generator
	work    Meter
	counted []byte // stands before the count in what a screen is told
	sensors []*sensor
	screens []*screen

	began   time.Time // sending, in this phase; zero if nothing is sent
	sending int       // readings of this phase
	sent    uint64    // of all phases
	acked   uint64
	rounds  []sendRound // those that some screen has not seen wholly, oldest first
	first   int         // number of rounds[0]
}

// sensor is a client that sends.
type sensor struct {
	conn   *conn
	value  []byte // its reading, as it is replied
	frame  []byte
	flying int
}

// screen is a client that watches.
type screen struct {
	seen  uint64 // how many readings
	round int    // number of the oldest round of which it has not seen all
}

// sendRound is the readings that were sent at the same time.
type sendRound struct {
	at   time.Time
	upTo uint64 // how many were sent up to it
}

// Meter connects the clients. Latencies are from a reading's sending to each screen.
func (g *Generator) Meter(w Meter) error {
	m := &meter{g: g, work: w, counted: []byte(`"count":`)}
	protocol := "" // what sensors are told is short then
	if w.Total {
		m.counted, protocol = totalField, "json"
	}
	if err := g.connect(w.Sensors, w.Path, false, protocol); err != nil {
		return err
	}
	for i, c := range g.conns {
		s := &sensor{conn: c, value: fmt.Appendf(nil, "%d.%d", 200+i%700, 1+i%9)}
		text := fmt.Appendf(nil, `{"key":"sensor-%d","value":%s}`, i, s.value)
		if w.Total {
			text = []byte("1")
		}
		s.frame = appendMasked(nil, opText, text)
		c.sensor = s
		m.sensors = append(m.sensors, s)
	}
	if err := g.connect(w.Screens, w.Path, false, "json"); err != nil {
		return err
	}
	for _, c := range g.conns[w.Sensors:] {
		c.screen = new(screen)
		m.screens = append(m.screens, c.screen)
	}
	g.work = m
	return nil
}

func (m *meter) message(c *conn, payload []byte) error {
	if c.screen != nil {
		return m.watch(c.screen, payload)
	}
	s := c.sensor
	if isReply := bytes.Equal(payload, s.value) || bytes.HasPrefix(payload, replyBegin); !isReply {
		return m.check(payload)
	}
	if s.flying == 0 {
		return fmt.Errorf("%q replies to nothing", payload)
	}
	s.flying--
	m.acked++
	m.g.count++
	return nil
}

// check judges what a sensor is told that is no reply.
func (m *meter) check(payload []byte) error {
	for _, begin := range []string{"count ", `{"type":"update"`, `{"type":"state"`} {
		if bytes.HasPrefix(payload, []byte(begin)) {
			return nil
		}
	}
	return fmt.Errorf("a sensor was told %q", payload)
}

// watch judges what a screen is told, and takes the time of the readings that it sees for
// the first time.
func (m *meter) watch(s *screen, payload []byte) error {
	n, err := numberBehind(payload, m.counted)
	switch {
	case err != nil:
		return err
	case n < s.seen:
		return fmt.Errorf("%d readings were counted after %d", n, s.seen)
	case n > m.sent:
		return fmt.Errorf("%d readings were counted of %d", n, m.sent)
	}
	for s.seen < n {
		round := m.rounds[s.round-m.first]
		some := min(n, round.upTo) - s.seen
		m.g.tookMany(round.at, int64(some))
		if s.seen += some; s.seen == round.upTo {
			s.round++
		}
	}
	return nil
}

func (m *meter) tick(sending bool) (bool, error) {
	if !sending {
		m.began = time.Time{}
		return m.settle()
	}
	if m.began.IsZero() {
		m.began, m.sending = m.g.now, 0
	}
	due := int(m.g.now.Sub(m.began) * time.Duration(m.work.Rate*len(m.sensors)) / time.Second)
	before := m.sent
	for ; m.sending < due; m.sending++ {
		s := m.sensors[m.sending%len(m.sensors)]
		s.flying++
		m.sent++
		if err := m.g.send(s.conn, s.frame); err != nil {
			return true, err
		}
	}
	if m.sent > before {
		m.rounds = append(m.rounds, sendRound{m.g.now, m.sent})
	}
	m.forget()
	return true, nil
}

// forget drops the rounds that all screens have seen, now and then.
func (m *meter) forget() {
	const many = 1024
	if len(m.rounds)%many != 0 || len(m.rounds) == 0 {
		return
	}
	oldest := m.first + len(m.rounds)
	for _, s := range m.screens {
		oldest = min(oldest, s.round)
	}
	m.rounds = append([]sendRound(nil), m.rounds[oldest-m.first:]...)
	m.first = oldest
}

// settle waits until every reading is replied to and every screen has seen it.
func (m *meter) settle() (busy bool, err error) {
	if m.acked < m.sent {
		return true, nil
	}
	for _, s := range m.screens {
		busy = busy || s.seen < m.sent
	}
	return busy, nil
}
