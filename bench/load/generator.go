// Package load makes WebSocket load from one thread: an epoll set over raw
// sockets, frames that were masked beforehand, answers compared and not
// decoded. It does less for a message than any server, so that it is not what
// is measured.
//
// A work is run in phases. Each begins and ends with nothing in flight: what
// the server spends between is for exactly the messages that are counted.
package load

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Generator has the clients of one server.
type Generator struct {
	addr    string
	epoll   int
	conns   []*conn
	buffer  []byte
	latency *hdrhistogram.Histogram // in microseconds
	count   int                     // messages or deliveries of this phase
	now     time.Time               // of this round of the loop
	work    work
}

// work is what the clients do.
type work interface {
	// message is called for each message that came.
	message(c *conn, payload []byte) error

	// tick is called after the messages of each round of the loop. It sends
	// while sending is true and reports whether anything is in flight.
	tick(sending bool) (busy bool, err error)
}

// Phase is what one phase has measured.
type Phase struct {
	Count   int // messages echoed, deliveries, acknowledged increments or texts, or clients let in
	Took    time.Duration
	Latency *hdrhistogram.Histogram // in microseconds
}

// stall is how long a server may take for nothing to come of what is in flight.
const stall = 10 * time.Second

// idleEvery is how long the loop waits at most if there is nothing to read.
const idleEvery = 1 // ms

// New returns a generator for the server at addr.
func New(addr string) (*Generator, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &Generator{addr: addr, epoll: epoll, buffer: make([]byte, 256<<10)}, nil
}

// Check judges, after all phases, what a server has kept, if the work is about that.
func (g *Generator) Check() error {
	if h, ok := g.work.(*history); ok {
		return h.check()
	}
	return nil
}

// Idle connects n clients of path that do nothing.
func (g *Generator) Idle(n int, path string, secure bool) error {
	return g.connect(n, path, secure, "")
}

// Close cuts all connections.
func (g *Generator) Close() {
	for _, c := range g.conns {
		// A reset leaves no port behind that waits for late packets.
		_ = syscall.SetsockoptLinger(c.fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1}) // it ends either way
		_ = syscall.Close(c.fd)
	}
	_ = syscall.Close(g.epoll)
}

// Run runs the work until count messages were counted or the time is over,
// whichever comes first, and then until nothing is in flight.
func (g *Generator) Run(count int, d time.Duration) (Phase, error) {
	g.latency = newLatency()
	g.count = 0
	begin := time.Now()
	progress, seen := begin, -1
	g.now = begin
	for {
		sending := g.count < count && g.now.Sub(begin) < d
		busy, err := g.work.tick(sending)
		if err != nil {
			return Phase{}, err
		}
		if !busy && !sending {
			return Phase{g.count, time.Since(begin), g.latency}, nil
		}
		if err := g.round(); err != nil {
			return Phase{}, err
		}
		if g.count != seen {
			progress, seen = g.now, g.count
		} else if g.now.Sub(progress) > stall {
			return Phase{}, fmt.Errorf("nothing came for %s, after %d messages", stall, g.count)
		}
	}
}

func newLatency() *hdrhistogram.Histogram { return hdrhistogram.New(1, 60_000_000, 3) }

// round reads what came once.
func (g *Generator) round() error {
	var events [512]syscall.EpollEvent
	n, err := syscall.EpollWait(g.epoll, events[:], idleEvery)
	if err != nil && err != syscall.EINTR {
		return err
	}
	g.now = time.Now()
	for i := range max(n, 0) {
		c := g.conns[events[i].Fd]
		if events[i].Events&syscall.EPOLLOUT != 0 {
			if err := g.flush(c); err != nil {
				return err
			}
		}
		if events[i].Events&^syscall.EPOLLOUT != 0 {
			if err := g.receive(c); err != nil {
				return fmt.Errorf("client %d: %w", c.id, err)
			}
		}
	}
	return nil
}

func (g *Generator) receive(c *conn) error {
	for {
		kept := copy(g.buffer, c.in)
		n, err := c.read(g.buffer[kept:])
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err == io.EOF {
			return errors.New("server closed the connection")
		}
		if err != nil {
			return err
		}
		rest, err := g.consume(c, g.buffer[:kept+n])
		if err != nil {
			return err
		}
		c.in = append(c.in[:0], rest...)
		if c.tls == nil {
			return nil // the set tells if there is more
		}
	}
}

// consumeEarly takes what came with the answers to the handshakes: it waits for more else.
func (g *Generator) consumeEarly() (err error) {
	for _, c := range g.conns {
		if c.in, err = g.consume(c, c.in); err != nil {
			return fmt.Errorf("client %d: %w", c.id, err)
		}
	}
	return nil
}

func (g *Generator) consume(c *conn, p []byte) ([]byte, error) {
	for {
		opcode, payload, size, err := cutFrame(p)
		if err != nil || size == 0 {
			return p, err
		}
		p = p[size:]
		switch opcode {
		case opPing:
			err = g.send(c, appendMasked(nil, opPong, payload))
		case opPong:
		case opClose:
			err = fmt.Errorf("server sent close frame % x %q", payload, payload)
		default:
			err = g.work.message(c, payload)
		}
		if err != nil {
			return p, err
		}
	}
}

// send writes frames, and what the socket does not take when it does.
func (g *Generator) send(c *conn, frames []byte) error {
	if c.tls != nil {
		_, err := c.tls.Write(frames)
		return err
	}
	if len(c.out) > 0 {
		c.out = append(c.out, frames...)
		return nil
	}
	n, err := writeFD(c.fd, frames)
	if err != nil || n == len(frames) {
		return err
	}
	c.out = append(c.out, frames[n:]...)
	return g.watch(c, syscall.EPOLLIN|syscall.EPOLLOUT)
}

func (g *Generator) flush(c *conn) error {
	n, err := writeFD(c.fd, c.out)
	if err != nil {
		return err
	}
	c.out = append(c.out[:0], c.out[n:]...)
	if len(c.out) > 0 {
		return nil
	}
	return g.watch(c, syscall.EPOLLIN)
}

func (g *Generator) watch(c *conn, events uint32) error {
	event := syscall.EpollEvent{Events: events, Fd: int32(c.id)}
	return syscall.EpollCtl(g.epoll, syscall.EPOLL_CTL_MOD, c.fd, &event)
}

// took records the time since then.
func (g *Generator) took(then time.Time) {
	_ = g.latency.RecordValue(max(1, g.now.Sub(then).Microseconds())) // fails beyond a minute, which stall excludes
}

// tookMany records the time since then for several messages.
func (g *Generator) tookMany(then time.Time, n int64) {
	_ = g.latency.RecordValues(max(1, g.now.Sub(then).Microseconds()), n) // see took
}
