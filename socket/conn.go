package socket

import (
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/tally"
)

// Handler is told what happens on a [Conn]. Its methods are called one after
// another; they must not block. A panic of Message or Flush ends the connection. A
// panic of Closed is not recovered.
type Handler interface {
	// Message is called for each message; data is valid during the call only.
	Message(data []byte, binary bool)
	// Flush is called when the messages that arrived together have been handed
	// over: what they lead to is collected until then. It may be called again
	// without a message in between.
	Flush()
	// HungUp is called, at most once, when the client has ended its own direction
	// without a close frame: nothing more will come from it, and it may have left.
	// Messages that are held are still waited for.
	HungUp()
	// CaughtUp is called once after [Conn.Lag] has reported that the client is
	// behind, when it no longer is, or leaves. It may come at the same time as
	// other calls and must not call the connection.
	CaughtUp()
	// Excused returns how many bytes may wait beyond Settings.MaxQueue, because
	// the members that they come from are held up until the client catches up. It
	// must not call the connection.
	Excused() int
	// Expires returns until when the client may be here, or zero. It is always the same,
	// and must not call the connection.
	Expires() time.Time
	// Closed is called once, last. Other connections may have to wait for it to
	// return.
	Closed(End)
}

// End tells how a connection ended.
type End struct {
	Code     frames.CloseCode // the first close code said by either side, or Abnormal if the client went without one
	ByPeer   bool             // the client said it
	Replaced uint32           // updates that were never sent, since a newer one came; no more are counted than fit
	Reason   string           // its reason, as said by the side that said it
	Err      error            // why the connection was cut, if it was
	Duration time.Duration

	tally.Traffic
}

// Why the server cuts a connection without a close frame that could arrive.
var (
	errSilent = errors.New("no sign of life after a ping")
	errSlow   = errors.New("client took nothing for the write timeout")
	errNoEnd  = errors.New("client did not finish the close handshake")
)

// Conn is one WebSocket connection, at the server's end, or one event stream. Its
// exported methods may be called from any goroutine, do not block, and do nothing
// once the connection has ended; Serve, ServeStream and ServeEvents block until then.
//
// It is a state machine, and a [driver] moves its bytes. The fields are grouped by
// what they are for, each group in the file of its name; progress and unfinished are
// in keepalive.go.
type Conn struct {
	// Immutable once the connection has started.
	handler  Handler
	settings *atomic.Pointer[Settings]
	format   message.Format
	stream   bool // over HTTP/2 or 3, where the server cannot end its direction alone, but can end the whole without loss

	in reading // owned by the reader

	mu sync.Mutex

	// Guarded by mu.
	driver     driver // nil before the start
	out        sending
	flow       flow
	closing    closing
	alive      keepAlive
	progress   progress
	unfinished unfinished
	alarm      alarm
	end        End // as far as it has come
}

// New returns a connection before its handshake: what is sent is kept until it
// starts. Settings are looked up when they are needed, so that they can be replaced.
// Batches of messages are sent in the format; with one of events the connection
// must be served by ServeEvents.
func New(settings *atomic.Pointer[Settings], format message.Format, handler Handler) *Conn {
	return &Conn{handler: handler, settings: settings, format: format, out: sending{corks: 1}}
}

// oneWay reports whether the client cannot answer, since it reads an event stream.
func (c *Conn) oneWay() bool { return c.format.IsEvents() }

// Transport is the connection below a [Conn] once its handshake was answered.
type Transport struct {
	Conn     net.Conn       // must have no deadlines set; belongs to the Conn
	Buffered []byte         // what came behind the handshake; is changed
	Deflate  frames.Deflate // what was agreed on
}

// Start talks WebSocket over a connection of its own, until it has ended and the
// handler was told so. It does not wait for that. Where there are loops, they serve
// plain TCP, and TLS while it is silent; goroutines serve the rest. A panic ends the
// connection only.
func (c *Conn) Start(t Transport) {
	if startOnLoop(c, t) {
		return
	}
	d := &goroutineDriver{conn: c}
	if d.link = newTLSLink(t.Conn, d); d.link == nil {
		d.link = newLink(t.Conn)
	}
	c.start(d, t.Deflate)
	go d.run(t.Buffered)
}

// Serve is Start, but a goroutine serves the connection, and Serve waits for the
// end.
func (c *Conn) Serve(t Transport) { c.serve(newLink(t.Conn), t) }

// ServeStream talks WebSocket over a stream of HTTP/2 or HTTP/3, the answer to which
// has been sent, until the stream has ended and the handler was told so. Neither the
// request nor the response is used any more when it returns.
func (c *Conn) ServeStream(w http.ResponseWriter, r *http.Request, d frames.Deflate) {
	c.stream = true
	c.serve(&httpStream{response: newResponse(w, r), body: r.Body}, Transport{Deflate: d})
}

// ServeEvents writes Server-Sent Events (HTML standard, section 9.2) to the response,
// whose header has been written, until the stream has ended and the handler was told
// so. Queue and limits are those of a WebSocket. Pings are comments, and there is no
// close frame. The response is not used any more when it returns.
func (c *Conn) ServeEvents(w http.ResponseWriter, r *http.Request) {
	l := newResponse(w, r)
	c.mu.Lock()
	c.out.prepend([]byte(message.Comment)) // so that the header leaves at once, even if a proxy buffers it
	c.mu.Unlock()
	c.serve(l, Transport{})
}

func (c *Conn) serve(l link, t Transport) {
	d := &goroutineDriver{link: l, conn: c}
	c.start(d, t.Deflate)
	d.run(t.Buffered)
}

// start gives the connection its driver and sends what was kept.
func (c *Conn) start(d driver, agreed frames.Deflate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if agreed.Agreed {
		c.out.compression = newCompression(c.settings.Load().CompressionLevel, agreed)
		c.in.compression = c.out.compression
	}
	now := now()
	c.driver, c.alive.heard = d, now
	c.end.Duration = -time.Duration(now) // the moment of the end will be added
	deadlines{c}.enforce(now)
	c.out.corks--
	c.pump()
}

// lost ends the connection because reading has failed.
func (c *Conn) lost(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut(err)
}

// hasEnded reports whether the connection has ended.
func (c *Conn) hasEnded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing.ended
}

// clear gives back what the connection holds, once its driver neither reads nor
// writes any more, and returns how it ended.
func (c *Conn) clear(err error) End {
	c.out.clear()
	c.out.dropRest()
	c.in.reset()
	c.countMessages()
	c.alarm.stop()
	return c.summary(err)
}

// summary returns how the connection ended; err is what reading it has come to.
func (c *Conn) summary(err error) End {
	end := c.end
	end.Duration += time.Duration(now())
	switch {
	case c.closing.wanted:
	case c.oneWay():
		end.Code, end.ByPeer = frames.GoingAway, true // the only way in which a client can leave
	default:
		end.Code = frames.Abnormal
	}
	if end.Err == nil && !isGone(err) {
		end.Err = err
	}
	return end
}
