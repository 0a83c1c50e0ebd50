package hub_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
)

// counterApp is a stateful app whose messages are operations of a counter.
type counterApp struct {
	faults *faults
	onJoin func(apps.Conn) error
	leave  func(apps.Conn)
	greets func() bool
	every  func() time.Duration
}

func newCounterApp() *counterApp { return &counterApp{faults: new(faults)} }

func (*counterApp) Inline() {}
func (a *counterApp) NewState() apps.State {
	a.faults.hit("NewState")
	return &counter{faults: a.faults}
}
func (*counterApp) Receive(c apps.Conn, m apps.Message) error { return receive(c, m) }
func (a *counterApp) Join(c apps.Conn, _ apps.Handshake) error {
	if a.onJoin != nil {
		return a.onJoin(c)
	}
	return nil
}

func (a *counterApp) Leave(c apps.Conn) {
	if a.leave != nil {
		a.leave(c)
	}
}

func (a *counterApp) Greets(apps.Conn) bool { return a.greets != nil && a.greets() }

func (a *counterApp) Every() time.Duration {
	if a.every == nil {
		return 0
	}
	return a.every()
}

func receive(c apps.Conn, m apps.Message) error {
	switch string(m.Data) {
	case "receive panics":
		panic("receive panics")
	case "receive fails":
		return errors.New("failed")
	case "receive fails with nil":
		return (*apps.CloseError)(nil)
	case "receive closes":
		return &apps.CloseError{Code: 4001, Reason: "enough"}
	case "op, and a refusal of nothing":
		c.Room().Apply(c, []byte("op"))
		c.(apps.Worker).Fail(apps.Refuse(nil))
		return nil
	case "receive refuses":
		return apps.Refuse(errors.New("no"))
	}
	c.Room().Apply(c, m.Data)
	return nil
}

// faults makes methods of a counter panic or fail. It is safe for concurrent use.
type faults struct {
	mu    sync.Mutex
	panic map[string]int // how often still
}

func (f *faults) set(method string, times int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.panic == nil {
		f.panic = make(map[string]int)
	}
	f.panic[method] = times
}

func (f *faults) hit(method string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.panic[method] > 0 {
		f.panic[method]--
		panic(method + " panics")
	}
}

// counter is a state that says how many operations it has had. Their data are
// commands: "bad" is refused, "nil" is refused with an error that panics, "boom"
// panics in the middle, "quiet" has no update, "mute" no reply, "event" leads to
// one, "silent" to nothing at all, "big" to much.
type counter struct {
	faults *faults
	n      int
	bytes  int
}

func (c *counter) Apply(op apps.Op) (apps.Outcome, error) {
	c.faults.hit("Apply")
	command := string(op.Data)
	switch command {
	case "bad":
		return apps.Outcome{}, errors.New("bad operation")
	case "nil":
		return apps.Outcome{}, (*apps.CloseError)(nil)
	case "big":
		c.bytes += 1000
	}
	if op.At.Location().String() != "UTC" || op.At != op.At.Round(0) {
		return apps.Outcome{}, fmt.Errorf("time is not as stored: %v", op.At)
	}
	c.n++
	if command == "boom" {
		panic("boom")
	}
	out := apps.Outcome{Reply: c.view(), Update: c.view()}
	switch command {
	case "quiet":
		out.Update = apps.Body{}
	case "mute":
		out.Reply = apps.Body{}
	case "silent":
		out = apps.Outcome{}
	case "event":
		out.Events = []apps.Body{{}, {Text: fmt.Appendf(nil, "event %d", c.n), JSON: fmt.Appendf(nil, `{"n":%d}`, c.n)}}
	}
	return out, nil
}

func (c *counter) View() apps.Body {
	c.faults.hit("View")
	return c.view()
}

func (c *counter) view() apps.Body {
	return apps.Body{Text: strconv.AppendInt(nil, int64(c.n), 10), JSON: fmt.Appendf(nil, `{"n":%d}`, c.n)}
}

func (c *counter) MarshalBinary() ([]byte, error) {
	c.faults.hit("MarshalBinary")
	return fmt.Appendf(nil, "%d;%s", c.n, strings.Repeat("x", c.bytes)), nil
}

func (c *counter) UnmarshalBinary(p []byte) error {
	c.faults.hit("UnmarshalBinary")
	number, rest, ok := bytes.Cut(p, []byte(";"))
	if !ok {
		return errors.New("damaged")
	}
	n, err := strconv.Atoi(string(number))
	c.n, c.bytes = n, len(rest)
	return err
}

// engine is a memory engine that is not Volatile and whose Swap a test decides
// over.
type engine struct {
	engines.Engine
	onSwap func(do func() error) error // nil: store
	max    int

	mu    sync.Mutex
	swaps int
}

func newEngine() *engine { return &engine{Engine: new(memory.Engine), max: 1 << 20} }

func (e *engine) MaxState() int { return e.max }

func (e *engine) Swap(ctx context.Context, key engines.Key, rev uint64, v engines.Value) (next uint64, err error) {
	e.mu.Lock()
	e.swaps++
	on := e.onSwap
	e.mu.Unlock()
	do := func() (err error) {
		next, err = e.Engine.Swap(ctx, key, rev, v)
		return err
	}
	if on == nil {
		return next, do()
	}
	err = on(do)
	return next, err
}

func (e *engine) set(on func(do func() error) error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.onSwap = on
}

func (e *engine) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.swaps
}

// gate makes Swap wait: each one is announced on taken and then needs a go.
type gate struct {
	taken chan struct{}
	pass  chan error
}

func newGate() *gate { return &gate{make(chan struct{}), make(chan error)} }

func (g *gate) swap(do func() error) error {
	g.taken <- struct{}{}
	if err := <-g.pass; err != nil {
		return err
	}
	return do()
}
