package hubtest

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
)

// CounterApp is a stateful app whose messages are operations of a counter.
type CounterApp struct {
	Faults  *Faults
	OnJoin  func(apps.Conn) error
	OnLeave func(apps.Conn)
	Shown   func() bool
	Pace    func() time.Duration
}

func NewCounterApp() *CounterApp { return &CounterApp{Faults: new(Faults)} }

func (*CounterApp) Inline() {}
func (a *CounterApp) NewState() apps.State {
	a.Faults.Hit("NewState")
	return &Counter{Faults: a.Faults}
}
func (*CounterApp) Receive(c apps.Conn, m apps.Message) error { return receive(c, m) }
func (a *CounterApp) Join(c apps.Conn, _ apps.Handshake) error {
	if a.OnJoin != nil {
		return a.OnJoin(c)
	}
	return nil
}

func (a *CounterApp) Leave(c apps.Conn) {
	if a.OnLeave != nil {
		a.OnLeave(c)
	}
}

func (a *CounterApp) Greets(apps.Conn) bool { return a.Shown != nil && a.Shown() }

func (a *CounterApp) Every() time.Duration {
	if a.Pace == nil {
		return 0
	}
	return a.Pace()
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

// Faults makes methods of a counter panic or fail. It is safe for concurrent use.
type Faults struct {
	mu    sync.Mutex
	panic map[string]int // how often still
}

func (f *Faults) Set(method string, times int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.panic == nil {
		f.panic = make(map[string]int)
	}
	f.panic[method] = times
}

func (f *Faults) Hit(method string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.panic[method] > 0 {
		f.panic[method]--
		panic(method + " panics")
	}
}

// Counter is a state that says how many operations it has had. Their data are
// commands: "bad" is refused, "nil" is refused with an error that panics, "boom"
// panics in the middle, "quiet" has no update, "mute" no reply, "event" leads to
// one, "silent" to nothing at all, "big" to much.
type Counter struct {
	Faults *Faults
	N      int // operations
	bytes  int
}

func (c *Counter) Apply(op apps.Op) (apps.Outcome, error) {
	c.Faults.Hit("Apply")
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
	c.N++
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
		out.Events = []apps.Event{{}, {Name: "alert", Body: apps.Body{Text: fmt.Appendf(nil, "event %d", c.N), JSON: fmt.Appendf(nil, `{"n":%d}`, c.N)}}}
	}
	return out, nil
}

func (c *Counter) View() apps.Body {
	c.Faults.Hit("View")
	return c.view()
}

func (c *Counter) view() apps.Body {
	return apps.Body{Text: strconv.AppendInt(nil, int64(c.N), 10), JSON: fmt.Appendf(nil, `{"n":%d}`, c.N)}
}

func (c *Counter) MarshalBinary() ([]byte, error) {
	c.Faults.Hit("MarshalBinary")
	return fmt.Appendf(nil, "%d;%s", c.N, strings.Repeat("x", c.bytes)), nil
}

func (c *Counter) UnmarshalBinary(p []byte) error {
	c.Faults.Hit("UnmarshalBinary")
	number, rest, ok := bytes.Cut(p, []byte(";"))
	if !ok {
		return errors.New("damaged")
	}
	n, err := strconv.Atoi(string(number))
	c.N, c.bytes = n, len(rest)
	return err
}
