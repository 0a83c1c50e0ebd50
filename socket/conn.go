package socket

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/message"
)

// Handler is told what happens on a [Conn]. Its methods are called one after
// another; they must not block. A panic of Message or Flush ends the connection,
// one of Closed is nobody's but the caller's of Serve.
type Handler interface {
	// Message is called for each message; data is valid during the call only.
	Message(data []byte, binary bool)
	// Flush is called when the messages that arrived together have been handed
	// over: what they lead to is collected until then.
	Flush()
	// HungUp is called, at most once, when the client has ended its own direction
	// without a close frame: nothing more will come from it, and perhaps nobody
	// is there any more. What is held is still waited for.
	HungUp()
	// CaughtUp is called once after [Conn.Lag] has said that the client is
	// behind, when it no longer is, or leaves. It may come at the same time as
	// other calls and must not call the connection.
	CaughtUp()
	// Excused is how many bytes may wait beyond Settings.MaxQueue, since those
	// whom they come from are held up for it. It must not call the connection.
	Excused() int
	// Closed is called once, last. A loop calls it that others wait for.
	Closed(End)
}

// End tells how a connection ended.
type End struct {
	Code     frames.CloseCode // the first close code said by either side, or Abnormal if the client went without one
	ByPeer   bool             // the client said it
	Reason   string           // its reason, as said by the side that said it
	Err      error            // why the connection was cut, if it was
	Duration time.Duration

	MessagesIn, MessagesOut uint64 // out: also those that a newer update has replaced
	BytesIn, BytesOut       uint64 // payloads, headers and control frames
}

// Why the server cuts a connection without a close frame that could arrive.
var (
	errSilent = errors.New("no sign of life after a ping")
	errSlow   = errors.New("client took nothing for the write timeout")
	errNoEnd  = errors.New("client did not finish the close handshake")
)

// Conn is one WebSocket connection, at the server's end. Its exported methods
// may be called from any goroutine, do not block, and do nothing once the
// connection has ended.
type Conn struct {
	// Immutable.
	handler  Handler
	settings *atomic.Pointer[Settings]
	format   message.Format

	// Immutable once Serve or Start has begun, nil before.
	link   link
	polled *polled // the link, if a loop serves it

	// Owned by the reader.
	deaf  bool // a close frame or a violation has come: nothing after it counts
	muted bool // we are closing: only the client's close frame counts
	waits bool // it has stopped in the middle of what was read
	in    assembler
	rate  *rate.Limiter // of messages; nil until one comes that counts

	mu sync.Mutex

	// Guarded by mu.
	out      queue
	writing  int        // bytes that were taken from out and the socket has not taken
	rest     []byte     // for the loop: those bytes
	restOwn  *buffer    // to be put back once they are written
	flushing bool       // a goroutine is writing them, or the loop will
	paused   bool       // the reader waits for changed
	awaited  bool       // the handler is to be told when the client has caught up
	whole    bool       // what is being collected is queued as a whole
	corks    int32      // while positive, out only collects; Serve takes the first one out
	holds    int32      // messages that are not settled
	begun    uint32     // the value of in.begun at the end of the last read
	unsent   int        // what the socket held when we last looked; -1 if unknown
	held     int        // bytes of the messages that are not settled
	changed  *sync.Cond // nil until somebody waits

	progress   moment // when the socket last took something, while flushing
	heard      moment // when the last bytes came
	pinged     moment // when the last ping was sent
	pingEnd    int64  // how many bytes the client has once it has that ping
	arrived    int64  // how many it had when it was pinged
	assembling moment // when the unfinished message began; zero if there is none
	closeBy    moment // when waiting ends, first for held messages and then for the client
	wake       moment // what timer is armed for
	timer      *time.Timer

	closeWanted bool // a close frame, with the code and reason in end, is to be sent once nothing is held
	closing     bool // it has been queued: nothing may follow
	peerClosed  bool // the client's close frame, or the end of its stream, has come
	failed      bool // the client broke a rule and may still be sending
	shut        bool // our direction has been ended
	gone        bool // the connection has been ended
	end         End
}

// New returns a connection before its handshake: what it is told is kept until
// Start. Settings are looked up when they are needed, so that they can be
// replaced. The format is that of what the connection is told in batches; with
// message.Events it must be served by ServeEvents.
func New(settings *atomic.Pointer[Settings], format message.Format, handler Handler) *Conn {
	return &Conn{handler: handler, settings: settings, format: format, corks: 1}
}

// oneWay reports whether the client cannot answer, since it reads an event stream.
func (c *Conn) oneWay() bool { return c.format == message.Events }

// Transport is the connection below a [Conn] once its handshake was answered.
type Transport struct {
	Conn     net.Conn       // must have no deadlines set; belongs to the Conn
	Buffered []byte         // what came behind the handshake; is changed
	Deflate  frames.Deflate // what was agreed on
}

// Start talks WebSocket over a connection of its own, until it has ended and the
// handler was told so. It does not wait for that: plain TCP is served by a loop,
// where there are loops, TLS while it is silent, others by a goroutine. A panic ends
// the connection only.
func (c *Conn) Start(t Transport) {
	if p := newPolled(t.Conn, c); p != nil {
		p.keep(t.Buffered)
		c.start(p, t.Deflate)
		p.start()
		return
	}
	l := newSecure(t.Conn, c)
	if l == nil {
		l = newLink(t.Conn)
	}
	c.start(l, t.Deflate)
	go c.run(t.Buffered)
}

// Serve is Start, and waits for the end. A goroutine serves the connection.
func (c *Conn) Serve(t Transport) { c.serve(newLink(t.Conn), t) }

// ServeStream talks WebSocket over a stream of HTTP/2 or HTTP/3, the answer to which
// has been sent, until the stream has ended and the handler was told so. Neither the
// request nor the response is used any more when it returns.
func (c *Conn) ServeStream(w http.ResponseWriter, r *http.Request, d frames.Deflate) {
	c.serve(&httpStream{response: newResponse(w, r), body: r.Body}, Transport{Deflate: d})
}

func (c *Conn) serve(l link, t Transport) {
	c.start(l, t.Deflate)
	c.run(t.Buffered)
}

// start lets out what was kept.
func (c *Conn) start(l link, d frames.Deflate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.agree(d)
	now := now()
	c.link, c.heard = l, now
	c.end.Duration = -time.Duration(now) // the end will be added
	c.polled, _ = l.(*polled)
	c.arm(now)
	c.corks--
	c.pump()
}

// run reads until the end, or until the link needs no goroutine for a while.
func (c *Conn) run(buffered []byte) {
	err := c.read(buffered)
	switch err {
	case errCold:
		return // it is run again
	case io.EOF:
		c.linger()
	}
	c.finish(err)
}

func (c *Conn) read(buffered []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if len(buffered) > 0 {
		c.feed(buffered)
	}
	for {
		b, err := c.link.read()
		if err != nil {
			return err
		}
		c.feed(b.b)
		putBuffer(b)
	}
}

// feed handles what one read brought.
func (c *Conn) feed(p []byte) {
	c.begin(len(p))
	c.consume(p)
	c.handler.Flush()
	c.endBatch()
}

// consume hands over the messages in p. A rest is left only by a connection that
// cannot wait and has to go on later.
func (c *Conn) consume(p []byte) (rest []byte) {
	c.waits = false
	for len(p) > 0 && c.ready() {
		e, n, err := c.in.next(p, c.settings.Load().MaxMessageSize)
		p = p[n:]
		if err == nil {
			err = c.handle(e)
		}
		if err != nil {
			c.violated(err)
		}
	}
	if c.deaf {
		c.overhear(p)
	}
	c.in.settle()
	if !c.waits {
		return nil
	}
	return p
}

// begin starts to collect what a read leads to.
func (c *Conn) begin(n int) {
	c.mu.Lock()
	c.heard = now()
	c.end.BytesIn += uint64(n)
	c.corks++
	c.mu.Unlock()
}

// endBatch sends what was collected.
func (c *Conn) endBatch() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.in.incomplete():
		c.assembling = 0
	case c.begun != c.in.begun:
		c.assembling = c.heard
		c.armFor(c.assembling.add(assemblyTimeout))
	}
	c.begun = c.in.begun
	c.corks--
	c.pump()
}

// ready waits until the client may be read and tells whether what it says still
// counts. Flush is called without the lock, and without a deferred unlock
// waiting, since it may panic.
func (c *Conn) ready() bool {
	for !c.deaf {
		full, gone := c.look()
		if !full {
			return !gone
		}
		c.handler.Flush()
		if !c.pause() {
			return false
		}
	}
	return false
}

// look tells the reader how things stand.
func (c *Conn) look() (full, gone bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.muted = c.closeWanted
	return c.full(), c.gone
}

// full tells whether the client must take or wait for answers before it may ask
// for more. When we are closing it gets no more answers, and its close frame is
// waited for.
func (c *Conn) full() bool {
	if c.closeWanted || c.gone {
		return false
	}
	return c.holds >= maxUnanswered || c.held >= maxUnsettled ||
		c.owed() > c.settings.Load().MaxQueue/2
}

// pause sends what was collected and waits until the client may be read again.
// Where it cannot wait it tells whether the client may be read on at once.
func (c *Conn) pause() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.corks--
	c.pump()
	c.paused = c.full()
	for c.paused && c.polled == nil {
		c.await()
		c.paused = c.full()
	}
	c.corks++
	c.waits = c.paused
	return !c.paused
}

// await returns after the next announce.
func (c *Conn) await() {
	if c.changed == nil {
		c.changed = sync.NewCond(&c.mu)
	}
	c.changed.Wait()
}

func (c *Conn) announce() {
	if c.changed != nil {
		c.changed.Broadcast()
	}
}

// handle acts on one event of the client.
func (c *Conn) handle(e event) error {
	switch e.opcode {
	case frames.Text, frames.Binary:
		return c.handleMessage(e)
	case frames.Ping:
		c.send(frames.Pong, e.payload)
	case frames.Close:
		return c.handleClose(e.payload)
	}
	return nil
}

func (c *Conn) handleMessage(e event) error {
	switch {
	case c.muted:
		return nil
	case !c.mayAsk():
		return errTooFast
	}
	c.end.MessagesIn++ // owned by the reader until finish
	c.handler.Message(e.payload, e.opcode == frames.Binary)
	return nil
}

// mayAsk tells whether one more message is within the rate.
func (c *Conn) mayAsk() bool {
	s := c.settings.Load()
	if s.MessageRate <= 0 {
		return true
	}
	if c.rate == nil || c.rate.Limit() != rate.Limit(s.MessageRate) || c.rate.Burst() != s.MessageBurst {
		c.rate = rate.NewLimiter(rate.Limit(s.MessageRate), s.MessageBurst)
	}
	return c.rate.Allow()
}

func (c *Conn) handleClose(payload []byte) error {
	code, reason, err := frames.ParseClose(payload)
	if err != nil {
		if isStream(c.link) {
			c.noteClose() // if not as it should be said
		}
		return err
	}
	c.deaf = true
	c.mu.Lock()
	defer c.mu.Unlock()
	c.peerClosed = true
	c.end.ByPeer = !c.closeWanted
	c.wantClose(code, reason)
	c.drained()
	return nil
}

// violated closes with the code of the rule that the client broke.
func (c *Conn) violated(err error) {
	var rule *frames.Error
	if !errors.As(err, &rule) {
		rule = &frames.Error{Code: frames.InternalError}
	}
	c.deaf = true
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = true
	c.wantClose(rule.Code, rule.Rule)
}

// overhear looks for the close frame of a client that has broken a rule on a
// stream. Others learn from the end of our direction that they are to end theirs.
func (c *Conn) overhear(p []byte) {
	if isStream(c.link) && c.in.skip(p) {
		c.noteClose()
	}
}

// noteClose notes that nothing will follow from a client that has broken a rule.
func (c *Conn) noteClose() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.peerClosed = true
	c.drained()
}

// linger says what is still to be said to a client that has ended its own
// direction and may wait for ours.
func (c *Conn) linger() {
	c.hungUp()
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.closeWanted && !c.gone {
		c.await()
	}
}

// hungUp acts on the end of the client's direction. A client that has not said
// goodbye is answered what it asked for, and then with a close frame.
func (c *Conn) hungUp() {
	c.mu.Lock()
	abrupt := !c.peerClosed && !c.gone
	c.peerClosed = true
	if !c.oneWay() {
		c.wantClose(frames.Abnormal, "")
	}
	c.drained()
	c.mu.Unlock()
	if abrupt {
		c.handler.HungUp()
	}
}

// lost ends the connection because of what reading it gave.
func (c *Conn) lost(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut(err)
}

// isGone tells whether the connection has been ended.
func (c *Conn) isGone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone
}

// unpaused tells whether the client may be read again.
func (c *Conn) unpaused() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.paused || c.gone
}

// finish ends the connection for good and tells the handler.
func (c *Conn) finish(err error) {
	c.mu.Lock()
	c.gone = true
	c.caughtUp()
	c.link.abort()
	for c.flushing {
		c.await()
	}
	end := c.clear(err)
	c.mu.Unlock()
	c.link.wait()
	c.handler.Closed(end)
}

// clear gives back what the connection holds and returns how it ended.
func (c *Conn) clear(err error) End {
	c.out.clear()
	c.in.reset()
	if c.timer != nil {
		c.timer.Stop()
	}
	return c.summary(err)
}

func (c *Conn) summary(err error) End {
	end := c.end
	end.Duration += time.Duration(now())
	switch {
	case c.closeWanted:
	case c.oneWay():
		end.Code, end.ByPeer = frames.GoingAway, true // there is no other way to leave
	default:
		end.Code = frames.Abnormal
	}
	if end.Err == nil && !isGone(err) {
		end.Err = err
	}
	return end
}
