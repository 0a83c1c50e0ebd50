package replica

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/big"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines/enginestest"
)

// powers is an app whose operation k adds 4^k: each digit of the total to the base 4
// tells how often an operation has counted. "k" is answered with the total; "no" is
// refused, and "panic" panics.
type powers struct{}

func (powers) Receive(apps.Conn, apps.Message) error { return nil }
func (powers) NewState() apps.State                  { return new(power) }

type power struct{ total big.Int }

func (s *power) Apply(op apps.Op) (apps.Outcome, error) {
	switch k, err := strconv.Atoi(string(op.Data)); {
	case string(op.Data) == "panic":
		s.total.SetInt64(-1)
		panic("as it was told to")
	case err != nil:
		return apps.Outcome{}, errors.New("no number")
	default:
		s.total.Add(&s.total, digitOf(k))
		return apps.Outcome{Reply: s.View()}, nil
	}
}

func (s *power) View() apps.Body                { return apps.Body{Text: []byte(s.total.Text(4))} }
func (s *power) MarshalBinary() ([]byte, error) { return s.total.Bytes(), nil }
func (s *power) UnmarshalBinary(p []byte) error { s.total.SetBytes(p); return nil }
func digitOf(k int) *big.Int                    { return new(big.Int).Lsh(big.NewInt(1), uint(2*k)) }

// digit returns how often operation k counts in a total.
func digit(total string, k int) int {
	if k >= len(total) {
		return 0
	}
	return int(total[len(total)-1-k] - '0')
}

// simulation is some processes and their clients, which use one room over a network.
type simulation struct {
	t         *testing.T
	seed      uint64
	chance    *enginestest.Chance
	network   *enginestest.Network
	processes []*server
	clients   sync.WaitGroup
	over      chan struct{} // closed when the clients have ended

	mu sync.Mutex
	// Guarded by mu.
	sends   []*sending
	wrong   []string
	reads   []reading
	history uint64 // a hash of what has happened
}

// fault notes what must not be.
func (s *simulation) fault(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong = append(s.wrong, fmt.Sprintf(format, args...))
}

// note adds something that has happened to the history.
func (s *simulation) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := fnv.New64a()
	fmt.Fprint(h, s.history, time.Now().UnixNano(), what)
	s.history = h.Sum64()
}

// server is a process. It takes what waits as one batch, and now and then crashes.
type server struct {
	*simulation
	chance  *enginestest.Chance
	store   *Store
	replica *Replica
	version uint64 // last seen

	waiting []*call // guarded by simulation.mu
}

// call is a sending on its way to a process and back.
type call struct {
	op     Operation
	answer chan Result // has place for one; a process that crashes sends none
}

func (p *server) run() {
	p.start()
	for {
		time.Sleep(p.chance.UpTo(20 * time.Millisecond))
		select {
		case <-p.over:
			return
		default:
		}
		switch {
		case p.chance.Percent(1):
			p.start()
		case p.chance.Percent(2): // the room leaves memory and comes back
			p.replica = New(key, p.store, func(error) {})
			p.load()
		case p.chance.Percent(2):
			p.replica.Follow(powers{}, "route")
		}
		p.commit()
	}
}

// start begins a new life. What has waited gets no answer.
func (p *server) start() {
	p.take()
	p.version = 0
	p.store = &Store{Engine: p.network, Limit: new(limit)}
	p.replica = New(key, p.store, func(error) {})
	time.Sleep(p.chance.UpTo(200 * time.Millisecond))
	p.load()
}

func (p *server) load() {
	for p.replica.Load(context.Background(), powers{}, "route") != nil {
	}
}

func (p *server) take() []*call {
	p.mu.Lock()
	defer p.mu.Unlock()
	batch := p.waiting
	p.waiting = nil
	return batch
}

func (p *server) commit() {
	calls := p.take()
	batch := make([]Operation, len(calls))
	for i := range calls {
		batch[i] = calls[i].op
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	crashes := len(calls) > 0 && p.chance.Percent(4)
	if crashes {
		time.AfterFunc(p.chance.UpTo(20*time.Millisecond), cancel)
	}
	start := time.Now()
	results := p.replica.Commit(ctx, batch)
	if took := time.Since(start); took > waitLimit {
		p.fault("a commit took %v", took)
	}
	if crashes {
		p.start()
		return
	}
	now := p.replica.Snapshot()
	if now.Version < p.version {
		p.fault("version %d after %d", now.Version, p.version)
	}
	p.version = now.Version
	for _, res := range p.replica.Late() {
		if res.Err != nil || res.Version > now.Version {
			p.fault("late result %+v at version %d", res, now.Version)
		}
	}
	for i, res := range results {
		p.note(told(results[i : i+1])[0])
		calls[i].answer <- res
	}
}

// sending is an operation of a client, and what is known of it.
type sending struct {
	k      int // its digit, or -1 if the app does not count it
	op     Operation
	unsure bool // it has been sent without a certain answer
	acked  bool
	first  Result // if acked
	start  time.Time
	end    time.Time // zero: it never had an answer
}

// visitor makes operations of one kind, some at a time, and retries them.
type visitor struct {
	*simulation
	name   string
	kind   int // of the ids: 0 numbers, 1 keys, 2 none
	chance *enginestest.Chance
	n      uint64 // last number
	made   int
	done   []*sending
}

func (s *simulation) newSending(data string) *sending {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := &sending{k: -1, start: time.Now()}
	if data == "" {
		x.k = len(s.sends)
		data = strconv.Itoa(x.k)
	}
	x.op = Operation{Data: []byte(data)}
	s.sends = append(s.sends, x)
	return x
}

// make returns a new operation.
func (c *visitor) make() *sending {
	data := ""
	switch {
	case c.chance.Percent(5):
		data = "no"
	case c.chance.Percent(3):
		data = "panic"
	}
	x := c.newSending(data)
	c.made++
	switch c.kind {
	case 0:
		c.n++
		x.op.Once = &Once{ID: ID{c.name, c.n}, Network: c.name}
	case 1:
		x.op.Once = &Once{ID: ID{Name: fmt.Sprintf("a key of %s, %d", c.name, c.made)}, User: c.name}
	}
	return x
}

func (c *visitor) run(operations int) {
	defer c.clients.Done()
	var open []*sending
	for operations > 0 || len(open) > 0 {
		time.Sleep(c.chance.UpTo(50 * time.Millisecond))
		for operations > 0 && (len(open) == 0 || c.chance.Percent(50)) {
			open = append(open, c.make())
			operations--
		}
		c.send(open)
		open = slices.DeleteFunc(open, func(x *sending) bool { return x.acked || c.kind == 2 })
		if len(open) == 1 && c.chance.Percent(10) { // it has no patience
			if !open[0].unsure && c.kind == 0 {
				c.n-- // certainly free
			}
			if c.kind == 0 && open[0].unsure {
				return
			}
			open = nil
		}
		c.again()
	}
}

// post sends operations to one process, in order. Only for some time an answer is
// waited for.
func (c *visitor) post(open ...*sending) (answers []chan Result, timeout <-chan time.Time) {
	p := c.processes[c.chance.Below(len(c.processes))]
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, x := range open {
		answer := make(chan Result, 1)
		answers = append(answers, answer)
		p.waiting = append(p.waiting, &call{x.op, answer})
	}
	return answers, time.After(time.Second + c.chance.UpTo(15*time.Second))
}

// send sends operations and takes the answers.
func (c *visitor) send(open []*sending) {
	answers, timeout := c.post(open...)
	for i, x := range open {
		select {
		case res := <-answers[i]:
			c.judge(x, res)
		case <-timeout:
			x.unsure = true
			timeout = time.After(1)
		}
	}
}

// judge takes an answer to an operation that had none.
func (c *visitor) judge(x *sending, res Result) {
	var e *Error
	errors.As(res.Err, &e)
	switch {
	case res.Err == nil, res.Panicked, e.Code == CodeRefused, e.Code == CodeFailed:
		x.acked, x.first, x.end = true, res, time.Now()
		if (res.Err != nil) != (x.k < 0 && !res.present) {
			c.fault("%s has the answer %+v", x.op.Data, res)
		}
		if res.Repeat && (x.op.Once == nil || !x.unsure) {
			c.fault("%s was not sent before: %+v", x.op.Data, res)
		}
		if total := string(res.Outcome.Reply.Text); x.k >= 0 && digit(total, x.k) != 1 {
			c.fault("%s is not in the total %s", x.op.Data, total)
		}
	case e.Code == CodeUnknown:
		x.unsure = true
		if e.Retry != (x.op.Once != nil) {
			c.fault("%s: %+v", x.op.Data, e)
		}
	case e.Code == CodeUnavailable:
	case x.op.Once != nil && x.op.Once.ID.N > 1 && (e.Code == CodeExpected || e.Code == CodeUnknownClient): // one before it is open
	default:
		c.fault("%s: %v", x.op.Data, res.Err)
	}
	if x.acked && x.op.Once != nil {
		c.done = append(c.done, x)
	}
}

// again sends an old operation anew, which has its first answer.
func (c *visitor) again() {
	if len(c.done) == 0 || !c.chance.Percent(30) {
		return
	}
	x := c.done[c.chance.Below(len(c.done))]
	time.Sleep(c.chance.UpTo(time.Second))
	answers, timeout := c.post(x)
	select {
	case res := <-answers[0]:
		c.compare(x, res)
	case <-timeout:
	}
}

// compare compares the answer to a repeat with the first one.
func (c *visitor) compare(x *sending, res Result) {
	before, now := x.first, res
	switch {
	case errors.Is(now.Err, ErrUnavailable), errors.Is(now.Err, ErrUnknown): // this process has not seen it
	case !now.Repeat:
		c.fault("%s was answered: %+v", x.op.Data, now)
	case before.Panicked:
		if !errors.Is(now.Err, errFailed) {
			c.fault("%s has panicked: %+v", x.op.Data, now)
		}
	case before.Err != nil:
		if now.Err == nil || now.Err.Error() != before.Err.Error() {
			c.fault("%s was refused: %+v", x.op.Data, now)
		}
	case now.Err != nil, !now.present && !before.present && (now.Version != before.Version || string(now.Outcome.Reply.Text) != string(before.Outcome.Reply.Text)),
		now.present && now.Version < before.Version:
		c.fault("%s had the answer %+v, then %+v", x.op.Data, before, now)
	}
}

// reading is what somebody has read of the room.
type reading struct {
	start, end time.Time
	total      string
}

// read looks at the room as somebody who comes new.
func (s *simulation) read(chance *enginestest.Chance) {
	for {
		time.Sleep(chance.UpTo(2 * time.Second))
		select {
		case <-s.over:
			return
		default:
		}
		x := reading{start: time.Now()}
		r := New(key, &Store{Engine: s.network, Limit: new(limit)}, func(error) {})
		if r.Load(context.Background(), powers{}, "route") != nil {
			continue
		}
		x.end, x.total = time.Now(), string(r.Snapshot().View.Text)
		s.mu.Lock()
		s.reads = append(s.reads, x)
		s.mu.Unlock()
	}
}

// simulate runs a simulation to its end.
func simulate(t *testing.T, seed uint64) (s *simulation) {
	synctest.Test(t, func(t *testing.T) {
		s = &simulation{t: t, seed: seed, chance: enginestest.NewChance(seed), over: make(chan struct{})}
		s.network = &enginestest.Network{Chance: s.chance, Faults: s.chance.Below(12)}
		var others sync.WaitGroup
		for i := range 1 + s.chance.Below(3) {
			p := &server{simulation: s, chance: enginestest.NewChance(seed<<8 + 128 + uint64(i))}
			s.processes = append(s.processes, p)
		}
		for _, p := range s.processes {
			others.Go(p.run)
		}
		for i := range 3 + s.chance.Below(5) {
			c := &visitor{simulation: s, name: fmt.Sprint("client", i), kind: s.chance.Below(8) % 3, chance: enginestest.NewChance(seed<<8 + uint64(i))}
			s.clients.Add(1)
			go c.run(2 + s.chance.Below(8))
		}
		others.Go(func() { s.read(enginestest.NewChance(seed<<8 + 255)) })
		s.clients.Wait()
		close(s.over)
		others.Wait()
		time.Sleep(time.Minute) // for what lands late
		s.check()
	})
	return s
}

// check compares what was told with what is stored.
func (s *simulation) check() {
	r := New(key, &Store{Engine: &s.network.Engine, Limit: new(limit)}, func(err error) { s.fault("%v", err) })
	if err := r.Load(context.Background(), powers{}, "route"); err != nil {
		s.fault("%v", err)
	}
	total := string(r.Snapshot().View.Text)
	counted := uint64(0)
	for _, x := range s.sends {
		if x.k < 0 {
			continue
		}
		n := digit(total, x.k)
		counted += uint64(n)
		switch {
		case n > 1, n != 1 && x.acked, n != 0 && !x.acked && !x.unsure:
			s.fault("operation %d counts %d times: %+v", x.k, n, x)
		}
	}
	if v := r.Snapshot().Version; v != counted {
		s.fault("version %d after %d operations", v, counted)
	}
	now := time.Now()
	s.reads = append(s.reads, reading{now, now, total})
	s.note(total)
	if len(s.wrong) > 0 {
		s.t.Errorf("seed %d:\n%s\nto repeat: REPLICA_SEED=%d go test -run TestSimulation ./replica", s.seed, strings.Join(s.wrong, "\n"), s.seed)
	}
}

// seeds calls a function for each seed: the one of REPLICA_SEED, or the first of so
// many as REPLICA_SEEDS says.
func seeds(t *testing.T, n uint64, do func(seed uint64)) {
	if one, err := strconv.ParseUint(os.Getenv("REPLICA_SEED"), 10, 64); err == nil {
		do(one)
		return
	}
	if more, err := strconv.ParseUint(os.Getenv("REPLICA_SEEDS"), 10, 64); err == nil {
		n = more
	}
	for seed := range n {
		if do(seed); t.Failed() {
			return
		}
	}
}

// What is acknowledged counts once, what is refused does not count, and what is not
// known counts at most once, and exactly once when it has been retried under its id.
func TestSimulation(t *testing.T) {
	seeds(t, 1000, func(seed uint64) { simulate(t, seed) })
}

// A seed that has failed fails again.
func TestASimulationIsRepeatable(t *testing.T) {
	for seed := range uint64(10) {
		if a, b := simulate(t, seed).history, simulate(t, seed).history; a != b {
			t.Errorf("seed %d gives %x, then %x", seed, a, b)
		}
	}
}
