package socket

import (
	"bytes"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyws/caddy-websocket/frames"
)

// NewEvents is New for a connection that speaks Server-Sent Events (HTML
// standard, section 9.2): one way, with the same queue and the same limits.
// Pings are comments, and there is no close frame.
func NewEvents(settings *atomic.Pointer[Settings], handler Handler) *Conn {
	c := New(settings, handler)
	c.oneWay = true
	return c
}

// ServeEvents writes to the response, whose header has been written, until the
// stream has ended and the handler was told so. The response is not used any
// more when it returns.
func (c *Conn) ServeEvents(w http.ResponseWriter, r *http.Request) {
	l := newResponse(w, r)
	c.mu.Lock()
	c.out.prepend([]byte(comment)) // so that the header leaves at once, whoever buffers it
	c.mu.Unlock()
	c.serve(l, Transport{})
}

// comment is a line that clients ignore.
const comment = ":\n\n"

// Event is one event of a stream.
type Event struct {
	ID     string // what a client says it has seen when it comes back; must be one line
	Name   string // empty for the default, "message"; must be one line
	Data   []byte
	Binary bool // Data is sent as base64, by the name "binary"
}

// Append appends the event as it goes over the connection. Data cannot forge
// lines of another meaning: each of its lines becomes one of its own.
func (e Event) Append(dst []byte) []byte {
	name, data := e.Name, e.Data
	if e.Binary {
		name, data = "binary", base64.StdEncoding.AppendEncode(nil, data)
	}
	if e.ID != "" {
		dst = append(append(append(dst, "id: "...), e.ID...), '\n')
	}
	if name != "" {
		dst = append(append(append(dst, "event: "...), name...), '\n')
	}
	return append(appendLines(dst, data), '\n')
}

// appendLines appends every line of data as a field. CR, LF and both together
// end a line.
func appendLines(dst, data []byte) []byte {
	for {
		end := bytes.IndexAny(data, "\r\n")
		if end < 0 {
			return append(append(append(dst, "data: "...), data...), '\n')
		}
		dst = append(append(append(dst, "data: "...), data[:end]...), '\n')
		if data[end] == '\r' && end+1 < len(data) && data[end+1] == '\n' {
			end++
		}
		data = data[end+1:]
	}
}

// encodeEvent is the encoder of event streams.
func encodeEvent(dst []byte, op frames.Opcode, payload []byte) []byte {
	switch op {
	case frames.Text, frames.Binary:
		return Event{Data: payload, Binary: op == frames.Binary}.Append(dst)
	case frames.Ping:
		return append(dst, comment...)
	}
	return dst
}

// EventsOf returns the messages of a run of frames, as sent by a server, as
// events.
func EventsOf(run []byte) []byte {
	var events []byte
	for len(run) > 0 {
		h, n, err := frames.ParseHeader(run)
		if n == 0 || err != nil {
			break
		}
		end := n + int(h.Length)
		events = encodeEvent(events, h.Opcode, run[n:end])
		run = run[end:]
	}
	return events
}

// response is the link over the response to a plain request.
type response struct {
	w       http.ResponseWriter
	control *http.ResponseController
	below   *http.ResponseController // of the server's own writer, which may be used while another goroutine writes
	request <-chan struct{}          // closed when the client has gone
	end     chan struct{}            // closed when we end it
	once    sync.Once
}

func newResponse(w http.ResponseWriter, r *http.Request) *response {
	return &response{
		w: w, control: http.NewResponseController(w), below: http.NewResponseController(innermost(w)),
		request: r.Context().Done(), end: make(chan struct{}),
	}
}

// innermost is what all the writers are around.
func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		outer, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = outer.Unwrap()
	}
}

// read waits for the end: nothing ever arrives.
func (l *response) read() (*buffer, error) {
	select {
	case <-l.request:
		return nil, io.EOF
	case <-l.end:
		return nil, net.ErrClosed
	}
}

func (*response) tryWrite([]byte) (int, error) { return 0, nil }

func (l *response) write(p []byte, progress func(n int)) error {
	for len(p) > 0 {
		n, err := l.w.Write(p[:min(len(p), streamWrite)])
		if err == nil {
			err = l.control.Flush()
		}
		progress(n)
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

func (*response) unsent() int { return -1 }

func (*response) closeWrite() {}

func (l *response) close() { l.once.Do(func() { close(l.end) }) }

// abort also ends a write that is waiting. After close there is none, and what
// ends the response is still to be written.
func (l *response) abort() {
	select {
	case <-l.end:
	default:
		_ = l.below.SetWriteDeadline(time.Now()) // a writer without deadlines ends with its request
		l.close()
	}
}

func (*response) wait() {}
