package socket

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyws/caddy-websocket/frames"
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
	// Closed is called once, last.
	Closed(End)
}

// End tells how a connection ended.
type End struct {
	Code     frames.CloseCode // the first close code said by either side, or Abnormal
	Reason   string           // its reason, as said by the side that said it
	ByPeer   bool             // the client said it
	Err      error            // why the connection was cut, if it was
	Duration time.Duration

	MessagesIn, MessagesOut uint64 // out: as far as sent to this client alone
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
	link     link
	handler  Handler
	settings *atomic.Pointer[Settings]
	born     time.Time

	// Owned by the reader.
	in    assembler
	begun uint // the value of in.begun at the end of the last read
	deaf  bool // a close frame or a violation has come: nothing after it counts
	muted bool // we are closing: only the client's close frame counts

	mu sync.Mutex

	// Guarded by mu.
	out        queue
	writing    int  // bytes that were taken from out and the socket has not taken
	flushing   bool // a goroutine is writing them
	corks      int  // while positive, out only collects
	holds      int  // messages that are not settled
	held       int  // their bytes
	paused     bool // the reader waits for changed
	changed    sync.Cond
	progress   time.Time // when the socket last took something, while flushing
	heard      time.Time // when the last bytes came
	pinged     time.Time // when the last ping was sent
	assembling time.Time // when the unfinished message began; zero if there is none

	closeWanted bool // a close frame is to be sent once nothing is held
	closeCode   frames.CloseCode
	closeReason string
	closing     bool // it has been queued: nothing may follow
	closeBy     time.Time
	peerClosed  bool // the client's close frame, or the end of its stream, has come
	failed      bool // the client broke a rule and may still be sending
	shut        bool // our direction has been ended
	gone        bool // the connection has been ended
	end         End

	timer *time.Timer
	wake  time.Time // what the timer is armed for
}

// New returns the connection over conn, which must have no deadlines set.
// Settings are looked up when they are needed, so that they can be replaced.
func New(conn net.Conn, settings *atomic.Pointer[Settings], handler Handler) *Conn {
	now := time.Now()
	c := &Conn{link: newLink(conn), handler: handler, settings: settings, born: now, heard: now}
	c.changed.L = &c.mu
	return c
}

// Serve reads until the connection has ended and the handler was told so.
// buffered is what the client sent behind its handshake; it is changed. A panic
// ends the connection only.
func (c *Conn) Serve(buffered []byte) {
	c.mu.Lock()
	c.arm(time.Now())
	c.mu.Unlock()
	err := c.read(buffered)
	if err == io.EOF {
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
	c.in.settle()
	c.handler.Flush()
	c.endBatch()
}

// begin starts to collect what a read leads to.
func (c *Conn) begin(n int) {
	c.mu.Lock()
	c.heard = time.Now()
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
		c.assembling = time.Time{}
	case c.begun != c.in.begun:
		c.assembling = c.heard
		c.armFor(c.assembling.Add(assemblyTimeout))
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
		c.pause()
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
func (c *Conn) pause() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.corks--
	c.pump()
	for c.full() {
		c.paused = true
		c.changed.Wait()
	}
	c.paused = false
	c.corks++
}

// handle acts on one event of the client.
func (c *Conn) handle(e event) error {
	switch e.opcode {
	case frames.Text, frames.Binary:
		if !c.muted {
			c.end.MessagesIn++ // owned by the reader until finish
			c.handler.Message(e.payload, e.opcode == frames.Binary)
		}
	case frames.Ping:
		c.send(frames.Pong, e.payload)
	case frames.Close:
		return c.handleClose(e.payload)
	}
	return nil
}

func (c *Conn) handleClose(payload []byte) error {
	code, reason, err := frames.ParseClose(payload)
	if err != nil {
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

// linger says what is still to be said, if we are closing, to a client that has
// ended its own direction and may wait for ours.
func (c *Conn) linger() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.peerClosed = true
	c.drained()
	for c.closeWanted && !c.gone {
		c.changed.Wait()
	}
}

// finish ends the connection for good and tells the handler.
func (c *Conn) finish(err error) {
	c.mu.Lock()
	c.gone = true
	c.link.abort()
	for c.flushing {
		c.changed.Wait()
	}
	c.out.clear()
	c.in.reset()
	if c.timer != nil {
		c.timer.Stop()
	}
	end := c.summary(err)
	c.mu.Unlock()
	c.link.wait()
	c.handler.Closed(end)
}

func (c *Conn) summary(err error) End {
	end := c.end
	end.Duration = time.Since(c.born)
	end.Code, end.Reason = frames.Abnormal, ""
	if c.closeWanted {
		end.Code, end.Reason = c.closeCode, c.closeReason
	}
	if end.Err == nil && !isGone(err) {
		end.Err = err
	}
	return end
}
