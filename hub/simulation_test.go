package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/enginestest"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
	"github.com/caddyws/caddy-websocket/socket"
)

// A simulation is one room over an engine that is far away, through crashes and
// reloads of its hub, with clients that are slow or vanish. Operation k adds 4^k, so that
// each digit of the total to the base 4 tells how often an operation has counted.

// powersApp takes {"k":3} for operation 3.
type powersApp struct{}

func (powersApp) Inline()                {}
func (powersApp) Subprotocols() []string { return []string{message.Subprotocol} }
func (powersApp) NewState() apps.State   { return new(powersState) }

func (powersApp) Receive(c apps.Conn, m apps.Message) error {
	var op struct{ K int }
	if err := json.Unmarshal(m.Data, &op); err != nil {
		return apps.Refuse(err)
	}
	c.Room().Apply(c, strconv.AppendInt(nil, int64(op.K), 10))
	return nil
}

type powersState struct{ total big.Int }

func (s *powersState) Apply(op apps.Op) (apps.Outcome, error) {
	k, err := strconv.Atoi(string(op.Data))
	if err != nil {
		return apps.Outcome{}, err
	}
	s.total.Add(&s.total, new(big.Int).Lsh(big.NewInt(1), uint(2*k)))
	return apps.Outcome{Reply: s.View(), Update: s.View()}, nil
}

func (s *powersState) View() apps.Body {
	text := s.total.Text(4)
	return apps.Body{Text: []byte(text), JSON: fmt.Appendf(nil, `{"digits":%q}`, text)}
}

func (s *powersState) MarshalBinary() ([]byte, error) { return s.total.Bytes(), nil }
func (s *powersState) UnmarshalBinary(p []byte) error { s.total.SetBytes(p); return nil }

// digit returns how often operation k counts in a total.
func digit(total string, k int) int {
	if k >= len(total) {
		return 0
	}
	return int(total[len(total)-1-k] - '0')
}

// simulation is a room and what its clients know of it.
type simulation struct {
	t       *testing.T
	seed    uint64
	chance  *enginestest.Chance
	network *enginestest.Network

	mu sync.Mutex
	// Guarded by mu.
	hub    *hub.Hub
	engine *process
	route  *route.Route
	wrong  []string
}

// process is the engine as one process has it, which may crash: then nothing comes back.
type process struct {
	engines.Engine
	crashed context.Context
	crash   context.CancelFunc
}

var errCrashed = errors.New("crashed")

func (p *process) Load(ctx context.Context, key engines.Key) ([]byte, uint64, error) {
	state, rev, err := p.Engine.Load(ctx, key)
	if p.crashed.Err() != nil {
		return nil, 0, errCrashed
	}
	return state, rev, err
}

func (p *process) Swap(ctx context.Context, key engines.Key, rev uint64, v engines.Value) (uint64, error) {
	if p.crashed.Err() != nil {
		return 0, errCrashed
	}
	next, err := p.Engine.Swap(ctx, key, rev, v)
	if p.crashed.Err() != nil {
		return 0, errCrashed
	}
	return next, err
}

func (*process) Close() error { return nil }

func (s *simulation) fault(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong = append(s.wrong, fmt.Sprintf(format, args...))
}

// start begins a process.
func (s *simulation) start() {
	p := &process{Engine: s.network}
	p.crashed, p.crash = context.WithCancel(context.Background())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.engine, s.route = p, newPowersRoute()
	s.hub = hub.New(hubtest.Opens(p), hub.Limits{}, zap.NewNop)
	s.hub.Begin([]*route.Route{s.route})
}

func newPowersRoute() *route.Route {
	return route.New("powers", "powers", route.Config{App: powersApp{}, Named: true,
		Settings: socket.Settings{MaxMessageSize: 1000, MaxQueue: 64 << 10, WriteTimeout: 10 * time.Second}})
}

// end ends the process, in good order or by a crash.
func (s *simulation) end(crash bool) {
	h, grace := s.hub, 20*time.Second
	if crash {
		s.engine.crash()
		grace = 0
	}
	if err := h.Close(grace, frames.GoingAway, ""); err != nil && !errors.Is(err, hub.ErrUnfinished) {
		s.fault("closing: %v", err)
	}
}

// reload gives the room another instance of its app.
func (s *simulation) reload() {
	s.mu.Lock()
	before := s.route
	s.route = newPowersRoute()
	now := s.route
	s.mu.Unlock()
	s.hub.Adopt([]*route.Route{before}, []*route.Route{now}, hub.Limits{})
}

// disturb crashes, ends and reloads until the clients are done.
func (s *simulation) disturb(done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-time.After(s.chance.UpTo(20 * time.Second)):
		}
		switch s.chance.Below(4) {
		case 0:
			s.end(true)
			s.start()
		case 1:
			s.end(false)
			s.start()
		default:
			s.reload()
		}
	}
}

// visitor is a client with operations, each of which it sends until it has an answer.
type visitor struct {
	*simulation
	name   string
	chance *enginestest.Chance
	first  int // number of its first operation in the total
}

// told is a message of the room.
type told struct {
	Type, Epoch, ID, Digits, Code string
	Version                       uint64
	Retry, Repeat                 bool
}

// run sends n operations.
func (v *visitor) run(n int) {
	for i := range n {
		v.send(i+1, v.first+i)
		time.Sleep(v.chance.UpTo(500 * time.Millisecond))
	}
}

// send sends an operation, over as many connections as it takes.
func (v *visitor) send(n, k int) {
	for {
		c := v.connect()
		answered := v.ask(c, n, k)
		c.Close()
		if answered {
			return
		}
		time.Sleep(v.chance.UpTo(2 * time.Second))
	}
}

// connect lets the client in, as soon as that can be.
func (v *visitor) connect() *hubtest.Client {
	for {
		v.mu.Lock()
		h, rt := v.hub, v.route
		v.mu.Unlock()
		if c, err := hubtest.Dial(v.t, h, rt, room.Visitor{Room: "room", ClientIP: v.name, Subprotocol: message.Subprotocol}); err == nil {
			return c
		}
		time.Sleep(v.chance.UpTo(time.Second))
	}
}

// ask sends an operation over a connection and reads until its answer. It may vanish
// before, or read slowly.
func (v *visitor) ask(c *hubtest.Client, n, k int) (answered bool) {
	id := fmt.Sprintf("%s:%d", v.name, n)
	if _, err := c.Write(hubtest.Texts(fmt.Sprintf(`{"k":%d,"id":%q}`, k, id))); err != nil {
		return false
	}
	if v.chance.Percent(10) {
		return false
	}
	if v.chance.Percent(10) {
		time.Sleep(v.chance.UpTo(15 * time.Second))
	}
	seen := uint64(0)
	for {
		text, err := c.ReadText()
		if err != nil {
			return false
		}
		var m told
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			v.fault("%s: %v in %s", id, err, text)
			return true
		}
		switch {
		case m.ID != id:
			v.watch(id, m, &seen)
		case m.Type == "error" && !m.Retry:
			v.fault("%s is answered with %s", id, text)
			return true
		case m.Type == "error":
			return false
		default:
			v.judge(id, k, m)
			return true
		}
	}
}

// watch looks at what everybody is told: versions rise, and nothing counts twice.
func (v *visitor) watch(id string, m told, seen *uint64) {
	if m.Type == "error" || m.Type == "reply" {
		v.fault("%s is told %+v", id, m)
	}
	if m.Version < *seen {
		v.fault("%s is told version %d after %d", id, m.Version, *seen)
	}
	*seen = m.Version
	if strings.ContainsAny(m.Digits, "23") {
		v.fault("%s is told %s", id, m.Digits)
	}
}

// judge looks at a reply: the operation counts in it, once.
func (v *visitor) judge(id string, k int, m told) {
	if digit(m.Digits, k) != 1 || strings.ContainsAny(m.Digits, "23") {
		v.fault("%s, operation %d, is answered with %+v", id, k, m)
	}
}

// simulate runs a simulation to its end.
func simulate(t *testing.T, seed uint64) {
	synctest.Test(t, func(t *testing.T) {
		s := &simulation{t: t, seed: seed, chance: enginestest.NewChance(seed)}
		s.network = &enginestest.Network{Chance: s.chance, Faults: s.chance.Below(12)}
		s.start()
		const operations = 6
		var visitors, others sync.WaitGroup
		n := 2 + s.chance.Below(4)
		for i := range n {
			v := &visitor{s, fmt.Sprint("client", i), enginestest.NewChance(seed<<8 + uint64(i)), i * operations}
			visitors.Go(func() { v.run(operations) })
		}
		done := make(chan struct{})
		others.Go(func() { s.disturb(done) })
		visitors.Wait()
		close(done)
		others.Wait()
		s.network.Faults = 0
		time.Sleep(time.Minute) // for what lands late
		s.check(n * operations)
		s.end(false)
		if len(s.wrong) > 0 {
			t.Errorf("seed %d:\n%s\nto repeat: HUB_SEED=%d go test -run TestSimulation ./hub", seed, strings.Join(s.wrong, "\n"), seed)
		}
	})
}

// check compares the total with what it must be: every operation has counted once.
func (s *simulation) check(operations int) {
	view, err := s.hub.View(context.Background(), s.route, "room")
	if want := strings.Repeat("1", operations); err != nil || string(view.Text) != want || view.Version != uint64(operations) {
		s.fault("the total is %s, version %d, %v, want %s", view.Text, view.Version, err, want)
	}
}

// Every operation counts once, whatever becomes of the engine's answers, the process and
// the connections. HUB_SEEDS says how many simulations are run, HUB_SEED runs one.
func TestSimulation(t *testing.T) {
	if one, err := strconv.ParseUint(os.Getenv("HUB_SEED"), 10, 64); err == nil {
		simulate(t, one)
		return
	}
	n, err := strconv.ParseUint(os.Getenv("HUB_SEEDS"), 10, 64)
	if err != nil {
		n = 1000
	}
	if testing.Short() || raceEnabled {
		n = 50
	}
	for seed := range n {
		if simulate(t, seed); t.Failed() {
			return
		}
	}
}
