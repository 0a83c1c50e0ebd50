package measure

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyws/caddy-websocket/client"
	"github.com/gorilla/websocket"
)

const (
	dialers      = 64 // how many handshakes are under way at a time
	closeTimeout = 2 * time.Second
)

// run is one measurement.
type run struct {
	plan
	dial  func(context.Context) (*websocket.Conn, error)
	sleep func(time.Duration) // of the pace; may return early
	name  string              // in markers
	tally *tally

	begin   time.Time      // what the times in markers count from
	slots   []*conn        // by number, nil where it could not be opened
	conns   []*conn        // those that could
	started atomic.Int64   // when the first message is due, in ns; 0 before
	stop    chan struct{}  // closed when nothing more is sent
	closing atomic.Bool    // connections are being closed: their ends are no errors
	readers sync.WaitGroup // of the connections
	senders sync.WaitGroup // of the connections, and the pace
	flying  atomic.Int64   // messages without answer
}

func newRun(p plan, dial func(context.Context) (*websocket.Conn, error)) *run {
	return &run{plan: p, dial: dial, sleep: sleep, name: newName(), tally: newTally(p.connections), begin: time.Now(), stop: make(chan struct{})}
}

// do measures until the plan is done or the context ends, and reports what it has
// measured by then. The error means that nothing could be measured.
func (r *run) do(ctx context.Context) (*Report, error) {
	r.connect(ctx)
	if err := ctx.Err(); err != nil {
		r.close()
		return nil, errors.New("interrupted before all connections were there")
	}
	if len(r.conns) == 0 {
		return nil, r.tally.first
	}
	sending := r.load(ctx)
	r.await(r.patience(ctx))
	r.close() // what is on its way to others comes before the answers to that
	return newReport(r, sending), nil
}

// connect opens the connections, some at a time.
func (r *run) connect(ctx context.Context) {
	r.slots = make([]*conn, r.connections)
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(dialers, r.connections) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < r.connections && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				r.slots[i] = r.open(ctx, i)
			}
		})
	}
	group.Wait()
	for _, c := range r.slots {
		if c != nil {
			r.conns = append(r.conns, c)
		}
	}
}

// open opens one connection, and returns nil if that fails.
func (r *run) open(ctx context.Context, i int) *conn {
	begin := time.Now()
	ws, err := r.dial(ctx)
	if err != nil {
		if ctx.Err() == nil {
			r.tally.fail(inShort(err), err)
		}
		return nil
	}
	r.tally.handshake(time.Since(begin))
	c := &conn{run: r, ws: ws, i: i, shard: r.tally.shard(i), woken: make(chan struct{}, 1), waiting: make(map[int]struct{})}
	ws.SetReadLimit(2 * maxSize)
	r.readers.Go(c.receive)
	return c
}

// inShort is an error in one line: the body of a refusal would be one of many.
func inShort(err error) string {
	if refused, ok := errors.AsType[*client.Refused](err); ok {
		return refused.Short()
	}
	return client.Printable(err.Error())
}

// load has messages sent for the duration of the plan, and those that are overdue then
// for a while longer. It returns how long that took.
func (r *run) load(ctx context.Context) time.Duration {
	begin, done := make(chan struct{}), make(chan struct{})
	for _, c := range r.conns {
		r.senders.Go(func() {
			<-begin
			c.send()
		})
	}
	r.started.Store(int64(r.now()))
	close(begin)
	defer close(r.stop)
	if r.rate > 0 {
		r.senders.Go(r.pace)
	}
	select {
	case <-time.After(r.duration):
	case <-ctx.Done():
		return r.now() - r.start()
	}
	go func() { r.senders.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(r.wait):
	case <-ctx.Done():
	}
	return r.now() - r.start()
}

// start is when the first message is due. It is known before anything is sent.
func (r *run) start() time.Duration { return time.Duration(r.started.Load()) }

// now is the time by the clock of this run.
func (r *run) now() time.Duration { return time.Since(r.begin) }

// patience is how long answers are waited for.
func (r *run) patience(ctx context.Context) time.Duration {
	if ctx.Err() != nil { // somebody waits for this command to end
		return min(r.wait, time.Second)
	}
	return r.wait
}

// await waits for answers that are still to come.
func (r *run) await(atMost time.Duration) {
	const often = 5 * time.Millisecond
	ticker := time.NewTicker(often)
	defer ticker.Stop()
	late := time.After(atMost)
	for r.flying.Load() > 0 {
		select {
		case <-ticker.C:
		case <-late:
			return
		}
	}
}

// close ends all connections, politely if the server lets it.
func (r *run) close() {
	r.closing.Store(true)
	deadline := time.Now().Add(closeTimeout)
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(dialers, len(r.conns)) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(r.conns); i = int(next.Add(1)) - 1 {
				r.conns[i].sayGoodbye(deadline)
			}
		})
	}
	group.Wait()
	for _, c := range r.conns {
		_ = c.ws.NetConn().SetReadDeadline(deadline) // else it ends when it is closed
	}
	r.readers.Wait()
	r.senders.Wait()
}

func (c *conn) sayGoodbye(deadline time.Time) {
	frame := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	if c.ws.WriteControl(websocket.CloseMessage, frame, deadline) != nil {
		_ = c.ws.Close() // its sender may be stuck
	}
}
